import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createDigestIndex, sameSecret, sha256 } from "../../src/access/digest.ts";
import { createKeys } from "../../src/access/keys.ts";
import { createTables } from "../../src/access/store.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createRig } from "./rig.ts";

function keysRig(configured: string[] = ["114514"]) {
  const db = openDatabase(":memory:", silentLogger);
  createTables(db);
  let time = 1_800_000_000_000;
  const make = () => createKeys({ db, configured, now: () => time });
  const pass = (seconds: number) => {
    time += seconds * 1000;
  };
  return { db, make, keys: make(), pass, now: () => time };
}

test("config keys and stored keys are found; others, and near misses, are not", () => {
  const { keys } = keysRig(["114514", "k2"]);
  const { secret, key } = keys.add("phone", { note: "mine" });
  expect(keys.find("k2")).toMatchObject({ name: "config-2", origin: "config" });
  expect(keys.find(secret)).toMatchObject({ name: "phone", origin: "stored", note: "mine", id: key.id });
  for (const wrong of [
    "",
    "114515",
    "11451",
    "1145144",
    `${secret} `,
    secret.slice(0, -1),
    secret.toUpperCase(),
    "x".repeat(600),
  ]) {
    expect(keys.find(wrong)).toBeUndefined();
  }
});

test("a stored key is nowhere to be read: only its hash is kept", () => {
  const { db, keys } = keysRig();
  const { secret } = keys.add("phone", {});
  const dump = JSON.stringify(db.query("SELECT name, hex(digest), note FROM access_keys").all());
  expect(dump).not.toContain(secret.slice(4));
  expect(JSON.stringify(keys.list())).not.toContain(secret.slice(4));
  expect(dump).toContain(Buffer.from(sha256(secret)).toString("hex").toUpperCase());
});

describe("rights", () => {
  test.each([
    ["per minute", { perMinute: 2 }, 60, "key限速"],
    ["per day", { perDay: 2 }, 86_400, "key今日次数已用完"],
  ] as const)("quota %s", (_, rights, window, message) => {
    const it = keysRig();
    const { key } = it.keys.add("phone", rights);
    expect([it.keys.charge(key), it.keys.charge(key)]).toEqual([undefined, undefined]);
    const refused = it.keys.charge(key);
    expect(refused).toMatchObject({ message });
    expect(refused instanceof Promise ? 0 : refused?.retryAfterSeconds).toBeGreaterThan(window * 0.9);
    it.pass(window * 1.05);
    expect(it.keys.charge(key)).toBeUndefined();
  });

  test("being too fast does not use up the day", () => {
    const it = keysRig();
    const { key } = it.keys.add("phone", { perMinute: 1, perDay: 3 });
    for (let i = 0; i < 50; i++) it.keys.charge(key);
    it.pass(70);
    expect(it.keys.charge(key)).toBeUndefined();
  });

  test("the day's count and the last use outlive a restart", () => {
    const it = keysRig();
    const { secret, key } = it.keys.add("phone", { perDay: 2 });
    it.keys.charge(key);
    it.keys.close();
    const again = it.make();
    const found = again.find(secret);
    expect(found).toMatchObject({ uses: 1, usedAt: it.now() });
    if (found === undefined) return;
    expect(again.charge(found)).toBeUndefined();
    expect(again.charge(found)).toMatchObject({ message: "key今日次数已用完" });
  });

  test("expire", () => {
    const it = keysRig();
    const { secret, key } = it.keys.add("phone", { expiresAt: it.now() + 1000 });
    expect(it.keys.isExpired(key)).toBe(false);
    it.pass(1);
    const found = it.keys.find(secret);
    expect(found !== undefined && it.keys.isExpired(found)).toBe(true);
  });

  test("are changed, and a field that is not named stays", () => {
    const { keys } = keysRig();
    const { secret } = keys.add("phone", { note: "old", perDay: 5, sources: ["kg"] });
    keys.update("phone", { note: "new", qualities: ["320k"] });
    expect(keys.find(secret)).toMatchObject({ note: "new", perDay: 5, sources: ["kg"], qualities: ["320k"] });
  });
});

