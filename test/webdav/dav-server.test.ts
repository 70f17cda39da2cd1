import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstat, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { holds, parseIf } from "../../src/webdav/dav-if.ts";
import { davPath } from "../../src/webdav/dav-tree.ts";
import { type DavHost, loginOf, openDav } from "./dav-host.ts";
import { plant } from "./upstreams.ts";

let host: DavHost;
let clock = Date.now();
beforeAll(async () => {
  host = await openDav(
    { max_bytes: 100_000, max_entries: 30 },
    {
      now: () => clock,
      views: [
        {
          name: "Artists",
          list: ([artist, ...rest]) =>
            artist === undefined
              ? [{ name: "甲" }]
              : artist === "甲" && rest.length === 0
                ? [{ name: "song.mp3", file: "/etc/hostname" }]
                : undefined,
        },
      ],
    },
  );
  await plant(host.folder, { "Music/a.mp3": "music", "Upload/own.txt": "own", "outside.txt": "secret outside" });
  await symlink(join(host.folder, "outside.txt"), join(host.folder, "Upload/link.txt"));
  await symlink(host.folder, join(host.folder, "Upload/up"));
  await symlink(join(host.folder, "nowhere"), join(host.folder, "Upload/dangling.txt"));
});
afterAll(() => host[Symbol.asyncDispose]());

interface Ask {
  as?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
}

function ask(method: string, path: string, { as = "admin", headers = {}, body }: Ask = {}): Promise<Response> {
  return fetch(`${host.url}${path}`, {
    method,
    redirect: "manual",
    headers: { authorization: loginOf(as), ...headers },
    ...(body === undefined ? {} : { body }),
  });
}

const find = (path: string, depth: string, body?: string, as?: string) =>
  ask("PROPFIND", path, {
    headers: { depth },
    ...(body === undefined ? {} : { body }),
    ...(as === undefined ? {} : { as }),
  });

describe("who may", () => {
  test.each<[method: string, path: string, as: string, status: number]>([
    ["PROPFIND", "/", "nobody", 401],
    ["GET", "/Music/a.mp3", "nobody", 401],
    ["OPTIONS", "/", "nobody", 401],
    ["PUT", "/Upload/x", "nobody", 401],
    ["GET", "/Music/a.mp3", "viewer", 200],
    ["PUT", "/Upload/x", "viewer", 403],
    ["DELETE", "/Upload/own.txt", "viewer", 403],
    ["MKCOL", "/Upload/x", "viewer", 403],
    ["PROPPATCH", "/Upload/own.txt", "viewer", 400],
    ["LOCK", "/Upload/own.txt", "viewer", 403],
    ["PUT", "/Music/a.mp3", "admin", 403],
    ["DELETE", "/Music/a.mp3", "admin", 403],
    ["DELETE", "/Music", "admin", 403],
    ["DELETE", "/Upload", "admin", 403],
    ["DELETE", "/", "admin", 403],
    ["MKCOL", "/Music/new", "admin", 403],
    ["MKCOL", "/New", "admin", 403],
    ["PUT", "/new.txt", "admin", 403],
    ["PUT", "/Artists/甲/new.mp3", "admin", 403],
    ["DELETE", "/Artists/甲/song.mp3", "admin", 403],
    ["POST", "/Upload/x", "admin", 405],
    ["PATCH", "/Upload/own.txt", "admin", 405],
  ])("%s %s as %s: %d", async (method, path, as, status) => {
    const body = method === "PUT" || method === "POST" || method === "PATCH" ? { body: "x" } : {};
    expect((await ask(method, path, { as, ...body })).status).toBe(status);
  });

  test("a refusal asks for Basic", async () => {
    const answer = await ask("PROPFIND", "/", { as: "nobody" });
    expect(answer.headers.get("www-authenticate")).toStartWith("Basic realm=");
  });

  test.each(["COPY", "MOVE"])("%s out of the music is a copy at most, and never into it", async (method) => {
    const into = await ask(method, "/Upload/own.txt", { headers: { destination: `${host.url}/Music/x.txt` } });
    expect(into.status).toBe(403);
    const out = await ask(method, "/Music/a.mp3", { headers: { destination: `${host.url}/Upload/copy.mp3` } });
    expect(out.status).toBe(method === "COPY" ? 201 : 403);
  });

  test("with writing off, an admin reads only", async () => {
    await using closed = await openDav({ writable: false });
    const answer = await fetch(`${closed.url}/Upload/x`, {
      method: "PUT",
      body: "x",
      headers: { authorization: loginOf("admin") },
    });
    expect(answer.status).toBe(403);
  });
});

