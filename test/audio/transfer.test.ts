import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBandwidth } from "../../src/audio/bandwidth.ts";
import { createQueue } from "../../src/audio/queue.ts";
import { type TransferOptions, transfer } from "../../src/audio/transfer.ts";
import { isAppError } from "../../src/core/errors.ts";
import { type Manner, type Origin, startOrigin } from "./origin.ts";

const BYTES = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
BYTES.set(new TextEncoder().encode("ID3"));
const HASH = new Bun.CryptoHasher("sha256").update(BYTES).digest("hex");
const REVERSED = new Bun.CryptoHasher("sha256").update(BYTES.toReversed()).digest("hex");

let folder = "";
let origin: Origin;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-transfer-"));
  origin = startOrigin();
});
afterAll(async () => {
  await origin.stop();
  await rm(folder, { recursive: true });
});

function options(url: string, more: Partial<TransferOptions> = {}): TransferOptions {
  return {
    fetchStream: origin.fetchStream,
    url,
    headers: {},
    path: join(folder, crypto.randomUUID()),
    bandwidth: createBandwidth(() => 0),
    stallMs: 2000,
    retries: 3,
    maxBytes: 1 << 20,
    minFree: 0,
    signal: new AbortController().signal,
    sleep: async () => {},
    ...more,
  };
}

interface Row {
  name: string;
  manner: Manner;
  /** `Range` of each request. */
  ranges: string[];
  hash?: string;
}

const GOOD: Row[] = [
  { name: "whole", manner: {}, ranges: [""] },
  { name: "no length given", manner: { chunked: true }, ranges: [""] },
  { name: "broken once: goes on", manner: { breakAfter: 100_000 }, ranges: ["", "bytes=114688-"] },
  { name: "broken twice", manner: { breakAfter: 50_000, breaks: 2 }, ranges: ["", "bytes=65536-", "bytes=131072-"] },
  {
    name: "no ranges there: from the start",
    manner: { breakAfter: 100_000, noRange: true },
    ranges: ["", "bytes=114688-"],
  },
  {
    name: "other bytes meanwhile: from the start",
    manner: { breakAfter: 100_000, changes: true },
    ranges: ["", "bytes=114688-"],
    hash: REVERSED,
  },
  { name: "503, then well", manner: { status: 503 }, ranges: ["", ""] },
  { name: "429 twice, then well", manner: { status: 429, statusTimes: 2 }, ranges: ["", "", ""] },
];

test.each(GOOD)("$name", async ({ manner, ranges, hash = HASH }) => {
  origin.requests.length = 0;
  const wanted = options(origin.put(`/${crypto.randomUUID()}`, BYTES, { ...manner }));
  const got = await transfer(wanted);
  expect(got).toEqual({ bytes: BYTES.length, hash, resumed: ranges.length - 1 });
  expect(origin.requests).toEqual(ranges);
  const written = await Bun.file(wanted.path).bytes();
  expect(new Bun.CryptoHasher("sha256").update(written).digest("hex")).toBe(hash);
});

const HTML = "<!doctype html><title>403 Forbidden</title>";
test.each([
  { name: "404", file: BYTES, manner: { status: 404, statusTimes: 9 }, kind: "upstream_refused", requests: 1 },
  { name: "403", file: BYTES, manner: { status: 403, statusTimes: 9 }, kind: "upstream_refused", requests: 1 },
  { name: "an error page", file: HTML, manner: {}, kind: "upstream_refused", requests: 1 },
  { name: "nothing", file: "", manner: {}, kind: "upstream_refused", requests: 1 },
  {
    name: "500 for ever",
    file: BYTES,
    manner: { status: 500, statusTimes: 99 },
    kind: "upstream_unreachable",
    requests: 4,
  },
  {
    name: "always broken",
    file: BYTES,
    manner: { breakAfter: 1, breaks: 99 },
    kind: "upstream_unreachable",
    requests: 4,
  },
  {
    name: "a stall",
    file: BYTES,
    manner: { stallAfter: 20_000 },
    kind: "upstream_unreachable",
    requests: 4,
    stallMs: 50,
  },
  { name: "too large", file: BYTES, manner: {}, kind: "upstream_refused", requests: 1, maxBytes: 1000 },
  {
    name: "too large, no length given",
    file: BYTES,
    manner: { chunked: true },
    kind: "upstream_refused",
    requests: 1,
    maxBytes: 100_000,
  },
  {
    name: "not enough disk",
    file: BYTES,
    manner: {},
    kind: "storage_failed",
    requests: 1,
    minFree: Number.MAX_SAFE_INTEGER,
  },
])("$name -> $kind after $requests requests", async ({ file, manner, kind, requests, ...more }) => {
  origin.requests.length = 0;
  const { name: _name, ...limits } = more;
  const failure = await transfer(options(origin.put(`/${crypto.randomUUID()}`, file, { ...manner }), limits)).catch(
    (e) => e,
  );
  expect(isAppError(failure) ? failure.kind : failure).toBe(kind);
  expect(origin.requests.length).toBe(requests);
});

