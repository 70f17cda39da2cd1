/** Migu's side: how its lyric files are enciphered (the inverse of what a client does). */

const KEY = [27303562373562475n, 18014862372307051n, 22799692160172081n, 34058940340699235n];
const DELTA = 2654435769n;
const wrap = (value: bigint) => BigInt.asIntN(64, value);

/** XXTEA on signed 64-bit words, each written as 16 hex digits, big-endian. */
export function encryptMrc(text: string): string {
  const bytes = Buffer.from(text, "utf16le");
  const length = Math.max(2, Math.ceil(bytes.length / 8));
  const padded = Buffer.alloc(length * 8);
  bytes.copy(padded);
  const words = Array.from({ length }, (_, index) => padded.readBigInt64LE(index * 8));
  const at = (index: number) => words[(index + length) % length] ?? 0n;
  const rounds = 6 + Math.floor(52 / length);
  for (let round = 1; round <= rounds; round++) {
    const sum = BigInt(round) * DELTA;
    const e = Number((sum >> 2n) & 3n);
    for (let p = 0; p < length; p++) {
      const y = at(p + 1);
      const z = at(p - 1);
      const key = KEY[(p & 3) ^ e] ?? 0n;
      const first = wrap(wrap((z >> 5n) ^ wrap(y << 2n)) + wrap((y >> 3n) ^ wrap(z << 4n)));
      words[p] = wrap(at(p) + wrap(first ^ wrap(wrap(sum ^ y) + wrap(key ^ z))));
    }
  }
  return words.map((word) => BigInt.asUintN(64, word).toString(16).padStart(16, "0")).join("");
}
