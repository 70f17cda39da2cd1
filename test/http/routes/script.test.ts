import { describe, expect, test } from "bun:test";
import { createScriptLane, type ScriptDeps, scriptRoutes } from "../../../src/http/routes/script.ts";
import { bare, PEER } from "./rig.ts";

const MD5 = "0123456789abcdef0123456789abcdef";
const settings = {
  allowed: true,
  filename: "lx-music-source.js",
  update: true,
  updateMsg: "更新: {updateUrl} {url} {key}",
};

function rig(change: Partial<ReturnType<ScriptDeps["settings"]>> = {}, key = "") {
  const rendered: [string, string][] = [];
  const script = { text: "/*!\n * @name n\n */", md5: MD5 };
  const deps: ScriptDeps = {
    settings: () => ({ ...settings, ...change }),
    keyGood: (given) => key === "" || given === key,
    baseUrl: () => "http://lx.test",
    render(url, given) {
      rendered.push([url, given]);
      return script;
    },
  };
  return { deps, rendered, ask: bare(scriptRoutes(deps)) };
}

test("the script is an attachment that nobody keeps, whatever the client accepts", async () => {
  const { ask, rendered } = rig();
  for (const accept of ["application/json", "text/html", "image/png;q=0", ""]) {
    const response = await ask("/script", { headers: { accept } });
    expect(response.status).toBe(200);
    expect(await response.text()).toStartWith("/*!");
    expect(response.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(response.headers.get("content-disposition")).toBe("attachment; filename=lx-music-source.js");
    expect(response.headers.get("cache-control")).toBe("no-cache");
  }
  expect(rendered[0]).toEqual(["http://lx.test", ""]);
});

describe("checkUpdate", () => {
  const success = (data: unknown) => ({ code: 0, msg: "success", data });
  test.each([
    ["the same", `/script?checkUpdate=${MD5}`, "", null],
    ["the same in capitals", `/script?checkUpdate=${MD5.toUpperCase()}`, "", null],
    [
      "another",
      "/script?checkUpdate=ffff",
      "",
      { updateMsg: "更新: http://lx.test/script http://lx.test ", updateUrl: "http://lx.test/script" },
    ],
    [
      "another, with a key",
      "/script?checkUpdate=ffff&key=k%26%3D%25",
      "k&=%",
      {
        updateMsg: "更新: http://lx.test/script?key=k%26%3D%25 http://lx.test k&=%",
        updateUrl: "http://lx.test/script?key=k%26%3D%25",
      },
    ],
  ])("%s", async (_name, target, key, data) => {
    const response = await rig({}, key).ask(target);
    expect(await response.json()).toEqual(success(data));
  });

  test.each([
    ["empty", {}, "/script?checkUpdate="],
    ["switched off", { update: false }, "/script?checkUpdate=ffff"],
  ])("%s: the script itself", async (_name, change, target) => {
    expect(await (await rig(change).ask(target)).text()).toStartWith("/*!");
  });

  test("a message of two lines, also as it is written in YAML without quotes", async () => {
    const response = await rig({ updateMsg: "a\\n{updateUrl}" }).ask("/script?checkUpdate=x");
    expect((await response.json()).data.updateMsg).toBe("a\nhttp://lx.test/script");
  });
});

describe("refusals", () => {
  test.each([
    "/script",
    "/script?key=",
    "/script?key=wrong",
    `/script?key=${"a".repeat(600)}`,
    "/script?checkUpdate=x",
  ])("%s with keys in use", async (target) => {
    const response = await rig({}, "right").ask(target);
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({ code: 6, msg: "key验证失败", data: null });
  });

  test("not offered", async () => {
    const response = await rig({ allowed: false }).ask("/script");
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ code: 6, msg: "未找到您所请求的资源", data: null });
  });
});

test.each([
  ["a", "attachment; filename=a.js"],
  ["my source.js", 'attachment; filename="my source.js"'],
  ["源.js", "attachment; filename=_.js; filename*=UTF-8''%E6%BA%90.js"],
  ['a"\r\nSet-Cookie: x;.js', 'attachment; filename="a___Set-Cookie: x_.js"'],
  ["../../etc/passwd", "attachment; filename=.._.._etc_passwd.js"],
])("file name %j", async (filename, disposition) => {
  const response = await rig({ filename }).ask("/script");
  expect(response.headers.get("content-disposition")).toBe(disposition);
  expect(response.headers.get("set-cookie")).toBeNull();
});

describe("without the router", () => {
  const context = { id: "i", peer: PEER, startedAt: 0, role: "none", authorised: true } as const;
  const hot = (deps: ScriptDeps, target: string, method = "GET") =>
    createScriptLane(deps)(new Request(`http://localhost${target}`, { method }), context);

  test("the same answer", async () => {
    const { deps, ask } = rig();
    const slow = await ask("/script");
    const fast = hot(deps, "/script");
    expect(fast?.body).toBe(await slow.text());
    for (const [name, value] of Object.entries(fast?.headers ?? {})) expect(slow.headers.get(name)).toBe(value);
  });

  test("kept until the name changes", () => {
    let filename = "a.js";
    const { deps } = rig();
    const lane = createScriptLane({ ...deps, settings: () => ({ ...settings, filename }) });
    const ask = () => lane(new Request("http://localhost/script"), context);
    const first = ask();
    expect(ask()).toBe(first);
    filename = "b.js";
    expect(ask()?.headers["content-disposition"]).toBe("attachment; filename=b.js");
  });

  test.each([
    ["a query", "/script?key=a", "GET", ""],
    ["HEAD", "/script", "HEAD", ""],
    ["a key is needed", "/script", "GET", "right"],
  ])("%s is the router's", (_name, target, method, key) => {
    expect(hot(rig({}, key).deps, target, method)).toBeUndefined();
  });

  test("not offered is the router's", () => {
    expect(hot(rig({ allowed: false }).deps, "/script")).toBeUndefined();
  });
});
