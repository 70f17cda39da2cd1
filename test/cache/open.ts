import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAddressStore } from "../../src/cache/adapters.ts";
import type { StoredAddress } from "../../src/cache/codecs.ts";
import { type Cache, createCache } from "../../src/cache/index.ts";
import { cacheKey } from "../../src/cache/keys.ts";
import type { CacheConfig, CacheKind } from "../../src/cache/kinds.ts";
import type { Codec } from "../../src/cache/parsed.ts";
import type { Fields, Logger } from "../../src/ops/log.ts";
import { type cacheSettings, manualClock } from "./settings.ts";

export interface Line {
  level: "debug" | "info" | "warn" | "error";
  message: string;
  fields: Fields | undefined;
}

export function recordingLogger(lines: Line[]): Logger {
  const logger: Logger = {
    debug: (message, fields) => void lines.push({ level: "debug", message, fields }),
    info: (message, fields) => void lines.push({ level: "info", message, fields }),
    warn: (message, fields) => void lines.push({ level: "warn", message, fields }),
    error: (message, fields) => void lines.push({ level: "error", message, fields }),
    child: () => logger,
  };
  return logger;
}

/** A whole cache in a folder of its own, with a clock that stands. */
export async function openCache(settings: ReturnType<typeof cacheSettings>, folder?: string) {
  const own = folder ?? (await mkdtemp(join(tmpdir(), "lx-cache-")));
  const clock = manualClock();
  const lines: Line[] = [];
  const config: { current: CacheConfig } = { current: settings };
  const cache: Cache = createCache({
    config: () => config.current,
    databasePath: join(own, "cache.db"),
    log: recordingLogger(lines),
    now: clock.now,
    random: () => 0.5,
  });
  return {
    cache,
    addresses: createAddressStore(cache),
    clock,
    lines,
    config,
    folder: own,
    async [Symbol.asyncDispose]() {
      await cache.close();
      if (folder === undefined) await rm(own, { recursive: true, force: true });
    },
  };
}

export const address = (url: string, changes: Partial<StoredAddress> = {}): StoredAddress => ({
  url,
  quality: "320k",
  lifetimeSeconds: 1000,
  route: "kg",
  ...changes,
});

/** Takes whatever was stored; the forms themselves are tested where they are made. */
export function anyCodec<T>(): Codec<T> {
  return { decode: (value) => value as T };
}

export interface CatalogRequest {
  kind: Exclude<CacheKind, "url">;
  /** Source first, then what is asked for. */
  parts: string[];
  bypass: boolean;
}

/** Questions that are not for addresses, on this cache. */
export function createCatalogStore(cache: Cache) {
  return {
    through<T>({ kind, parts: [source = "-", id = "-", ...rest], bypass }: CatalogRequest, load: () => Promise<T>) {
      const key = cacheKey({ kind, source, id, options: Object.fromEntries(rest.entries()) });
      return cache.through<T>({ kind, key, codec: anyCodec<T>(), bypass, load });
    },
  };
}

/** Who asks, from this address. */
export const by = (address: string) => ({ peer: { address } });