test("a full disk is told as such, and the file is closed", async () => {
  let closed = false;
  const openFile: NonNullable<TransferOptions["openFile"]> = async (path) => {
    const file = await open(path, "w");
    let left = 100_000;
    return {
      truncate: (length) => file.truncate(length),
      sync: () => file.sync(),
      close: async () => {
        closed = true;
        await file.close();
      },
      write: (async (buffer: Uint8Array, offset: number, length: number, position: number) => {
        if (left < length) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        left -= length;
        return file.write(buffer, offset, length, position);
      }) as never,
    };
  };
  const failure = await transfer(options(origin.put("/full", BYTES), { openFile })).catch((error) => error);
  expect(isAppError(failure) ? [failure.kind, failure.message] : failure).toEqual(["storage_failed", "磁盘空间不足"]);
  expect(closed).toBe(true);
});

test("a cancelled download ends at once", async () => {
  const control = new AbortController();
  const waiting = transfer(
    options(origin.put("/slow", BYTES, { stallAfter: 20_000 }), { signal: control.signal }),
  ).catch((e) => e);
  await Bun.sleep(20);
  control.abort(new Error("closed"));
  expect((await waiting).message).toBe("closed");
});

test("the bandwidth is shared: two takers wait for each other", async () => {
  let clock = 0;
  const slept: number[] = [];
  const bandwidth = createBandwidth(
    () => 1000,
    () => clock,
    async (ms) => {
      slept.push(ms);
      clock += ms;
    },
  );
  const { signal } = new AbortController();
  await bandwidth.take(2000, signal);
  expect(clock).toBe(2000);
  await bandwidth.take(500, signal);
  expect(clock).toBe(2500);
  expect(Math.max(...slept)).toBeLessThanOrEqual(500);
});

test("the queue keeps to its limits, per host and in all", async () => {
  const running = new Map<string, number>();
  let [most, mostOfOne, total] = [0, 0, 0];
  const queue = createQueue(() => ({ parallel: 4, perHost: 2, hostGapMs: 0, most: 100 }));
  const gate = Promise.withResolvers<void>();
  for (let index = 0; index < 40; index++) {
    const host = `host${index % 3}`;
    queue.add(host, async () => {
      running.set(host, (running.get(host) ?? 0) + 1);
      mostOfOne = Math.max(mostOfOne, running.get(host) ?? 0);
      most = Math.max(
        most,
        [...running.values()].reduce((sum, count) => sum + count, 0),
      );
      await gate.promise;
      await Bun.sleep(0);
      running.set(host, (running.get(host) ?? 0) - 1);
      total++;
    });
  }
  expect([queue.active, queue.waiting]).toEqual([4, 36]);
  gate.resolve();
  await queue.idle();
  expect({ most, mostOfOne, total }).toEqual({ most: 4, mostOfOne: 2, total: 40 });
});

test("the queue leaves a gap between starts of one host, and refuses what is too much", async () => {
  const starts: number[] = [];
  const queue = createQueue(() => ({ parallel: 10, perHost: 10, hostGapMs: 30, most: 2 }));
  const job = async () => void starts.push(performance.now());
  expect([queue.add("a", job), queue.add("a", job), queue.add("a", job), queue.add("a", job)]).toEqual([
    true,
    true,
    true,
    false,
  ]);
  await queue.idle();
  expect(starts.length).toBe(3);
  for (const [index, at] of starts.entries())
    if (index > 0) expect(at - (starts[index - 1] ?? 0)).toBeGreaterThanOrEqual(28);
});