describe("nothing leads out", () => {
  test.each([
    ["dots", "/Upload/../../../etc/passwd"],
    ["encoded dots", "/Upload/%2e%2e/%2e%2e/etc/passwd"],
    ["encoded separator", "/Upload/..%2f..%2foutside.txt"],
    ["encoded backslash", "/Upload/..%5c..%5coutside.txt"],
    ["zero byte", "/Upload/own.txt%00.mp3"],
    ["broken escape", "/Upload/%zz"],
    ["link to a file", "/Upload/link.txt"],
    ["link to a folder", "/Upload/up/outside.txt"],
    ["through a folder link into our own database", "/Upload/up/lx.db"],
  ])("GET: %s", async (_name, path) => {
    const answer = await ask("GET", path);
    expect([400, 404]).toContain(answer.status);
    expect(await answer.text()).not.toContain("secret");
  });

  test.each([
    ["PUT through a link", "PUT", "/Upload/link.txt"],
    ["PUT through a dangling link", "PUT", "/Upload/dangling.txt"],
    ["PUT below a link", "PUT", "/Upload/up/new.txt"],
    ["MKCOL below a link", "MKCOL", "/Upload/up/new"],
  ])("%s is refused", async (_name, method, path) => {
    const answer = await ask(method, path, method === "PUT" ? { body: "overwritten" } : {});
    expect([403, 404, 409]).toContain(answer.status);
    expect(await readFile(join(host.folder, "outside.txt"), "utf8")).toBe("secret outside");
    expect(await lstat(join(host.folder, "new.txt")).catch(() => undefined)).toBeUndefined();
  });

  test.each([
    ["out by dots", "/dav/Upload/../../../tmp/x", 502],
    ["out of the mount", "/etc/x", 502],
    ["through a link", "/dav/Upload/up/x", 409],
    ["into itself", "/dav/Upload/own.txt", 403],
    ["onto the folder around it", "/dav/Upload", 403],
    ["nonsense", "http://[", 400],
    ["nothing", undefined, 400],
  ])("COPY %s", async (_name, target, status) => {
    const headers =
      target === undefined ? {} : { destination: target.startsWith("/") ? new URL(target, host.url).href : target };
    const answer = await ask("COPY", "/Upload/own.txt", { headers });
    expect(answer.status).toBe(status);
  });

  test("links are not listed", async () => {
    const text = await (await find("/Upload", "1")).text();
    expect(text).not.toContain("link.txt");
    expect(text).not.toContain("/up");
    expect(text).toContain("/dav/Upload/own.txt");
  });
});

