import type { FileHandle } from "node:fs/promises";
import { readAt } from "./sniff.ts";

export interface OggFacts {
  /** The last page is broken off. */
  truncated: boolean;
  /** The last page says that it is the last. Some writers forget it. */
  ended: boolean;
  /** Samples up to the end of the last whole page. */
  granule: number;
}

/** A page has at most 255 segments of 255 bytes and a header of 282. */
const MAX_PAGE = 65_307;
const HEADER = 27;

/** @see https://www.rfc-editor.org/rfc/rfc3533#section-6 */
export async function readOggEnd(file: FileHandle, size: number): Promise<OggFacts | undefined> {
  const length = Math.min(size, MAX_PAGE * 2);
  const tail = await readAt(file, size - length, length);
  let truncated = false;
  for (let at = tail.length - HEADER; at >= 0; at--) {
    if (tail[at] !== 0x4f || tail[at + 1] !== 0x67 || tail[at + 2] !== 0x67 || tail[at + 3] !== 0x53) continue;
    if (tail[at + 4] !== 0) continue;
    const segments = tail.subarray(at + HEADER, at + HEADER + (tail[at + 26] ?? 0));
    const end = at + HEADER + (tail[at + 26] ?? 0) + segments.reduce((sum, segment) => sum + segment, 0);
    if (end > tail.length) {
      truncated = true;
      continue;
    }
    const view = new DataView(tail.buffer, tail.byteOffset + at, HEADER);
    const granule = view.getBigInt64(6, true);
    // −1 = no packet ends on this page.
    if (granule < 0n) continue;
    return { truncated, ended: ((tail[at + 5] ?? 0) & 4) !== 0, granule: Number(granule) };
  }
  return undefined;
}
