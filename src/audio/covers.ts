import { rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SourceId } from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import { syncFile } from "./disk.ts";
import { keyText } from "./names.ts";
import { extensionOfPicture, pictureType } from "./picture.ts";
import type { Placer } from "./place.ts";
import type { AudioStore, StoredFile } from "./store.ts";
import type { FetchStream } from "./transfer.ts";

export interface CoversDeps {
  store: AudioStore;
  placer: Placer;
  fetchStream: FetchStream;
  log: Logger;
  now: () => number;
}

/** Covers beside the audio: `<source>_<songId>_cover.jpg`. */
export interface Covers {
  /** @param from the bytes, or the address of the picture. */
  keep(
    source: SourceId,
    songId: string,
    from: string | Uint8Array,
    signal: AbortSignal,
  ): Promise<StoredFile | undefined>;
}

const MAX_BYTES = 10 << 20;
const DEADLINE_MS = 15_000;

export function createCovers({ store, placer, fetchStream, log, now }: CoversDeps): Covers {
  const flights = new Map<string, Promise<StoredFile | undefined>>();

  async function load(url: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
    const reply = await fetchStream(url, { headers: {}, signal: limit, offset: 0 });
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of reply.body ?? []) {
      length += chunk.length;
      if (reply.status !== 200 || length > MAX_BYTES) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  async function keep(source: SourceId, songId: string, from: string | Uint8Array, signal: AbortSignal) {
    try {
      const bytes = typeof from === "string" ? await load(from, signal) : from;
      const type = bytes === undefined ? undefined : pictureType(bytes);
      if (bytes === undefined || type === undefined || bytes.length > MAX_BYTES) return undefined;
      const key = { source, songId, quality: "cover" as const };
      const extension = extensionOfPicture(type);
      const name = store.nameFor(key, extension);
      if (name === undefined) return undefined;
      const path = join(store.folder, name);
      const temporary = placer.temporary(name);
      try {
        await writeFile(temporary, bytes);
        await syncFile(temporary);
        await rename(temporary, path);
      } finally {
        await rm(temporary, { force: true });
      }
      const { size, mtimeMs } = await stat(path);
      const times = { addedAt: now(), playedAt: now(), plays: 0 };
      const state = { pinned: false, tagged: false, state: "good" as const, lengthProven: false };
      const file: StoredFile = { ...key, name, path, extension, size, mtime: mtimeMs, ...times, ...state };
      store.put(file);
      return file;
    } catch (error) {
      log.warn("cover not cached", { source, songId, error });
      return undefined;
    }
  }

  return {
    keep(source, songId, from, signal) {
      const found = store.find(source, songId, "cover");
      if (found !== undefined) return Promise.resolve(found);
      const key = keyText({ source, songId, quality: "cover" });
      const flight = flights.get(key) ?? keep(source, songId, from, signal).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    },
  };
}
