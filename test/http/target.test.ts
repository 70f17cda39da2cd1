import { expect, test } from "bun:test";
import fc from "fast-check";
import { createTargets, routableUrl, targetOf } from "../../src/http/target.ts";

test.each([
  ["http://h/a/b?c=/d", "/a/b", "?c=/d", false],
  ["http://localhost:1/", "/", "", false],
  ["http://localhost", "/", "", false],
  ["https://h/?", "/", "?", true],
  ["http://h/%2F%00", "/%2F%00", "", false],
  ["https://h/a?b=1#c?d", "/a", "?b=1", true],
])("%s", (url, path, query, secure) => {
  expect(targetOf(url)).toMatchObject({ path, query, secure });
});

test.each([
  ["http://localhost/a/b?c", true],
  ["http://host/a", true],
  ["https://abc/a", true],
  ["http://[::1]:80/a", true],
  ["http://nas/a/b", false],
  ["http://x:80/a", true],
  ["http://x:1/a", false],
  ["http://x/ca/url", false],
  ["https://ab/a/b", false],
  ["/docs/../url/kg", false],
  ["/", false],
  ["http://[::1/a", false],
  ["http://host:65536/a", false],
  ["http://host/a?b#c", false],
  ["http://host/a?#&b=c", false],
])("the router reads the same path in %s: %p", (url, routable) => {
  expect(targetOf(url).routable).toBe(routable);
  const { path, routable: then } = targetOf(new Request(routableUrl(url)).url);
  expect(then).toBe(true);
  if (!url.startsWith("/")) expect(path).toBe(targetOf(url).path);
});

test.each([
  ["http://host/a?#&b=c", "/a", ""],
  ["http://host/a?b=1#c?d", "/a", "?b=1"],
  ["http://host/a#b/c?d", "/a", ""],
  ["/a?b#/../c", "/a", "?b"],
  ["http://host/#", "/", ""],
])("a fragment is no part of a request: %s", (url, path, query) => {
  const { href } = new URL(routableUrl(url));
  expect(href).not.toContain("#");
  const target = targetOf(href);
  expect([target.path, target.query === "?" ? "" : target.query]).toEqual([path, query]);
});

test("a path alone means what it would mean after a host", () => {
  expect(targetOf(new Request(routableUrl("/docs/../url/kg?a=//b")).url)).toMatchObject({
    path: "/url/kg",
    query: "?a=//b",
  });
});

test("the same URL gives the same object, another one never does", () => {
  const targets = createTargets();
  const text = fc.stringMatching(/^[a-z0-9/?=&%]{0,300}$/);
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [one, other] = [`http://h/${a}`, `http://h/${b}`];
      expect(targets(one)).toEqual(targetOf(one));
      if (one.length <= 256) expect(targets(one)).toBe(targets(one));
      if (one !== other) expect(targets(one)).not.toBe(targets(other));
    }),
  );
});

test("a URL in use is not forgotten in a flood of others, and the flood takes no room", () => {
  const targets = createTargets();
  const hot = targets("http://h/hot");
  Bun.gc(true);
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < 200_000; index++) {
    targets(`http://h/url/kg/${index}/128k?${"x".repeat(index % 400)}`);
    if (index % 1000 === 0) expect(targets("http://h/hot")).toBe(hot);
  }
  Bun.gc(true);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 << 20);
});
