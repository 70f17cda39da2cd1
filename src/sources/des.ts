/**
 * The DES of FIPS 46-3 as far as two platforms share it. Each of them changed tables and bit order; what they changed
 * is an argument here, what is left is the standard. None of this protects anything: the keys are public.
 */

/** Six-bit parts of the 16 round keys, first box first. */
export type Subkeys = readonly (readonly number[])[];

export interface DesOptions {
  /** Eight boxes of 64 values, row by row (row = 1st and 6th bit, column = 2nd to 5th). */
  boxes: readonly (readonly number[])[];
  /** Which bit of the right half the 48th of the expansion takes; 1 in the standard. */
  lastExpansion: 1 | 31;
}

/** One block as two halves, the first bit of the standard's numbering being the highest. */
export type BlockCipher = (left: number, right: number, keys: Subkeys) => [left: number, right: number];

const P = [
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];
export const PC1 = [
  57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55,
  47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];
export const PC2 = [
  14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30,
  40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
export const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

/** The standard's S-boxes, a hex digit per value. */
const BOXES = [
  "e4d12fb83a6c5907" + "0f74e2d1a6cb9538" + "41e8d62bfc973a50" + "fc8249175b3ea06d",
  "f18e6b34972dc05a" + "3d47f28ec01a69b5" + "0e7ba4d158c6932f" + "d8a13f42b67c05e9",
  "a09e63f51dc7b428" + "d709346a285ecbf1" + "d6498f30b12c5ae7" + "1ad069874fe3b52c",
  "7de3069a1285bc4f" + "d8b56f03472c1ae9" + "a690cb7df13e5284" + "3f06a1d8945bc72e",
  "2c417ab6853fd0e9" + "eb2c47d150fa3986" + "421bad78f9c5630e" + "b8c71e2d6f09a453",
  "c1af92680d34e75b" + "af427c9561de0b38" + "9ef528c3704a1db6" + "432c95fabe17608d",
  "4b2ef08d3c975a61" + "d0b7491ae35c2f86" + "14bdc37eaf680592" + "6bd814a7950fe23c",
  "d2846fb1a93e50c7" + "1fd8a374c56b0e92" + "7b419ce206adf358" + "21e74a8dfc90356b",
];

/** A fresh copy of the standard's S-boxes, to be changed at will. */
export function standardBoxes(): number[][] {
  return BOXES.map((box) => [...box].map((digit) => Number.parseInt(digit, 16)));
}

/** The cipher for one variant. Keys in order encrypt, reversed they decrypt. Making it takes a millisecond. */
export function createDes({ boxes, lastExpansion }: DesOptions): BlockCipher {
  const spread = boxes.map((box, index) => spreadBox(box, index));
  return (left, right, keys) => {
    let [l, r] = initial(left, right);
    for (const key of keys) {
      const next = l ^ round(r, key, spread, lastExpansion);
      l = r;
      r = next;
    }
    return final(r, l);
  };
}

/** A box with the permutation P applied to its output, indexed by the six bits as they come. */
function spreadBox(box: readonly number[], index: number): Int32Array {
  const table = new Int32Array(64);
  for (let six = 0; six < 64; six++) {
    const row = ((six >> 4) & 2) | (six & 1);
    const value = box[row * 16 + ((six >> 1) & 15)] ?? 0;
    let word = 0;
    for (const [bit, from] of P.entries()) {
      const within = from - 1 - index * 4;
      if (within >= 0 && within < 4 && (value >> (3 - within)) & 1) word |= 1 << (31 - bit);
    }
    table[six] = word;
  }
  return table;
}

function round(half: number, key: readonly number[], spread: readonly Int32Array[], lastExpansion: 1 | 31): number {
  let word = 0;
  for (let box = 0; box < 8; box++) {
    // Box i sees the bits 4i to 4i+5, where bit 0 is the 32nd and bit 33 the first.
    const turn = (box * 4 + 5) & 31;
    let six = ((half << turn) | (half >>> (32 - turn))) & 63;
    if (box === 7 && lastExpansion === 31) six = (six & 62) | ((half >>> 1) & 1);
    word |= spread[box]?.[six ^ (key[box] ?? 0)] ?? 0;
  }
  return word;
}

/** The initial permutation, as swaps of bit groups between the halves. */
function initial(left: number, right: number): [number, number] {
  let [l, r] = [left, right];
  let swap = ((l >>> 4) ^ r) & 0x0f0f0f0f;
  r ^= swap;
  l ^= swap << 4;
  swap = ((l >>> 16) ^ r) & 0x0000ffff;
  r ^= swap;
  l ^= swap << 16;
  swap = ((r >>> 2) ^ l) & 0x33333333;
  l ^= swap;
  r ^= swap << 2;
  swap = ((r >>> 8) ^ l) & 0x00ff00ff;
  l ^= swap;
  r ^= swap << 8;
  swap = ((l >>> 1) ^ r) & 0x55555555;
  return [l ^ (swap << 1), r ^ swap];
}

/** The inverse of `initial`: the same swaps from last to first. */
function final(left: number, right: number): [number, number] {
  let [l, r] = [left, right];
  let swap = ((l >>> 1) ^ r) & 0x55555555;
  r ^= swap;
  l ^= swap << 1;
  swap = ((r >>> 8) ^ l) & 0x00ff00ff;
  l ^= swap;
  r ^= swap << 8;
  swap = ((r >>> 2) ^ l) & 0x33333333;
  l ^= swap;
  r ^= swap << 2;
  swap = ((l >>> 16) ^ r) & 0x0000ffff;
  r ^= swap;
  l ^= swap << 16;
  swap = ((l >>> 4) ^ r) & 0x0f0f0f0f;
  return [l ^ (swap << 4), r ^ swap];
}

/** Groups 48 key bits into the eight six-bit parts of a round. */
export function sixes(bits: readonly number[]): number[] {
  return Array.from({ length: 8 }, (_, box) =>
    bits.slice(box * 6, box * 6 + 6).reduce((value, bit) => (value << 1) | bit, 0),
  );
}
