import { describe, expect, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { createHostList, hostName } from "../../src/access/host.ts";
import { checkLxm } from "../../src/access/lxm.ts";
import vectors from "../fixtures/access/vectors.json";
import { createRig } from "./rig.ts";

test.each([
  ["localhost", "localhost"],
  ["localhost:9763", "localhost"],
  ["[::1]:9763", "::1"],
  ["[::1]", "::1"],
  ["::1", "::1"],
  ["[::1", "[::1"],
  ["", ""],
])("the name in %p is %p", (header, name) => expect(hostName(header)).toBe(name));

describe("host list", () => {
  const list = createHostList(["localhost", "Music.Example.com", "::1", "[2001:DB8::5]"]);
  test.each([
    ["localhost:1", true],
    ["music.example.com", true],
    ["Music.Example.com:80", true],
    ["[::1]:9763", true],
    ["[0:0:0:0:0:0:0:1]", true],
    ["[2001:db8::5]:1", true],
    // compat/golden.jsonl, allowed-host/05
    ["LOCALHOST", false],
    ["localhost.evil.example", false],
    ["evil.example", false],
    ["[::2]", false],
    ["localhost@evil", false],
    ["", false],
    [null, false],
  ])("%p: %p", (header, expected) => expect(list.has(header)).toBe(expected));
});

/** The header as LX Music makes it for an address. */
function lxmOf(url: string, version: string): string {
  const path = url.replace(/^https?:\/\/[\w.:]+\//, "/");
  const [numbers = "", suffix = ""] = version.split("-");
  const padded = numbers
    .split(".")
    .map((part) => part.padStart(3, "0"))
    .join("");
  const content = JSON.stringify(`${path}${padded}`.match(/(?:\d\w)+/g), null, 1) + padded;
  const packed = deflateRawSync(Buffer.from(Buffer.from(content).toString("base64")));
  return `${packed.toString("hex")}&${Number.parseInt(padded, 10)}${suffix}`;
}

describe("lxm", () => {
  const path = "/url/kg/41f45664e8235b786990cbf213cd4725/128k";
  test.each([
    ["as the client sends it", lxmOf(`http://music.example.com:9763${path}`, "2.7.0"), true],
    ["another version", lxmOf(`http://127.0.0.1:9763${path}`, "1.12.2"), true],
    ["a pre-release", lxmOf(`http://127.0.0.1:9763${path}`, "2.8.0-beta"), true],
    [
      "a host with a hyphen, which the client does not cut off",
      lxmOf(`https://my-host1a.example${path}`, "2.7.0"),
      true,
    ],
    ["behind a path prefix", lxmOf(`https://a.example/1x2y${path}`, "2.7.0"), true],
    ["of another song", lxmOf("http://a.example/url/kg/51f45664e8235b786990cbf213cd4725/128k", "2.7.0"), false],
    ["of another quality", lxmOf("http://a.example/url/kg/41f45664e8235b786990cbf213cd4725/320k", "2.7.0"), false],
    ["with another version number", `${lxmOf(`http://a.example${path}`, "2.7.0").split("&")[0]}&2008000`, false],
    ["missing", null, false],
    ["empty", "", false],
    ["not hexadecimal", "zz&1", false],
    ["not compressed", "00ff&1", false],
    ["a bomb", `${deflateRawSync(Buffer.alloc(1 << 20)).toString("hex")}&1`, false],
    ["the recorded one, which is of no address", vectors.lxm_header.cases[0]?.lxm ?? "", false],
  ])("%s", (_, header, expected) => expect(checkLxm(header, path)).toBe(expected));

  test("percent-encoded on the wire, plain when signed", () => {
    const header = lxmOf("http://a.example/search/kg/1a?query=晴天 2b", "2.7.0");
    expect(checkLxm(header, "/search/kg/1a?query=%E6%99%B4%E5%A4%A9%202b")).toBe(true);
  });

  test("any header at all is judged without an exception", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f]{0,40}&[0-9]{1,5}$/)),
        (text) => !checkLxm(text, path),
      ),
    );
  });
});

describe("lxm at the gate", () => {
  const on = { "security.check_lxm": true, "security.lxm_ban": true };
  const path = "/url/kg/1a2b3c/128k";
  const good = { lxm: lxmOf(`http://music.example.com${path}`, "2.7.0") };

  test("lets the good one through: the original refused everyone", async () => {
    await using rig = await createRig(on);
    expect((await rig.ask(path, { headers: good })).error).toBeUndefined();
  });

  test("refuses and bans what fails", async () => {
    await using rig = await createRig(on);
    const refused = (await rig.ask(path)).error;
    expect([refused?.kind, refused?.message]).toEqual(["unauthorized", "lxm请求头验证失败"]);
    expect((await rig.ask("/")).error?.kind).toBe("banned");
  });

  test("does not ban when it should not, and asks players for nothing", async () => {
    await using rig = await createRig({ ...on, "security.lxm_ban": false });
    expect((await rig.ask(path)).error?.kind).toBe("unauthorized");
    expect((await rig.ask("/")).error).toBeUndefined();
    expect((await rig.ask("/cache/a.mp3")).error).toBeUndefined();
  });

  test("whitelist_host frees loopback, and nobody else", async () => {
    await using rig = await createRig({ ...on, "security.lxm_ban": false });
    expect((await rig.ask(path, { host: "localhost:9763", peer: "127.0.0.1" })).error).toBeUndefined();
    expect((await rig.ask(path, { host: "localhost" })).error?.kind).toBe("unauthorized");
    expect((await rig.ask(path, { host: "other", peer: "127.0.0.1" })).error?.kind).toBe("unauthorized");
  });
});
