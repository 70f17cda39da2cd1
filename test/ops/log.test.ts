import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { AppError } from "../../src/core/errors.ts";
import { createLogger, type LogOptions, maskFields } from "../../src/ops/log.ts";

const SECRET = "s3cret-value";

describe("masking by name", () => {
  const names = [
    ...[
      "password",
      "passwd",
      "pass",
      "secret",
      "token",
      "cookie",
      "set-cookie",
      "authorization",
      "key",
      "session",
      "by",
    ],
    ...["qqmusic_key", "refresh_key", "access_token", "refresh_token", "musickey", "MUSIC_U", "authst", "hmac_key"],
    ...["x-request-key", "X-Request-Key", "refreshToken", "accessKey", "userPassword", "privkey", "Cookie", "TOKEN"],
  ];
  test.each(names.map((name) => ({ name })))("$name", ({ name }) => {
    expect(maskFields({ [name]: SECRET }, 100)).toEqual({ [name]: "***" });
    expect(maskFields({ a: [{ b: { [name]: { inner: SECRET } } }] }, 100)).toEqual({ a: [{ b: { [name]: "***" } }] });
    expect(maskFields(new Map([[name, SECRET]]), 100)).toEqual({ [name]: "***" });
  });

  test.each([
    "keys",
    "source",
    "songId",
    "entry",
    "monkey",
    "turnkey",
    "tokenizer",
    "passed",
    "baby",
    "byte",
    "hotkeyword",
  ])("%s is no secret", (name) => {
    expect(maskFields({ [name]: "shown" }, 100)).toEqual({ [name]: "shown" });
  });

  test.each([[""], [null], [undefined], [false], [true]])("a secret that is %p says only that", (value) => {
    expect(maskFields({ token: value }, 100)).toEqual({ token: value });
  });
});

test.each(["cookie", "authorization", "x-request-key"])("header %s", (name) => {
  expect(maskFields(new Headers({ [name]: SECRET, accept: "*/*" }), 100)).toEqual({ [name]: "***", accept: "*/*" });
});

describe("masking inside texts", () => {
  test.each([
    [`/script?key=${SECRET}&checkUpdate=1`, "/script?key=***&checkUpdate=1"],
    [`Cookie: os=pc; MUSIC_U=${SECRET}; x=1`, "Cookie: os=pc; MUSIC_U=***; x=1"],
    [`http://h/?a=1&access_token=${SECRET}#f`, "http://h/?a=1&access_token=***"],
    [`qqmusic_key=${SECRET}`, "qqmusic_key=***"],
    ["monkey=1 keyword=2", "monkey=1 keyword=2"],
  ])("%s", (text, shown) => {
    expect(maskFields({ text }, 200)).toEqual({ text: shown });
  });

  test("an error's message, code and cause", () => {
    const error = Object.assign(new Error(`no answer from http://h/?token=${SECRET}`), { code: "ECONNRESET" });
    const app = new AppError("internal", "内部服务器错误", { cause: error });
    expect(maskFields({ error: app }, 200)).toEqual({
      error: { error: "内部服务器错误", cause: { error: "no answer from http://h/?token=***", code: "ECONNRESET" } },
    });
  });

  test("a fault of our own brings its place, others do not", () => {
    expect(maskFields(new TypeError("x"), 500)).toHaveProperty("stack", expect.stringContaining("log.test.ts"));
    expect(maskFields(new Error("x"), 500)).toEqual({ error: "x" });
  });
});

describe("size", () => {
  test("long texts are cut, bytes counted, lists and depth bounded", () => {
    expect(maskFields("x".repeat(60), 50)).toBe(`${"x".repeat(50)}…`);
    expect(maskFields({ body: new Uint8Array(1 << 20) }, 50)).toEqual({ body: "(1048576 bytes)" });
    expect(maskFields(Array.from({ length: 1000 }), 50)).toHaveLength(50);
    let deep: unknown = SECRET;
    for (let i = 0; i < 50; i++) deep = { deep };
    expect(JSON.stringify(maskFields(deep, 50)).length).toBeLessThan(200);
  });

  test("a circle ends", () => {
    const circle: Record<string, unknown> = {};
    for (let i = 0; i < 50; i++) circle[`c${i}`] = circle;
    expect(JSON.stringify(maskFields(circle, 50)).length).toBeLessThan(100_000);
  });

  test("a getter that throws", () => {
    const odd = {
      get bad() {
        throw new Error("no");
      },
    };
    expect(maskFields({ odd }, 50)).toEqual({ odd: {} });
  });

  test("any value becomes a line, and no secret is in it", () => {
    const lines: string[] = [];
    const log = createLogger({
      level: "debug",
      format: "json",
      lengthLimit: 100,
      write: (line) => void lines.push(line),
    });
    fc.assert(
      fc.property(
        fc.object({ withBigInt: true, withDate: true, withMap: true, withSet: true, withNullPrototype: true }),
        (value) => {
          lines.length = 0;
          log.info("any", { value, deep: [{ token: SECRET, value }] });
          expect(lines).toHaveLength(1);
          expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", message: "any" });
          expect(lines[0]).not.toContain(SECRET);
        },
      ),
    );
  });
});