describe("documents that are refused", () => {
  test.each([
    ["entity bomb", '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">]><propfind xmlns="DAV:"><prop>&b;</prop></propfind>'],
    ["external entity", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><propfind xmlns="DAV:"><allprop/></propfind>'],
    ["not complete", '<propfind xmlns="DAV:"><prop>'],
    ["no XML", "hello"],
    ["another document", '<lockinfo xmlns="DAV:"/>'],
    ["nested without end", `<propfind xmlns="DAV:">${"<a>".repeat(5000)}`],
  ])("PROPFIND: %s", async (_name, body) => {
    expect((await find("/Upload/", "0", body)).status).toBe(400);
  });

  test("a huge one", async () => {
    const body = `<propfind xmlns="DAV:"><prop>${"<a/>".repeat(200_000)}</prop></propfind>`;
    expect((await find("/Upload/", "0", body)).status).toBe(413);
  });

  test("infinite depth, unless allowed", async () => {
    const answer = await find("/", "infinity");
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain("propfind-finite-depth");
    expect((await find("/", "2")).status).toBe(400);
  });
});

describe("listing", () => {
  test("the root shows mounts and views, a view its folders and songs", async () => {
    const root = await (await find("/", "1", undefined, "viewer")).text();
    expect([...root.matchAll(/<D:href>([^<]*)</g)].map((match) => match[1])).toEqual([
      "/dav/",
      "/dav/Upload/",
      "/dav/Music/",
      "/dav/Artists/",
    ]);
    const artist = await (await find("/Artists/甲", "1")).text();
    expect(artist).toContain(`<D:href>/dav/Artists/${encodeURIComponent("甲")}/song.mp3</D:href>`);
    expect((await ask("GET", "/Artists/甲/song.mp3")).status).toBe(200);
    expect((await ask("GET", "/Artists/乙/song.mp3")).status).toBe(404);
  });

  test("asked properties: known, unknown, names alone", async () => {
    const body =
      '<propfind xmlns="DAV:"><prop><getcontentlength/><getetag/><x:odd xmlns:x="urn:&lt;x&gt;"/><none xmlns=""/></prop></propfind>';
    const some = await (await find("/Music/a.mp3", "0", body)).text();
    expect(some).toContain("<D:getcontentlength>5</D:getcontentlength>");
    expect(some).toContain('<x:odd xmlns:x="urn:&lt;x&gt;"/><none xmlns=""/>');
    expect(some).toContain("404 Not Found");
    const names = await (await find("/Music/a.mp3", "0", '<propfind xmlns="DAV:"><propname/></propfind>')).text();
    expect(names).toContain("<D:getetag/>");
    expect(names).not.toContain("<D:getcontentlength>5");
  });

  test("hidden names and a bound to the number of entries", async () => {
    const names = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`Music/many/f${n}.mp3`, "x"]));
    await plant(host.folder, {
      ...names,
      "Music/small/.DS_Store": "x",
      "Music/small/._a.mp3": "x",
      "Music/small/b.mp3": "x",
    });
    const small = await (await find("/Music/small", "1")).text();
    expect(small.match(/<D:response>/g)?.length).toBe(2);
    const many = await (await find("/Music/many", "1")).text();
    expect(many).toContain("507 Insufficient Storage");
    expect(many.match(/f\d+\.mp3<\/D:href>/g)?.length).toBe(30);
  });

  test("a name with markup does no harm", async () => {
    const name = "<b>&\"'.txt";
    expect((await ask("PUT", `/Upload/${encodeURIComponent(name)}`, { body: "x" })).status).toBe(201);
    const text = await (await find("/Upload", "1")).text();
    expect(text).toContain("&lt;b&gt;&amp;&quot;'.txt</D:displayname>");
    expect(text).not.toContain("<b>");
  });
});

describe("files", () => {
  test("ranges, validators, and no page acts as one of ours", async () => {
    await writeFile(join(host.folder, "Upload/page.html"), "<script>alert(1)</script>");
    const page = await ask("GET", "/Upload/page.html");
    expect(page.headers.get("content-security-policy")).toContain("sandbox");
    expect(page.headers.get("content-type")).not.toContain("html");
    const part = await ask("GET", "/Music/a.mp3", { headers: { range: "bytes=1-2" } });
    expect([part.status, await part.text()]).toEqual([206, "us"]);
    const etag = part.headers.get("etag") ?? "";
    expect((await ask("GET", "/Music/a.mp3", { headers: { "if-none-match": etag } })).status).toBe(304);
    const head = await ask("HEAD", "/Music/a.mp3");
    expect(head.headers.get("content-length")).toBe("5");
  });

  test("PUT: new, replaced, conditional, too large, parts, no folder", async () => {
    const put = (path: string, body: string, headers = {}) => ask("PUT", path, { body, headers });
    expect((await put("/Upload/p.txt", "1")).status).toBe(201);
    const again = await put("/Upload/p.txt", "22");
    expect(again.status).toBe(204);
    expect((await put("/Upload/p.txt", "3", { "if-none-match": "*" })).status).toBe(412);
    expect((await put("/Upload/p.txt", "3", { "if-match": '"other"' })).status).toBe(412);
    expect((await put("/Upload/p.txt", "333", { "if-match": again.headers.get("etag") ?? "" })).status).toBe(204);
    expect((await put("/Upload/p.txt", "x".repeat(100_001))).status).toBe(413);
    expect((await put("/Upload/p.txt", "x", { "content-range": "bytes 0-0/9" })).status).toBe(400);
    expect((await put("/Upload/none/p.txt", "x")).status).toBe(409);
    expect((await put("/Upload/p.txt/below", "x")).status).toBe(409);
    expect(await readFile(join(host.folder, "Upload/p.txt"), "utf8")).toBe("333");
    expect(host.changes).toContain("/Upload/p.txt");
  });

  test("an endless upload is cut off", async () => {
    const body = new ReadableStream<Uint8Array>({
      pull(out) {
        out.enqueue(new Uint8Array(64 << 10));
      },
    });
    const answer = await fetch(`${host.url}/Upload/endless.bin`, {
      method: "PUT",
      body,
      headers: { authorization: loginOf("admin") },
    }).catch(() => undefined);
    expect(answer?.status ?? 413).toBe(413);
    expect(await lstat(join(host.folder, "Upload/endless.bin")).catch(() => undefined)).toBeUndefined();
  });

  test("DELETE of a link deletes the link, if it is seen at all", async () => {
    await symlink(join(host.folder, "Upload/own.txt"), join(host.folder, "Upload/alias.txt"));
    expect((await ask("DELETE", "/Upload/alias.txt")).status).toBe(204);
    expect(await readFile(join(host.folder, "Upload/own.txt"), "utf8")).toBe("own");
  });
});

