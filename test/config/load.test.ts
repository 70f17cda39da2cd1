import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { parse, stringify } from "yaml";
import { nearest } from "../../src/config/decode.ts";
import { parseConfig } from "../../src/config/load.ts";
import { changedKeys, maskConfig, renderDefault, secretsOf } from "../../src/config/render.ts";

const defaults = parseConfig("");

describe("config/default.yml", () => {
  test("is what the schema generates", async () => {
    const file = await Bun.file(join(import.meta.dir, "../../config/default.yml")).text();
    expect(file).toBe(renderDefault());
  });

  test("gives the same config as an empty file", () => {
    expect(parseConfig(renderDefault())).toEqual(defaults);
  });

  test("comments every key in both languages", () => {
    const lines = renderDefault().split("\n");
    const bare = lines.filter(
      (line, index) => /^\s*[\w-]+:/.test(line) && !/^\s*# .+ \/ .+/.test(lines[index - 1] ?? ""),
    );
    expect(bare).toEqual([]);
  });
});

describe("what stops the start", () => {
  test.each([
    [
      "unknown key with a hint",
      "common: {portss: [1]}",
      ["common.portss", "an unknown key", 'did you mean "common.ports"'],
    ],
    ["unknown root", "comon: {}", ["comon", 'did you mean "common"']],
    ["wrong type", "common: {ports: many}", ["common.ports", '"many"', "a list of a whole number"]],
    ["out of range", "common: {ports: [70000]}", ["common.ports[0]", "70000", "from 0 to 65535"]],
    ["fraction where whole", "common: {ports: [1.5]}", ["common.ports[0]", "1.5"]],
    ["word that is no choice", "module: {kw: {proto: bd_api}}", ["module.kw.proto", '"bd-api"', "did you mean"]],
    ["not an address", "common: {upstream_gateway: 127.0.0.1}", ["common.upstream_gateway", "an http(s) address"]],
    [
      "quality that does not exist",
      "common: {download_config: {quality: {kg: [129k]}}}",
      ["common.download_config.quality.kg[0]", "129k"],
    ],
    ["map where a list belongs", "security: {key: {values: {a: b}}}", ["security.key.values", "a list of text"]],
    [
      "keys required but none given",
      "security: {key: {enable: true, values: []}}",
      ["security.key.values", "at least one key"],
    ],
    ["the same port twice", "common: {ports: [80, 80]}", ["common.ports", "80 twice"]],
    [
      "a host that is none",
      "common: {hosts: ['my nas']}",
      ["common.hosts[0]", '"my nas"', "an address or a host name"],
    ],
    ["an address that is none", "common: {hosts: [127.0.0.1, 256.1.1.1]}", ["common.hosts[1]", '"256.1.1.1"']],
    ["a host with its port", "common: {hosts: ['0.0.0.0:9763']}", ["common.hosts[0]", '"0.0.0.0:9763"']],
    ["an address as a host", "common: {hosts: ['http://0.0.0.0']}", ["common.hosts[0]"]],
    [
      "an origin without its scheme",
      "security: {cors: {origins: [a.example.com]}}",
      ["security.cors.origins[0]", '"a.example.com"', "https://a.example.com"],
    ],
    [
      "an origin with a path",
      "security: {cors: {origins: ['*', 'https://a.example.com/app']}}",
      ["security.cors.origins[1]", "https://a.example.com/app"],
    ],
    ["nothing to listen on", "common: {ports: []}", ["common.ports", "an empty list"]],
    ["not YAML", "common: [", ["not YAML"]],
    ["a scalar instead of a file", "hello", ["config", '"hello"']],
  ])("%s", (_name, text, parts) => {
    let message = "";
    try {
      parseConfig(text);
    } catch (error) {
      message = error instanceof Error ? error.message : "";
    }
    for (const part of parts) expect(message).toContain(part);
  });

  test("every problem is told at once", () => {
    expect(() => parseConfig("common: {ports: [x], hosts: 1}\nsecurity: {keys: {}}")).toThrow(
      /ports[\s\S]*keys|keys[\s\S]*ports/,
    );
  });

  test("a wrong secret is not shown", () => {
    expect(() => parseConfig("security: {key: {values: hunter2}}")).toThrow("a string");
    expect(() => parseConfig("security: {key: {values: hunter2}}")).not.toThrow("hunter2");
  });
});

