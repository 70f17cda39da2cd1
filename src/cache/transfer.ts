import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Chain } from "./chain.ts";
import { decodeEnvelope } from "./envelope.ts";
import { kindOfKey } from "./keys.ts";
import { isCacheKind } from "./kinds.ts";
import type { CacheTier, Entry } from "./tier.ts";

export interface TransferCounts {
  /** Lines, rows or keys that were looked at. */
  read: number;
  written: number;
  /** Past their time. */
  expired: number;
  /** Of a kind or form that we have no use for. */
  skipped: number;
  /** Damaged. */
  invalid: number;
}

export const noCounts = (): TransferCounts => ({ read: 0, written: 0, expired: 0, skipped: 0, invalid: 0 });

/** One entry of an export; `value` is the stored envelope, see `envelope.ts`. `expiresAt`: Unix ms, null = no end. */
const Line = Type.Object({
  key: Type.String({ minLength: 1, maxLength: 2048 }),
  expiresAt: Type.Union([Type.Number(), Type.Null()]),
  value: Type.Unknown(),
});

const BATCH = 500;
/** Longest line that is read (characters). */
const MAX_LINE = 16 << 20;

type Tiers = Pick<ReadonlySet<CacheTier>, "has">;
const NONE: Tiers = new Set();

/** The tier that knows most: Redis, which all instances share; else SQLite; else memory. */
export function fullest(chain: Chain, unreachable: Tiers = NONE): CacheTier | undefined {
  const usable = chain.links.filter(
    ({ tier, reads }) => !reads.isOpen() && tier.entries !== undefined && !unreachable.has(tier),
  );
  const of = (name: string) => usable.find((link) => link.tier.name === name)?.tier;
  return of("redis") ?? of("sqlite") ?? of("memory");
}

/** Every live entry as one line of NDJSON. */
export async function* exportLines(chain: Chain, prefix: string, unreachable: Tiers = NONE): AsyncGenerator<string> {
  for await (const [key, { value, expiresAt }] of fullest(chain, unreachable)?.entries?.(prefix) ?? []) {
    if (decodeEnvelope(value) === undefined) continue;
    const end = Number.isFinite(expiresAt) ? expiresAt : null;
    // The envelope is JSON already; taking it apart and together again would change nothing.
    yield `{"key":${JSON.stringify(key)},"expiresAt":${end},"value":${value}}\n`;
  }
}

/** Entries of an export. Each line is checked by itself; a bad one is counted and left out. */
export async function* readLines(
  lines: AsyncIterable<string>,
  counts: TransferCounts,
): AsyncGenerator<[string, Entry]> {
  for await (const line of lines) {
    if (line.trim() === "") continue;
    counts.read += 1;
    const parsed = parseLine(line);
    if (parsed === undefined) counts.invalid += 1;
    else yield parsed;
  }
}

function parseLine(line: string): [string, Entry] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Value.Check(Line, value) || !isCacheKind(kindOfKey(value.key))) return undefined;
  const text = JSON.stringify(value.value);
  if (text === undefined || decodeEnvelope(text) === undefined) return undefined;
  return [value.key, { value: text, expiresAt: value.expiresAt ?? Number.POSITIVE_INFINITY }];
}

/** Writes entries behind the memory tier, no faster than the tiers take them. */
export async function writeAll(
  chain: Chain,
  entries: AsyncIterable<[string, Entry]>,
  counts: TransferCounts,
  options: {
    now: () => number;
    progress?: ((counts: TransferCounts) => void) | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const drain = () => Promise.all(chain.links.map((link) => link.tier.drain?.()));
  for await (const [key, entry] of entries) {
    options.signal?.throwIfAborted();
    if (entry.expiresAt <= options.now()) {
      counts.expired += 1;
      continue;
    }
    await chain.setBehind(key, entry);
    counts.written += 1;
    if (counts.written % BATCH === 0) {
      await drain();
      options.progress?.({ ...counts });
    }
  }
  await drain();
  options.progress?.({ ...counts });
}

/** Lines of a byte stream; a line beyond 16 MiB is given in pieces, which are then no entries. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > MAX_LINE) {
      yield rest;
      rest = "";
    }
  }
  yield rest + decoder.decode();
}
