import type { FileHandle } from "node:fs/promises";
import { readAt } from "./sniff.ts";

export interface Mp4Facts {
  /** An atom goes beyond the file, or the index or the sound is missing. */
  truncated: boolean;
  /** Bytes of sound. */
  soundBytes: number;
}

/** @see https://developer.apple.com/documentation/quicktime-file-format/atoms */
export async function readMp4Atoms(file: FileHandle, size: number): Promise<Mp4Facts> {
  const seen = new Set<string>();
  let [at, soundBytes, broken] = [0, 0, false];
  for (let atoms = 0; at + 8 <= size && atoms < 100_000; atoms++) {
    const head = await readAt(file, at, 16);
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    const type = String.fromCharCode(...head.subarray(4, 8));
    const short = view.getUint32(0);
    const length = short === 1 && head.length === 16 ? Number(view.getBigUint64(8)) : short === 0 ? size - at : short;
    if (length < 8) {
      broken = true;
      break;
    }
    seen.add(type);
    if (type === "mdat") soundBytes += length - 8;
    at += length;
  }
  const whole = seen.has("moov") && seen.has("mdat") && at <= size;
  return { truncated: broken || !whole, soundBytes };
}
