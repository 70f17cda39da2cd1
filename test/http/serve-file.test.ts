import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { isAppError } from "../../src/core/errors.ts";
import { contentDisposition, parseRange, serveFile } from "../../src/http/serve-file.ts";

const BYTES = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
let folder = "";
let path = "";
let etag = "";
let lastModified = "";
let server: ReturnType<typeof Bun.serve>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-serve-"));
  path = join(folder, "song.mp3");
  await writeFile(path, BYTES);
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 30,
    async fetch(request) {
      try {
        return await serveFile(request, {
          path: join(folder, new URL(request.url).pathname),
          name: "晴天 - 周杰伦.mp3",
        });
      } catch (error) {
        return new Response(isAppError(error) ? error.kind : String(error), { status: 404 });
      }
    },
  });
  const head = await fetch(new URL("/song.mp3", server.url), { method: "HEAD" });
  etag = head.headers.get("etag") ?? "";
  lastModified = head.headers.get("last-modified") ?? "";
});

afterAll(async () => {
  await server.stop(true);
  await rm(folder, { recursive: true });
});

async function ask(headers: Record<string, string>, method = "GET") {
  const reply = await fetch(new URL("/song.mp3", server.url), { method, headers });
  return { reply, bytes: new Uint8Array(await reply.arrayBuffer()) };
}

const whole = { status: 200, from: 0, to: 1000 };
const cases: { name: string; headers: () => Record<string, string>; status: number; from: number; to: number }[] = [
  { name: "no range", headers: () => ({}), ...whole },
  { name: "first ten", headers: () => ({ range: "bytes=0-9" }), status: 206, from: 0, to: 10 },
  { name: "one byte", headers: () => ({ range: "bytes=0-0" }), status: 206, from: 0, to: 1 },
  { name: "from the middle", headers: () => ({ range: "bytes=990-" }), status: 206, from: 990, to: 1000 },
  { name: "suffix", headers: () => ({ range: "bytes=-10" }), status: 206, from: 990, to: 1000 },
  { name: "suffix longer than the file", headers: () => ({ range: "bytes=-5000" }), status: 206, from: 0, to: 1000 },
  {
    name: "end beyond the file",
    headers: () => ({ range: "bytes=500-99999999999999999999" }),
    status: 206,
    from: 500,
    to: 1000,
  },
  { name: "upper case unit", headers: () => ({ range: "Bytes=1-2" }), status: 206, from: 1, to: 3 },
  { name: "start beyond the file", headers: () => ({ range: "bytes=1000-" }), status: 416, from: 0, to: 0 },
  { name: "empty suffix", headers: () => ({ range: "bytes=-0" }), status: 416, from: 0, to: 0 },
  { name: "several ranges: the whole", headers: () => ({ range: "bytes=0-1,3-4" }), ...whole },
  { name: "backwards: the whole", headers: () => ({ range: "bytes=9-2" }), ...whole },
  { name: "not a number: the whole", headers: () => ({ range: "bytes=a-" }), ...whole },
  { name: "another unit: the whole", headers: () => ({ range: "seconds=0-9" }), ...whole },
  {
    name: "If-Range with the tag",
    headers: () => ({ range: "bytes=0-9", "if-range": etag }),
    status: 206,
    from: 0,
    to: 10,
  },
  {
    name: "If-Range with another tag: the whole",
    headers: () => ({ range: "bytes=0-9", "if-range": '"old"' }),
    ...whole,
  },
  { name: "If-Range weak: the whole", headers: () => ({ range: "bytes=0-9", "if-range": `W/${etag}` }), ...whole },
  {
    name: "If-Range old and start beyond: the whole",
    headers: () => ({ range: "bytes=2000-", "if-range": '"old"' }),
    ...whole,
  },
  {
    name: "If-Range with the date",
    headers: () => ({ range: "bytes=0-9", "if-range": lastModified }),
    status: 206,
    from: 0,
    to: 10,
  },
  {
    name: "If-Range with an old date: the whole",
    headers: () => ({ range: "bytes=0-9", "if-range": "Mon, 01 Jan 2001 00:00:00 GMT" }),
    ...whole,
  },
  { name: "If-None-Match same", headers: () => ({ "if-none-match": etag }), status: 304, from: 0, to: 0 },
  {
    name: "If-None-Match in a list, weak",
    headers: () => ({ "if-none-match": `"x", W/${etag}` }),
    status: 304,
    from: 0,
    to: 0,
  },
  { name: "If-None-Match any", headers: () => ({ "if-none-match": "*" }), status: 304, from: 0, to: 0 },
  { name: "If-None-Match other", headers: () => ({ "if-none-match": '"x"' }), ...whole },
  {
    name: "If-None-Match other beats the date",
    headers: () => ({ "if-none-match": '"x"', "if-modified-since": lastModified }),
    ...whole,
  },
  {
    name: "If-Modified-Since same",
    headers: () => ({ "if-modified-since": lastModified }),
    status: 304,
    from: 0,
    to: 0,
  },
  {
    name: "If-Modified-Since old",
    headers: () => ({ "if-modified-since": "Mon, 01 Jan 2001 00:00:00 GMT" }),
    ...whole,
  },
  { name: "If-Modified-Since nonsense", headers: () => ({ "if-modified-since": "yesterday" }), ...whole },
  {
    name: "304 comes before the range",
    headers: () => ({ "if-none-match": etag, range: "bytes=0-9" }),
    status: 304,
    from: 0,
    to: 0,
  },
  { name: "If-Match other", headers: () => ({ "if-match": '"x"' }), status: 412, from: 0, to: 0 },
  { name: "If-Match same", headers: () => ({ "if-match": etag }), ...whole },
  {
    name: "If-Unmodified-Since old",
    headers: () => ({ "if-unmodified-since": "Mon, 01 Jan 2001 00:00:00 GMT" }),
    status: 412,
    from: 0,
    to: 0,
  },
];

