import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { createSelfSigned } from "../../src/tls/self-signed.ts";
import { type CertificateStore, createCertificateStore } from "../../src/tls/store.ts";

let folder: string;
let store: CertificateStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-certs-"));
  store = createCertificateStore(join(folder, "certs"), Date.now);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const make = () => createSelfSigned({ names: ["a.test"], keyType: "ec", now: Date.now() });
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

test("a certificate comes back as it was stored, in a file for the owner only", async () => {
  const pair = await make();
  await store.save("acme", pair);
  expect(await store.load("acme")).toEqual(pair);
  expect(await modeOf(store.fileOf("acme"))).toBe("600");
  expect(await modeOf(join(folder, "certs"))).toBe("700");
  expect(await readdir(join(folder, "certs"))).toEqual(["acme.pem"]);
});

test("a reader sees the old pair or the new one, never a mixture", async () => {
  const pairs = await Promise.all([make(), make()]);
  await store.save("acme", pairs[0] ?? (await make()));
  let writing = true;
  const writer = (async () => {
    for (let i = 0; i < 40; i++) await store.save("acme", pairs[i % 2] ?? (await make()));
    writing = false;
  })();
  let reads = 0;
  while (writing) {
    const found = await store.load("acme");
    expect(pairs.some((pair) => pair.cert === found?.cert && pair.key === found.key)).toBe(true);
    reads++;
  }
  await writer;
  expect(reads).toBeGreaterThan(0);
});

describe("what is not a certificate is as if it were not there", () => {
  test.each([
    { name: "absent", text: undefined },
    { name: "empty", text: "" },
    { name: "half a file", text: "-----BEGIN PRIVATE KEY-----\nMIGH" },
    { name: "certificate without key", text: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
  ])("$name", async ({ text }) => {
    if (text !== undefined) await Bun.write(store.fileOf("acme"), text);
    expect(await store.load("acme")).toBeUndefined();
  });
});

test("a folder that cannot be written is said in words", async () => {
  await Bun.write(join(folder, "file"), "");
  const blocked = createCertificateStore(join(folder, "file", "certs"), Date.now);
  const failure = await blocked.save("acme", await make()).catch((error) => error);
  expect(failure).toMatchObject({ kind: "storage_failed" });
  expect(failure.message).toMatch(/acme\.pem cannot be written: a part of the path is a file/);
});

describe("the record of an ACME server", () => {
  const record = {
    accountKey: "key",
    accountUrl: "https://acme.test/1",
    failures: 2,
    nextAttemptAt: 5,
    lastError: "no",
  };

  test("is kept, for the owner only", async () => {
    await store.saveAcme("acme.test-1234", record);
    expect(await store.loadAcme("acme.test-1234")).toEqual(record);
    expect(await modeOf(join(folder, "certs/acme/acme.test-1234.json"))).toBe("600");
    expect(await store.loadAcme("other")).toBeUndefined();
  });

  test.each([
    { name: "no JSON", text: "{", found: undefined },
    { name: "another form", text: '{"failures":"many"}', found: undefined },
    {
      name: "older, without counts",
      text: '{"accountKey":"k"}',
      found: { accountKey: "k", failures: 0, nextAttemptAt: 0 },
    },
  ])("$name", async ({ text, found }) => {
    await Bun.write(join(folder, "certs/acme/s.json"), text);
    expect(await store.loadAcme("s")).toEqual(found as typeof record | undefined);
  });
});

describe("challenges", () => {
  test("answered by every process with the same folder, until taken away", async () => {
    await store.putChallenge("tok_en-1", "tok_en-1.print");
    const other = createCertificateStore(join(folder, "certs"), Date.now);
    expect(await other.challenge("tok_en-1")).toBe("tok_en-1.print");
    expect(await other.challenge("tok_en-2")).toBeUndefined();
    await store.removeChallenge("tok_en-1");
    expect(await other.challenge("tok_en-1")).toBeUndefined();
  });

  test("what a killed process left behind goes with the next one", async () => {
    await store.putChallenge("old", "x");
    const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
    await utimes(join(folder, "certs/acme/challenges/old"), hoursAgo, hoursAgo);
    await store.putChallenge("new", "y");
    expect(await readdir(join(folder, "certs/acme/challenges"))).toEqual(["new"]);
  });

  test("a token is never a path", async () => {
    await mkdir(join(folder, "certs/acme/challenges"), { recursive: true });
    await Bun.write(join(folder, "certs/acme/secret.json"), "secret");
    for (const token of ["../secret.json", "..%2fsecret.json", "..", ".", "a/b", "", "x".repeat(300), "a\0b"]) {
      expect(await store.challenge(token)).toBeUndefined();
      expect(await store.putChallenge(token, "x").catch((error) => error.kind)).toBe("upstream_changed");
    }
    await fc.assert(
      fc.asyncProperty(fc.string(), async (token) => {
        expect(await store.challenge(token)).toBeUndefined();
      }),
    );
  });
});
