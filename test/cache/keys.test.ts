import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cacheKey, kindOfKey, routeOfKey } from "../../src/cache/keys.ts";
import { CACHE_KINDS, isCacheKind } from "../../src/cache/kinds.ts";

const text = fc.string({ unit: "binary", maxLength: 80 });
const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const parts = fc.record(
  {
    kind: fc.constantFrom(...CACHE_KINDS),
    source: fc.constantFrom("kg", "tx", "wy", "mg", "kw", "-"),
    id: fc.oneof(word, text),
    quality: fc.constantFrom("128k", "flac"),
    options: fc.dictionary(word, fc.oneof(text, fc.integer(), fc.boolean()), { maxKeys: 4 }),
  },
  { requiredKeys: ["kind", "source", "id"] },
);

describe("keys", () => {
  test.each([
    {
      name: "readable",
      parts: { kind: "url", source: "kg", id: "abc", quality: "320k" },
      form: /^v1:url:kg:320k:abc:[0-9a-z]{8,13}$/,
    },
    {
      name: "without quality",
      parts: { kind: "lyric", source: "tx", id: "003OUlho2HcRHC" },
      form: /^v1:lyric:tx:003OUlho2HcRHC:[0-9a-z]{8,13}$/,
    },
    {
      name: "an id with a colon",
      parts: { kind: "info", source: "wy", id: "1:2" },
      form: /^v1:info:wy:~:[0-9a-z]{16,26}$/,
    },
    {
      name: "a long id",
      parts: { kind: "info", source: "wy", id: "1".repeat(8192) },
      form: /^v1:info:wy:~:[0-9a-z]{16,26}$/,
    },
    {
      name: "words of a search",
      parts: { kind: "search", source: "kw", id: "周杰伦 晴天" },
      form: /^v1:search:kw:~:[0-9a-z]{16,26}$/,
    },
  ] as const)("$name", ({ parts, form }) => {
    expect(cacheKey(parts)).toMatch(form);
    expect(kindOfKey(cacheKey(parts))).toBe(parts.kind);
    expect(routeOfKey(cacheKey(parts))).toBe(`/${parts.kind}/${parts.source}`);
  });

  test("the same meaning has the same key, in whatever order the options stand", () => {
    fc.assert(
      fc.property(parts, (given) => {
        const turned = given.options && Object.fromEntries(Object.entries(given.options).reverse());
        expect(cacheKey({ ...given, options: { ...turned, absent: undefined } })).toBe(cacheKey(given));
      }),
    );
  });

  test("another meaning has another key", () => {
    const meaning = (given: Parameters<typeof cacheKey>[0]) =>
      JSON.stringify([
        given.kind,
        given.source,
        given.quality ?? "",
        given.id,
        Object.entries(given.options ?? {}).sort(),
      ]);
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        fc.pre(meaning(one) !== meaning(other));
        expect(cacheKey(one)).not.toBe(cacheKey(other));
      }),
      { numRuns: 2000 },
    );
  });

  test("no id can be read as another field", () => {
    const keys = [
      cacheKey({ kind: "url", source: "kg", id: "128k", quality: "320k" }),
      cacheKey({ kind: "url", source: "kg", id: "320k", quality: "128k" }),
      cacheKey({ kind: "url", source: "kg", id: "128k:320k" }),
      cacheKey({ kind: "url", source: "kg", id: '128k\n[["page",1]]' }),
      cacheKey({ kind: "url", source: "kg", id: "128k", options: { page: 1 } }),
      cacheKey({ kind: "url", source: "kg", id: "128k", options: { page: "1" } }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test.each([
    { key: "v0:url:kg:a:b", kind: undefined },
    { key: "v1:odd", kind: undefined },
    { key: "v1:url:kg:a:b", kind: "url" },
    { key: "", kind: undefined },
  ])("the kind of $key is $kind", ({ key, kind }) => {
    expect(kindOfKey(key)).toBe(kind as string);
    expect(isCacheKind(kindOfKey(key))).toBe(kind !== undefined);
  });
});