describe("locks", () => {
  const lock = (path: string, more: Ask & { scope?: string; timeout?: string; depth?: string } = {}) =>
    ask("LOCK", path, {
      ...(more.as === undefined ? {} : { as: more.as }),
      headers: { timeout: more.timeout ?? "Second-60", depth: more.depth ?? "infinity" },
      body: `<lockinfo xmlns="DAV:"><lockscope><${more.scope ?? "exclusive"}/></lockscope><locktype><write/></locktype><owner><href>me &amp; you</href></owner></lockinfo>`,
    });
  const tokenOf = (answer: Response) => answer.headers.get("lock-token") ?? "";

  test("another user's lock stands, even with its token; it ends by itself", async () => {
    await ask("MKCOL", "/Upload/locked");
    const held = await lock("/Upload/locked", { timeout: "Second-100" });
    expect(held.status).toBe(200);
    const text = await held.text();
    expect(text).toContain("me &amp; you");
    const token = tokenOf(held);
    const put = (as: string, headers = {}) => ask("PUT", "/Upload/locked/x.txt", { as, body: "x", headers });
    expect((await put("second")).status).toBe(423);
    expect((await put("second", { if: `<${host.url}/Upload/locked> (${token})` })).status).toBe(423);
    expect((await ask("UNLOCK", "/Upload/locked", { as: "second", headers: { "lock-token": token } })).status).toBe(
      403,
    );
    expect((await put("admin")).status).toBe(423);
    expect((await put("admin", { if: `<${host.url}/Upload/locked> (${token})` })).status).toBe(201);
    expect((await ask("DELETE", "/Upload/locked")).status).toBe(423);
    expect((await lock("/Upload/locked/x.txt", { as: "second" })).status).toBe(423);
    clock += 101_000;
    expect((await put("second")).status).toBe(204);
  });

  test("the longest life is the server's; refreshing needs the token", async () => {
    const held = await lock("/Upload/life.txt", { timeout: "Infinite, Second-4100000000" });
    expect(held.status).toBe(201);
    expect(await held.text()).toContain("<D:timeout>Second-3600</D:timeout>");
    const refresh = await ask("LOCK", "/Upload/life.txt", {
      headers: { if: `(${tokenOf(held)})`, timeout: "Second-5" },
    });
    expect(await refresh.text()).toContain("Second-5<");
    expect((await ask("LOCK", "/Upload/life.txt")).status).toBe(400);
    expect((await ask("LOCK", "/Upload/life.txt", { headers: { if: "(<opaquelocktoken:wrong>)" } })).status).toBe(412);
  });

  test.each([
    ["shared beside shared", "shared", "shared", 200],
    ["exclusive beside shared", "shared", "exclusive", 423],
    ["shared beside exclusive", "exclusive", "shared", 423],
  ])("%s", async (name, first, second, status) => {
    const path = `/Upload/${encodeURIComponent(name)}.txt`;
    await ask("PUT", path, { body: "x" });
    await lock(path, { scope: first });
    expect((await lock(path, { scope: second, as: "second" })).status).toBe(status);
  });

  test("a lock on something below stands against a lock of the whole folder", async () => {
    await ask("MKCOL", "/Upload/tree");
    await ask("PUT", "/Upload/tree/leaf", { body: "x" });
    await lock("/Upload/tree/leaf");
    expect((await lock("/Upload/tree", { as: "second" })).status).toBe(423);
    expect((await lock("/Upload/tree", { as: "second", depth: "0" })).status).toBe(200);
  });
});

