import { once } from "../../core/once.ts";
import { createDes, PC1, PC2, SHIFTS, type Subkeys, sixes, standardBoxes } from "../des.ts";

/**
 * QQ Music's triple DES for lyrics. It differs from the standard in the byte order of the halves (block and key), in
 * two S-box values, and in the right half of PC-2.
 * @see vectors `qdes`
 */
const KEYS = ["!@#)(NHL", "123ZXC!@", "!@#)(*$%"] as const;

function boxes(): number[][] {
  const changed = standardBoxes();
  // S2 row 1 column 7, S4 row 3 column 5, counted from 0.
  changed[1]?.splice(16 + 7, 1, 15);
  changed[3]?.splice(48 + 5, 1, 10);
  return changed;
}

function subkeys(key: string): Subkeys {
  const bytes = Buffer.from(key, "latin1");
  const swapped = Buffer.alloc(8);
  swapped.writeUInt32BE(bytes.readUInt32LE(0), 0);
  swapped.writeUInt32BE(bytes.readUInt32LE(4), 4);
  const bit = (index: number) => ((swapped[(index - 1) >> 3] ?? 0) >> (7 - ((index - 1) & 7))) & 1;
  let c = PC1.slice(0, 28).map(bit);
  let d = PC1.slice(28).map(bit);
  return SHIFTS.map((shift) => {
    c = [...c.slice(shift), ...c.slice(0, shift)];
    d = [...d.slice(shift), ...d.slice(0, shift)];
    // Entry v of the right half takes bit v−27 of D, so that the highest finds nothing and gives 0.
    return sixes(PC2.map((v) => (v <= 28 ? (c[v - 1] ?? 0) : (d[v - 28] ?? 0))));
  });
}

/** Tables, made by the first who needs them. */
const tables = once(() => {
  const [first, second, third] = KEYS.map(subkeys) as [Subkeys, Subkeys, Subkeys];
  const backwards = (keys: Subkeys) => [...keys].reverse();
  return {
    des: createDes({ boxes: boxes(), lastExpansion: 1 }),
    /** Decrypt, encrypt, decrypt. */
    read: [backwards(first), second, backwards(third)],
    /** The inverse. */
    write: [third, backwards(second), first],
  };
});

/** ECB over whole blocks of 8 bytes; a rest shorter than a block is dropped. */
export function decryptBlocks(bytes: Uint8Array): Uint8Array {
  return crypt(bytes, "read");
}

export function encryptBlocks(bytes: Uint8Array): Uint8Array {
  return crypt(bytes, "write");
}

function crypt(bytes: Uint8Array, direction: "read" | "write"): Uint8Array {
  const { des, [direction]: steps } = tables();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.byteLength - (bytes.byteLength % 8);
  const out = new DataView(new ArrayBuffer(length));
  for (let at = 0; at < length; at += 8) {
    let left = view.getInt32(at, true);
    let right = view.getInt32(at + 4, true);
    for (const keys of steps) [left, right] = des(left, right, keys);
    out.setInt32(at, left, true);
    out.setInt32(at + 4, right, true);
  }
  return new Uint8Array(out.buffer);
}