describe("lines", () => {
  const now = () => new Date("2026-11-21T08:09:10Z");
  function logger(options: Partial<LogOptions> = {}) {
    const lines: string[] = [];
    const log = createLogger({
      level: "info",
      format: "json",
      lengthLimit: 100,
      now,
      write: (line) => void lines.push(line),
      ...options,
    });
    return { log, lines };
  }

  test("json", () => {
    const { log, lines } = logger();
    log.child({ id: "r1" }).warn("source refused", { source: "kg", songId: "a" });
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      time: "2026-11-21T08:09:10.000Z",
      level: "warn",
      message: "source refused",
      id: "r1",
      source: "kg",
      songId: "a",
    });
  });

  test("pretty: one line whatever the values hold", () => {
    const { log, lines } = logger({ format: "pretty" });
    log.info("config changed", { keys: ["a.b"], name: "x y\nz\u001b[31m", plain: "a/b:1" });
    expect(lines[0]).toEndWith('INFO  config changed keys=["a.b"] name="x y\\nz\\u001b[31m" plain=a/b:1');
    expect(lines[0]).not.toContain("\n");
  });

  test("levels, changed while running", () => {
    const { log, lines } = logger();
    log.debug("no");
    log.setLevel("debug");
    log.debug("yes");
    log.setLevel("error");
    log.child({ a: 1 }).warn("no");
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(["yes"]);
  });
});

describe("the file", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "lx-log-"));
  });
  afterEach(async () => {
    await chmod(folder, 0o700);
    await rm(folder, { recursive: true });
  });

  const fileLogger = (file: string, fileBytes?: number) =>
    createLogger({
      level: "info",
      format: "pretty",
      lengthLimit: 100,
      file,
      write: () => {},
      ...(fileBytes === undefined ? {} : { fileBytes }),
    });

  test("has every line after flush, in order, as JSON, for the owner only", async () => {
    const file = join(folder, "logs", "lx.log");
    const log = fileLogger(file);
    for (let i = 0; i < 1000; i++) log.info("line", { i, token: SECRET });
    await log.flush();
    const rows = (await readFile(file, "utf8")).trim().split("\n");
    expect(rows.map((row) => JSON.parse(row).i)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(rows.join()).not.toContain(SECRET);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test("rotates to .1 and keeps one old file; no line is lost between", async () => {
    const file = join(folder, "lx.log");
    const log = fileLogger(file, 2000);
    for (let i = 0; i < 60; i++) {
      log.info("line", { i });
      await log.flush();
    }
    const read = async (path: string) =>
      (await readFile(path, "utf8"))
        .trim()
        .split("\n")
        .map((row) => Number(JSON.parse(row).i));
    const both = [...(await read(`${file}.1`)), ...(await read(file))];
    expect(both.at(-1)).toBe(59);
    expect(both).toEqual(Array.from({ length: both.length }, (_, i) => 60 - both.length + i));
    expect((await stat(`${file}.1`)).size).toBeLessThan(2200);
  });

  test("that cannot be written stops nothing, and what was lost is counted", async () => {
    const file = join(folder, "logs", "lx.log");
    await mkdir(file, { recursive: true });
    const log = fileLogger(file);
    log.info("lost");
    await log.flush();
    await rm(file, { recursive: true });
    log.info("kept");
    await log.flush();
    const rows = (await readFile(file, "utf8"))
      .trim()
      .split("\n")
      .map((row) => JSON.parse(row));
    expect(rows.map((row) => row.message)).toEqual(["kept", "log lines dropped"]);
    expect(rows[1].count).toBe(1);
  });

  test("a burst is bounded in memory", async () => {
    const file = join(folder, "lx.log");
    const log = fileLogger(file);
    for (let i = 0; i < 10_500; i++) log.info("line");
    await log.flush();
    const rows = (await readFile(file, "utf8")).trim().split("\n");
    expect(rows).toHaveLength(10_001);
    expect(JSON.parse(rows.at(-1) ?? "")).toMatchObject({ message: "log lines dropped", count: 500 });
  });
});