describe("what is understood", () => {
  test("digits stay text where text is wanted, leading zeros and all", () => {
    const config = parseConfig("module: {kg: {user: {userid: 00123456789012345678901}}, tx: {user: {uin: 10086}}}");
    expect(config.module.kg.user.userid).toBe("00123456789012345678901");
    expect(config.module.tx.user.uin).toBe("10086");
  });

  test("a key without a value keeps its default", () => {
    expect(parseConfig("common:\n  fakeip:\n  ports:\n").common.ports).toEqual([9763]);
  });

  test("platforms left out of download_config.quality are not offered", () => {
    expect(parseConfig("common: {download_config: {quality: {wy: [flac]}}}").common.download_config.quality).toEqual({
      kw: [],
      kg: [],
      tx: [],
      wy: ["flac"],
      mg: [],
    });
  });

  test("every form of a host and of an origin", () => {
    const hosts = ["0.0.0.0", "::", "[::]", "fe80::1", "localhost", "music_1.example.com.", "2nd.host"];
    const origins = ["*", "null", "https://a.example.com", "http://[::1]:8080/", "app://lx", "capacitor://localhost"];
    const config = parseConfig(JSON.stringify({ common: { hosts }, security: { cors: { origins } } }));
    expect(config.common.hosts).toEqual(hosts);
    expect(config.security.cors.origins).toEqual(origins);
  });

  test("anchors and aliases", () => {
    expect(
      parseConfig("common: {ports: &p [1], hosts: [a]}\nsecurity: {rate_limit: {ip: 1, global: 1}}").common.ports,
    ).toEqual([1]);
  });
});

describe("LX__ environment", () => {
  test.each([
    ["a list", { LX__COMMON__PORTS: "[1, 2]" }, (config: typeof defaults) => config.common.ports, [1, 2]],
    ["a word", { LX__MODULE__KW__PROTO: "kuwodes" }, (config: typeof defaults) => config.module.kw.proto, "kuwodes"],
    [
      "a name with a dash",
      { LX__MODULE__KG__TRACKER__X_ROUTER__ENABLE: "false" },
      (config: typeof defaults) => config.module.kg.tracker["x-router"].enable,
      false,
    ],
    [
      "text that looks like YAML",
      { LX__COMMON__CACHE__REDIS__PASSWORD: "a: [b" },
      (config: typeof defaults) => config.common.cache.redis.password,
      "a: [b",
    ],
    [
      "text of digits",
      { LX__COMMON__CACHE__REDIS__PASSWORD: "007" },
      (config: typeof defaults) => config.common.cache.redis.password,
      "007",
    ],
  ])("%s", (_name, environment, read, expected) => {
    expect(read(parseConfig("", environment))).toEqual(expected as never);
  });

  test("wins over the file", () => {
    expect(parseConfig("common: {ports: [1], hosts: [h]}", { LX__COMMON__PORTS: "[2]" }).common).toMatchObject({
      ports: [2],
      hosts: ["h"],
    });
  });

  test("an unknown name stops the start with a hint", () => {
    expect(() => parseConfig("", { LX__COMMON__PORTZ: "1" })).toThrow('did you mean "LX__COMMON__PORTS"');
  });

  test("other variables are not ours", () => {
    expect(parseConfig("", { LX_DATA_DIR: "/x", PATH: "/bin" })).toEqual(defaults);
  });
});

describe("secrets", () => {
  const text =
    "security: {key: {values: [s3cret]}}\nmodule: {wy: {user: {cookie: MUSIC_U=abc}}, cookiepool: {kg: [{token: tok, userid: 1}]}}";

  test("are masked when printed", () => {
    const shown = JSON.stringify(maskConfig(parseConfig(text)));
    for (const secret of ["s3cret", "MUSIC_U=abc", "tok"]) expect(shown).not.toContain(`"${secret}"`);
    expect(shown).toContain('"***"');
  });

  test("are known, so that a leak can be looked for", () => {
    expect(secretsOf(parseConfig(text))).toEqual(expect.arrayContaining(["s3cret", "MUSIC_U=abc", "tok"]));
  });
});

test("changedKeys names what differs and whether it needs a restart", () => {
  const after = parseConfig("common: {ports: [1], allow_downgrade: true}");
  expect(changedKeys(defaults, after)).toEqual([
    { path: "common.ports", restart: true },
    { path: "common.allow_downgrade", restart: false },
  ]);
});

test("any config that is decoded prints as YAML and decodes to itself", () => {
  const ports = fc.uniqueArray(fc.integer({ min: 1, max: 65535 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(ports, fc.boolean(), fc.string(), (numbers, flag, name) => {
      const text = stringify({ common: { ports: numbers, allow_downgrade: flag, download_config: { name } } });
      const config = parseConfig(text);
      expect(parseConfig(stringify(config))).toEqual(config);
      expect(config.common.download_config.name).toBe(String(parse(text).common.download_config.name));
    }),
  );
});

test("anything else is refused with a message, never with another error", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        parseConfig(stringify(value));
      } catch (error) {
        expect(error).toHaveProperty("kind", "invalid_request");
      }
    }),
  );
});

test.each([
  ["prots", ["ports", "proxy"], "ports"],
  ["x", ["ports"], undefined],
  ["PORTS", ["ports"], "ports"],
])("nearest(%s)", (word, words, expected) => {
  expect(nearest(word, words)).toBe(expected as string);
});