describe("over a socket", () => {
  test.each(cases)("GET $name -> $status", async ({ headers, status, from, to }) => {
    const { reply, bytes } = await ask(headers());
    expect(reply.status).toBe(status);
    expect(bytes).toEqual(BYTES.slice(from, to));
    const chunked = reply.headers.get("transfer-encoding") === "chunked";
    if (status !== 304 && !chunked) expect(reply.headers.get("content-length")).toBe(String(to - from));
    expect(chunked).toBe(status === 200 && "if-range" in headers());
    expect(reply.headers.get("accept-ranges")).toMatch(/^bytes$/);
    const range = { 206: `bytes ${from}-${to - 1}/1000`, 416: "bytes */1000" }[status] ?? null;
    expect(reply.headers.get("content-range")).toBe(range);
  });

  test("HEAD has the headers of GET and ignores Range", async () => {
    const { reply, bytes } = await ask({ range: "bytes=0-9" }, "HEAD");
    expect([reply.status, bytes.length]).toEqual([200, 0]);
    expect(reply.headers.get("content-length")).toBe("1000");
    expect(reply.headers.get("content-type")).toBe("audio/mpeg");
    expect(reply.headers.get("content-disposition")).toBe(
      "inline; filename=\"_ - _.mp3\"; filename*=UTF-8''%E6%99%B4%E5%A4%A9%20-%20%E5%91%A8%E6%9D%B0%E4%BC%A6.mp3",
    );
  });

  test("a replaced file has another ETag, even with the same length", async () => {
    const other = join(folder, "other.mp3");
    await writeFile(other, BYTES);
    const first = (await fetch(new URL("/other.mp3", server.url))).headers.get("etag");
    await writeFile(`${other}.tmp`, BYTES.toReversed());
    await rename(`${other}.tmp`, other);
    const second = (await fetch(new URL("/other.mp3", server.url))).headers.get("etag");
    expect(second).not.toBe(first);
  });

  test.each(["/missing.mp3", "/."])("%s -> not_found", async (target) => {
    const reply = await fetch(new URL(target, server.url));
    expect([reply.status, await reply.text()]).toEqual([404, "not_found"]);
  });

  test("a file deleted while it is sent arrives whole", async () => {
    const big = join(folder, "big.flac");
    const content = new Uint8Array(24 << 20).map((_, index) => (index * 31) & 0xff);
    await writeFile(big, content);
    const reply = await fetch(new URL("/big.flac", server.url));
    const reader = reply.body?.getReader();
    const hash = new Bun.CryptoHasher("sha1");
    const first = await reader?.read();
    await rm(big);
    for (let next = first; next?.done === false; next = await reader?.read()) hash.update(next.value);
    expect(hash.digest("hex")).toBe(new Bun.CryptoHasher("sha1").update(content).digest("hex"));
    expect(await stat(big).catch(() => "gone")).toBe("gone");
  });

  test("a client that goes away in the middle harms nobody", async () => {
    const big = join(folder, "left.flac");
    await writeFile(big, new Uint8Array(8 << 20));
    for (let round = 0; round < 5; round++) {
      const reply = await fetch(new URL("/left.flac", server.url));
      await reply.body?.cancel();
    }
    expect((await ask({})).reply.status).toBe(200);
  });
});

test("every range of every size stays inside the file", () => {
  fc.assert(
    fc.property(fc.nat(5000), fc.option(fc.nat(6000)), fc.option(fc.nat(6000)), (size, first, last) => {
      const range = parseRange(`bytes=${first ?? ""}-${last ?? ""}`, size);
      if (range === undefined || range === "unsatisfiable") return;
      const [start, end] = range;
      expect(start).toBeGreaterThanOrEqual(0);
      expect(start).toBeLessThanOrEqual(end);
      expect(end).toBeLessThan(size);
    }),
  );
});

test("a disposition is one line of ASCII and gives the name back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (name) => {
      const header = contentDisposition(name, "attachment");
      expect(header).toMatch(/^attachment; filename="[\x20-\x7e]*"(?:; filename\*=UTF-8''[\w.~!%-]*)?$/);
      const encoded = /filename\*=UTF-8''(.*)$/.exec(header)?.[1];
      const plain = /filename="([^"]*)"/.exec(header)?.[1];
      expect(encoded === undefined ? plain : decodeURIComponent(encoded)).toBe(name.toWellFormed());
    }),
  );
});
