import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createSecret } from "../../src/access/secrets.ts";
import { createSignedLinks } from "../../src/access/signed-links.ts";
import { createTables } from "../../src/access/store.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createRig } from "./rig.ts";

const HOUR = 3_600_000;

function linksRig(fixed?: string) {
  const db = openDatabase(":memory:", silentLogger);
  createTables(db);
  let time = 1_800_000_000_000;
  const now = () => time;
  const secret = createSecret({ db, name: "links", rotateMs: 10 * HOUR, keepMs: HOUR, fixed, now });
  const links = createSignedLinks({ secret, lifetimeSeconds: () => 600, skewSeconds: () => 60, now });
  const pass = (ms: number) => {
    time += ms;
  };
  return { db, secret, links, pass };
}

function parts(link: string): [string, string] {
  const mark = link.indexOf("?");
  return [link.slice(0, mark), link.slice(mark)];
}

test("a signed link opens, and is short", () => {
  const { links } = linksRig();
  const link = links.sign("/cache/kg_1_320k.mp3");
  expect(link).toMatch(/^\/cache\/kg_1_320k\.mp3\?t=[\w-]{22}&e=1800000600$/);
  expect(links.verify(...parts(link))).toBe(true);
});

test("any path and any query survive signing, also when a player writes them in its own way", () => {
  const { links } = linksRig();
  const segment = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed());
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.option(segment), (segments, q) => {
      const path = `/${segments.map(encodeURIComponent).join("/")}`;
      const link = links.sign(q === null ? path : `${path}?q=${encodeURIComponent(q)}`);
      const [name, query] = parts(link);
      if (!links.verify(name, query) || !links.verify(name, query.slice(1))) return false;
      const again = new URL(link, "http://a.example");
      return segments.some((text) => text === "." || text === "..") || links.verify(again.pathname, again.search);
    }),
  );
});

test("nothing else opens with it: every changed character is refused", () => {
  const { links } = linksRig();
  const [name, query] = parts(links.sign("/local/u?q=abc"));
  const alphabet = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"];
  for (let i = 0; i < query.length; i++) {
    for (const letter of alphabet) {
      const changed = query.slice(0, i) + letter + query.slice(i + 1);
      if (changed !== query && links.verify(name, changed)) throw new Error(`${changed} opens like ${query}`);
    }
  }
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      (path, junk) => !links.verify(`${name}${path}x`, query) && !links.verify(name, junk),
    ),
  );
});

test.each([
  ["another file", (name: string, query: string) => [`${name}x`, query]],
  ["another folder", (_: string, query: string) => ["/cache/abc", query]],
  ["another parameter", (name: string, query: string) => [name, query.replace("q=abc", "q=abd")]],
  ["a further parameter", (name: string, query: string) => [name, `${query}&p=1`]],
  ["a parameter less", (name: string, query: string) => [name, query.replace("q=abc&", "")]],
  ["a later end", (name: string, query: string) => [name, query.replace(/e=\d+/, "e=9999999999")]],
  ["two ends", (name: string, query: string) => [name, `${query}&e=9999999999`]],
  ["two signatures", (name: string, query: string) => [name, `${query}&t=${"A".repeat(22)}`]],
  ["no signature", (name: string) => [name, "?q=abc"]],
  ["an encoded slash", (_: string, query: string) => ["/local%2Fu", query]],
])("refused: %s", (_, change) => {
  const { links } = linksRig();
  const [name = "", query = ""] = change(...parts(links.sign("/local/u?q=abc")));
  expect(links.verify(name, query)).toBe(false);
});

test("a link ends, after the tolerated difference of clocks", () => {
  const { links, pass } = linksRig();
  const link = parts(links.sign("/cache/a.mp3"));
  pass(660_000);
  expect(links.verify(...link)).toBe(true);
  pass(1000);
  expect(links.verify(...link)).toBe(false);
});

describe("the secret", () => {
  test("rotates, and what it signed lives on for as long as a link does", () => {
    const { links, secret, pass } = linksRig();
    pass(9.9 * HOUR);
    const link = parts(links.sign("/cache/a.mp3"));
    pass(0.15 * HOUR);
    secret.reload();
    expect(secret.current()).toHaveLength(2);
    expect(links.verify(...link)).toBe(true);
    pass(1.01 * HOUR);
    secret.reload();
    expect(secret.current()).toHaveLength(1);
  });

  test("is the same after a restart, and on the other instance when it is fixed", () => {
    const { db, links } = linksRig();
    const link = parts(links.sign("/cache/a.mp3"));
    const options = { lifetimeSeconds: () => 600, skewSeconds: () => 60, now: () => 1_800_000_000_000 };
    const again = createSecret({ db, name: "links", rotateMs: 10 * HOUR, keepMs: HOUR, now: options.now });
    expect(createSignedLinks({ secret: again, ...options }).verify(...link)).toBe(true);
    const other = linksRig("one secret for all");
    const third = linksRig("one secret for all");
    expect(third.links.verify(...parts(other.links.sign("/cache/a.mp3")))).toBe(true);
    expect(links.verify(...parts(other.links.sign("/cache/a.mp3")))).toBe(false);
  });
});

describe("at the gate", () => {
  const on = { "security.key.enable": true, "security.key.ban": true };

  test.each(["/cache/a.mp3", "/local/u?q=abc", "/webdav/kg/1/320k", "/webdav-proxy?url=a"])("%s", async (path) => {
    await using rig = await createRig(on);
    const link = rig.gate.ownLink(path);
    expect(link).not.toBe(path);
    expect(await rig.ask(link)).toMatchObject({ authorised: false });
    expect((await rig.ask(link)).error).toBeUndefined();
    // A player whose link has run out, or that has none, is not banned.
    expect((await rig.ask(path)).error?.kind).toBe("unauthorized");
    rig.pass(100_000);
    expect((await rig.ask(link)).error?.kind).toBe("unauthorized");
  });

  test("a signature opens files only", async () => {
    await using rig = await createRig({ ...on, "security.key.ban": false });
    expect((await rig.ask(rig.gate.ownLink("/url/kg/1/128k"))).error?.kind).toBe("unauthorized");
  });

  test("signed_links off: open to all", async () => {
    await using rig = await createRig({ ...on, "security.signed_links": false });
    expect(rig.gate.ownLink("/cache/a.mp3")).toBe("/cache/a.mp3");
    expect((await rig.ask("/cache/a.mp3")).error).toBeUndefined();
    expect((await rig.ask("/url/kg/1/128k")).error?.kind).toBe("unauthorized");
  });
});