describe("properties", () => {
  const patch = (path: string, inner: string) =>
    ask("PROPPATCH", path, { body: `<propertyupdate xmlns="DAV:" xmlns:z="urn:z">${inner}</propertyupdate>` });

  test("are kept with their markup, move along and go with the file", async () => {
    await ask("PUT", "/Upload/props.txt", { body: "x" });
    const set = await patch(
      "/Upload/props.txt",
      '<set><prop><z:note xml:lang="de" z:q="1">a<b xmlns="">&lt;</b> &amp; c</z:note></prop></set>',
    );
    expect(set.status).toBe(207);
    const kept = /<x:note .*<\/x:note>/.exec(await (await find("/Upload/props.txt", "0")).text())?.[0];
    expect(kept).toBe(
      '<x:note xmlns:x="urn:z" xml:lang="de" xmlns:a0="urn:z" a0:q="1">a<b xmlns="">&lt;</b> &amp; c</x:note>',
    );
    await ask("MOVE", "/Upload/props.txt", { headers: { destination: `${host.url}/Upload/moved.txt` } });
    expect(await (await find("/Upload/moved.txt", "0")).text()).toContain(kept ?? "none");
    await ask("DELETE", "/Upload/moved.txt");
    await ask("PUT", "/Upload/moved.txt", { body: "x" });
    expect(await (await find("/Upload/moved.txt", "0")).text()).not.toContain("x:note");
  });

  test("what follows from the file is not set, and nothing else is then", async () => {
    await ask("PUT", "/Upload/fixed.txt", { body: "x" });
    const answer = await (
      await patch("/Upload/fixed.txt", "<set><prop><z:a>1</z:a><getetag>x</getetag></prop></set>")
    ).text();
    expect(answer).toContain("403 Forbidden");
    expect(answer).toContain("424 Failed Dependency");
    expect(await (await find("/Upload/fixed.txt", "0")).text()).not.toContain("urn:z");
  });

  test("too many are refused as a whole", async () => {
    await ask("PUT", "/Upload/greedy.txt", { body: "x" });
    const many = Array.from({ length: 300 }, (_, n) => `<z:p${n}>v</z:p${n}>`).join("");
    expect(await (await patch("/Upload/greedy.txt", `<set><prop>${many}</prop></set>`)).text()).toContain("507");
    expect(await (await find("/Upload/greedy.txt", "0")).text()).not.toContain("urn:z");
  });
});

test.each([
  ["(<a>)", 1, ["a"]],
  ['(<a> ["e"]) (Not <b>)', 2, ["a", "b"]],
  ["<http://h/x> (<a>) (<b>) <http://h/y> (<c>)", 3, ["a", "b", "c"]],
  ['(Not <DAV:no-lock> [W/"w"])', 1, ["DAV:no-lock"]],
])("parseIf(%s)", (header, lists, tokens) => {
  const parsed = parseIf(header);
  expect(parsed?.lists.length).toBe(lists);
  expect([...(parsed?.tokens ?? [])]).toEqual(tokens);
});

test.each(["", "x", "()", "(<a>", "<a>", "(a)", "(<a>) trailing", `(<${"a".repeat(9000)}>)`])(
  "parseIf refuses %j",
  (header) => {
    expect(parseIf(header)).toBeUndefined();
  },
);

test("If: one list that holds is enough", async () => {
  const header = parseIf('(<a> ["1"]) (Not <b> ["2"])');
  if (header === undefined) throw new Error("not parsed");
  const state = (etag: string, tokens: string[]) => holds(header, async () => ({ etag, tokens }));
  expect(await state('"1"', ["a"])).toBe(true);
  expect(await state('"2"', [])).toBe(true);
  expect(await state('"2"', ["b"])).toBe(false);
  expect(await state('"1"', [])).toBe(false);
});

test.each([
  ["/dav", "/"],
  ["/dav/", "/"],
  ["/dav/a%20b/%E6%AD%8C", "/a b/歌"],
  ["/davx", undefined],
  ["/dav/..", undefined],
  ["/dav/a%2fb", undefined],
  ["/dav/%00", undefined],
  ["/dav/%ff", undefined],
  ["/dav/.upload-1.part", undefined],
  [`/dav/${"a".repeat(256)}`, undefined],
])("davPath(%s) is %j", (pathname, expected) => {
  expect(davPath(pathname, "/dav")).toBe(expected);
});
