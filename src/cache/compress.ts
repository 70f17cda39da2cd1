import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import type { CacheTier } from "./tier.ts";

/** Longest text that a stored value may unfold to (bytes): a damaged one must not fill the memory. */
const MAX_UNFOLDED = 64 << 20;
/** First characters of what is not stored as it is. */
const MARK = "\u0001";
const PACKED = `${MARK}z`;
const PLAIN = `${MARK}p`;

const decompress = promisify(zstdDecompress);

const sumOf = (text: string) => Bun.hash.xxHash32(text).toString(36);

/** zstd and base64 when that is shorter; text that looks like our mark is marked as plain. */
export async function pack(text: string, threshold: number): Promise<string> {
  if (text.length > threshold) {
    const packed = await Bun.zstdCompress(text);
    if (packed.length * 1.4 < text.length) return `${PACKED}${sumOf(text)}:${Buffer.from(packed).toString("base64")}`;
  }
  return text.startsWith(MARK) ? PLAIN + text : text;
}

/** @throws Error when the packed text is damaged or unfolds to more than 64 MiB. */
export async function unpack(text: string): Promise<string> {
  if (!text.startsWith(MARK)) return text;
  if (text.startsWith(PLAIN)) return text.slice(PLAIN.length);
  if (!text.startsWith(PACKED)) throw new Error("unknown form of a stored value");
  const colon = text.indexOf(":");
  const packed = Buffer.from(text.slice(colon + 1), "base64");
  const unpacked = (await decompress(packed, { maxOutputLength: MAX_UNFOLDED })).toString("utf8");
  // A frame that was cut short unfolds to less without complaint.
  if (sumOf(unpacked) !== text.slice(PACKED.length, colon)) throw new Error("damaged value");
  return unpacked;
}

/** The same tier, with long values compressed on their way in and unfolded on their way out. */
export function compressed<T extends CacheTier>(tier: T, threshold: number): T {
  const { entries } = tier;
  /** Compressions under way; a write that was overtaken by a later one of its key is dropped. */
  const packing = new Map<string, symbol>();
  return {
    ...tier,
    async get(key: string) {
      const entry = await tier.get(key);
      if (entry === undefined || !entry.value.startsWith(MARK)) return entry;
      try {
        return { ...entry, value: await unpack(entry.value) };
      } catch {
        // Damaged: as if it were not there; the next write replaces it.
        return undefined;
      }
    },
    async set(key: string, entry) {
      packing.delete(key);
      if (entry.value.length <= threshold && !entry.value.startsWith(MARK)) return tier.set(key, entry);
      const turn = Symbol();
      packing.set(key, turn);
      const value = await pack(entry.value, threshold);
      if (packing.get(key) !== turn) return;
      packing.delete(key);
      await tier.set(key, { ...entry, value });
    },
    async delete(key: string) {
      packing.delete(key);
      await tier.delete(key);
    },
    ...(entries === undefined
      ? {}
      : {
          async *entries(prefix: string) {
            for await (const [key, entry] of entries(prefix)) {
              const value = await unpack(entry.value).catch(() => undefined);
              if (value !== undefined) yield [key, { ...entry, value }];
            }
          },
        }),
  } satisfies CacheTier as T;
}
