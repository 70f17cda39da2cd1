/// <reference lib="webworker" />
import { Database } from "bun:sqlite";
import { setPriority } from "node:os";
import { join } from "node:path";
import { readTrack } from "./read.ts";
import type { FromWorker, ReadOrder, ScanOrder, ToWorker } from "./scan-protocol.ts";
import type { FileState } from "./track.ts";
import { codeOf, walk } from "./walk.ts";

/** Runs in a worker: walks, offers what it finds in batches, and reads what the main thread wants of each. */

/** More would read a tenth faster, and requests would wait half as long again. */
const PARALLEL = 4;
/** Files told at once: what the main thread stores of one message must not hold requests up. */
const PART = 4;
const FILE_DEADLINE_MS = 15_000;

/** Files read between two write-backs of the log: SQLite does it by itself at about twice as many. */
const CHECKPOINT_FILES = 256;

/** As a command that is started with `nice`. */
const NICENESS = 10;

declare const self: Worker;

let answer: ((order: ReadOrder) => void) | undefined;

self.onmessage = (event: MessageEvent<ToWorker>) => {
  const order = event.data;
  if (order.type === "read") answer?.(order);
  else {
    scan(order).catch((error: unknown) => post({ type: "failed", reason: codeOf(error) }));
  }
};

function post(message: FromWorker): void {
  self.postMessage(message);
}

/**
 * Where requests and a scan want the same core, requests go first. Only on Linux is this the priority of the thread
 * alone; elsewhere it would be that of the whole server.
 */
function giveWay(): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(NICENESS);
  } catch {
    // Some containers forbid it.
  }
}

async function scan(order: ScanOrder): Promise<void> {
  giveWay();
  const database = order.database === "" ? undefined : new Database(order.database, { readwrite: true, create: false });
  try {
    await offerAll(order, database);
  } finally {
    database?.close();
  }
}

async function offerAll(order: ScanOrder, database: Database | undefined): Promise<void> {
  let unwritten = 0;
  const files = walk({
    roots: order.roots,
    extensions: new Set(order.extensions),
    followOutside: order.followOutside,
    maxFiles: order.maxFiles,
    onProblem: (root, path, reason) => post({ type: "problem", root, path, reason }),
  });
  let number = 0;
  let batch: FileState[] = [];
  for (;;) {
    const next = await files.next();
    if (!next.done) batch.push(next.value);
    if (batch.length >= order.batch || (next.done && batch.length > 0)) {
      unwritten += await offer(order, number++, batch);
      batch = [];
      if (unwritten >= CHECKPOINT_FILES) {
        writeBack(database);
        unwritten = 0;
      }
    }
    if (next.done) {
      post({ type: "done", ...next.value });
      return;
    }
  }
}

function writeBack(database: Database | undefined): void {
  try {
    // PASSIVE waits for nobody and makes nobody wait.
    database?.run("PRAGMA wal_checkpoint(PASSIVE)");
  } catch {
    // The main thread's own write-back comes later and says what is wrong.
  }
}

/** One batch at a time: the main thread's answer is the brake. @returns the number of files read */
async function offer(order: ScanOrder, batch: number, files: FileState[]): Promise<number> {
  const answered = new Promise<ReadOrder>((resolve) => {
    answer = resolve;
  });
  post({ type: "offer", batch, files });
  const { wanted } = await answered;
  let message: Extract<FromWorker, { type: "read" }> = { type: "read", batch, tracks: [], bad: [], last: false };
  const tell = (last: boolean) => {
    post({ ...message, last });
    message = { type: "read", batch, tracks: [], bad: [], last: false };
  };
  const queue = [...wanted];
  const work = async () => {
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
      const file = files[at];
      if (file === undefined) continue;
      try {
        const path = join(order.roots[file.root] ?? "", file.path);
        const options = { coverMaxBytes: order.coverMaxBytes, deadlineMs: FILE_DEADLINE_MS };
        const data = await readTrack(path, file.side, options);
        message.tracks.push({ at, data });
      } catch (error) {
        message.bad.push({ at, reason: error instanceof Error ? error.message.slice(0, 200) : String(error) });
      }
      if (message.tracks.length >= PART) tell(false);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  if (wanted.length > 0) tell(true);
  return wanted.length;
}