test.each([
  ["an empty name", "", {}],
  ["a name of the config's", "config-1", {}],
  ["a name with a line break", "a\nb", {}],
  ["a negative quota", "a", { perMinute: -1 }],
  ["half a quota", "a", { perDay: 0.5 }],
  ["an end in the past", "a", { expiresAt: 1 }],
  ["a note without end", "a", { note: "x".repeat(501) }],
])("refused: %s", (_, name, rights) => {
  const { keys } = keysRig();
  expect(() => keys.add(name, rights)).toThrow();
  expect(keys.list()).toHaveLength(1);
});

test("a name is taken once; a removed key is refused at once; config keys cannot be removed", () => {
  const { keys } = keysRig();
  const { secret } = keys.add("phone", {});
  expect(() => keys.add("phone", {})).toThrow("已有");
  expect([keys.remove("phone"), keys.remove("phone"), keys.remove("config-1")]).toEqual([true, false, false]);
  expect(keys.find(secret)).toBeUndefined();
  expect(keys.find("114514")).toBeDefined();
});

test("a changed config is followed", () => {
  const { keys } = keysRig();
  keys.configure(["new"]);
  expect([keys.find("114514"), keys.find("new")?.name]).toEqual([undefined, "config-1"]);
});

test("what another process adds is known after a reload", () => {
  const it = keysRig();
  const other = it.make();
  const { secret } = other.add("cli", {});
  expect(it.keys.find(secret)).toBeUndefined();
  it.keys.reload();
  expect(it.keys.find(secret)?.name).toBe("cli");
});

test("the index finds exactly what was put in", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { maxLength: 50 }), fc.string(), (secrets, other) => {
      const index = createDigestIndex<string>();
      for (const secret of secrets) index.set(sha256(secret), secret);
      return (
        secrets.every((secret) => index.find(secret) === secret) &&
        index.find(other) === (secrets.includes(other) ? other : undefined)
      );
    }),
  );
});

test("secrets are the same or not, whatever their lengths", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => sameSecret(a, b) === (a === b) && sameSecret(a, a)));
});

describe("at the gate", () => {
  const on = { "security.key.enable": true, "security.key.ban": false };
  const song = "/url/kg/1a2b3c/128k";
  const key = { headers: { "X-Request-Key": "114514" } };

  test.each([
    "/url/kg/a/128k",
    "/info/kg/a",
    "/lyric/kg/a",
    "/pic/kg/a",
    "/search/kg/song?query=a",
    "/mv/kg/a",
    "/playlist/kg/a",
    "/board/kg",
    "/board/kg/1",
    "/hot/kg",
    "/suggest/kg?query=a",
    "/comment/kg/a",
    "/url?source=kg",
    "/info?source=kg",
    "/lyric?source=kg",
    "/local/u?q=a",
    "/cache/a.mp3",
    "/webdav/kg/a/128k",
    "/webdav-proxy?url=a",
    "/foo/kg/a",
    "/foo/kg/a/b",
  ])("%s needs a key", async (target) => {
    await using rig = await createRig(on);
    expect((await rig.ask(target)).error).toMatchObject({ kind: "unauthorized", message: "key验证失败" });
    expect((await rig.ask(target, { headers: { "X-Request-Key": "x" } })).error?.kind).toBe("unauthorized");
    expect(await rig.ask(target, key)).toMatchObject({ authorised: true, keyName: "config-1" });
  });

  test.each([
    "/",
    "/script",
    "/script?key=x",
    "/nope",
    "/a/b",
    "/a/b/c/d/e",
    "/docs",
    "/docs/openapi.json",
    "/dashboard",
    "/favicon.ico",
    "/webdav-proxy",
    "/.well-known/acme-challenge/x",
  ])("%s needs none", async (target) => {
    await using rig = await createRig(on);
    expect((await rig.ask(target)).error).toBeUndefined();
  });

  test("a preflight carries no key, and is let through; a plain OPTIONS is not a way in", async () => {
    await using rig = await createRig({ ...on, "security.key.ban": true });
    const asks = { "Access-Control-Request-Method": "GET", Origin: "https://a.example" };
    expect((await rig.ask(song, { method: "OPTIONS", headers: asks })).error).toBeUndefined();
    expect((await rig.ask(song, { method: "OPTIONS" })).error?.kind).toBe("unauthorized");
  });

  test("the lyric adapter checks by itself", async () => {
    await using rig = await createRig(on, { gcspPath: "/client/cgi-bin/api.fcg" });
    expect((await rig.ask("/client/cgi-bin/api.fcg", { method: "POST" })).error).toBeUndefined();
    expect((await rig.ask("/client/cgi-bin/api.fcg")).error?.kind).toBe("unauthorized");
  });

  test("an expired key says so, and bans nobody", async () => {
    await using rig = await createRig({ ...on, "security.key.ban": true });
    const { secret } = rig.access.keys.add("old", { expiresAt: Date.now() + 60_000 });
    const headers = { "X-Request-Key": secret };
    expect((await rig.ask(song, { headers })).error).toBeUndefined();
    rig.pass(120);
    expect((await rig.ask(song, { headers })).error).toMatchObject({ kind: "unauthorized", message: "key已过期" });
    expect((await rig.ask("/")).error).toBeUndefined();
  });

  test("a quota ends in 429 with the time to wait", async () => {
    await using rig = await createRig(on);
    const { secret } = rig.access.keys.add("slow", { perMinute: 1 });
    const headers = { "X-Request-Key": secret };
    expect((await rig.ask(song, { headers })).error).toBeUndefined();
    const { error } = await rig.ask(song, { headers });
    expect([error?.kind, error?.message, (error?.retryAfterSeconds ?? 0) > 30]).toEqual([
      "rate_limited",
      "key限速",
      true,
    ]);
  });

  test("sources and qualities of a key", async () => {
    await using rig = await createRig(on);
    const { secret } = rig.access.keys.add("kg only", { sources: ["kg"], qualities: ["128k"] });
    const { peer, role, authorised, keyName } = await rig.ask(song, { headers: { "X-Request-Key": secret } });
    const context = { id: "1", startedAt: 0, peer, role, authorised, ...(keyName === undefined ? {} : { keyName }) };
    expect(() => rig.gate.mayAsk(context, "kg", "128k")).not.toThrow();
    expect(() => rig.gate.mayAsk(context, "kg")).not.toThrow();
    expect(() => rig.gate.mayAsk(context, "kg", "flac")).toThrow("音质");
    expect(() => rig.gate.mayAsk(context, "tx", "128k")).toThrow("平台");
    expect(() => rig.gate.mayAsk({ ...context, keyName: "config-1" }, "tx", "flac")).not.toThrow();
  });

  test("/script answers for itself; guessing there is counted, asking without a key is not", async () => {
    await using rig = await createRig({ ...on, "security.key.ban": true });
    expect([rig.gate.scriptKeyGood("114514"), rig.gate.scriptKeyGood("x"), rig.gate.scriptKeyGood("")]).toEqual([
      true,
      false,
      false,
    ]);
    expect((await rig.ask("/script")).error).toBeUndefined();
    expect((await rig.ask("/script?key=114514")).error).toBeUndefined();
    expect((await rig.ask("/script?key=x")).error).toBeUndefined();
    expect((await rig.ask("/script?key=114514")).error?.kind).toBe("banned");
  });

  test("whitelist_host frees loopback, and nobody else", async () => {
    await using rig = await createRig({ ...on, "security.whitelist_host": ["localhost", "::1"] });
    expect((await rig.ask(song, { host: "localhost:9763", peer: "127.0.0.1" })).error).toBeUndefined();
    expect((await rig.ask(song, { host: "[::1]:9763", peer: "::1" })).error).toBeUndefined();
    expect((await rig.ask(song, { host: "localhost" })).error?.kind).toBe("unauthorized");
    expect((await rig.ask(song, { host: "example.com", peer: "127.0.0.1" })).error?.kind).toBe("unauthorized");
    // What a proxy on loopback passes on is not loopback.
    for (const address of ["8.8.8.8", "127.0.0.1", "::1"]) {
      const forwarded = { host: "localhost", peer: "127.0.0.1", headers: { "X-Real-IP": address } };
      expect((await rig.ask(song, forwarded)).error?.kind).toBe("unauthorized");
    }
  });

  test("without keys everything is open, signed or not", async () => {
    await using rig = await createRig({});
    for (const target of [song, "/cache/a.mp3", "/local/c?q=a"]) expect((await rig.ask(target)).authorised).toBe(true);
    expect(rig.gate.scriptKeyGood("")).toBe(true);
    expect(rig.gate.ownLink("/cache/a.mp3")).toBe("/cache/a.mp3");
  });
});
