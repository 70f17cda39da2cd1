/** More than any song has; what is longer is not a lyric. */
export const MAX_LYRIC_BYTES = 1 << 20;

/** True when every line that is not blank begins with "[", as the original checks it. */
export function isLyricValid(text: string | null | undefined): boolean {
  if (text === null || text === undefined || text === "") return false;
  return text.split("\n").every((line) => line.trim() === "" || line.trim().startsWith("["));
}

/** The lines that begin with "[" (times and marks), as the original keeps them. */
export function filterLyricLines(text: string): string {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line.startsWith("["))
    .join("\n");
}

const TIMED = /^\s*\[\d{1,3}:\d{1,2}/m;

/**
 * What is served of a lyric file: its bracketed lines.
 * @returns undefined when none of them is there
 */
export function lyricOfFile(bytes: Uint8Array): string | undefined {
  const lines = filterLyricLines(decodeLyric(bytes));
  return lines !== "" && isLyricValid(lines) ? lines : undefined;
}

/** What is served of a lyric in the tags: LRC is filtered like a file, plain text stays as it is. */
export function lyricOfTag(text: string): string | undefined {
  const clean = text
    .replace(/\0/g, "")
    .replace(/^\ufeff/, "")
    .replace(/\r\n?/g, "\n")
    .trim();
  if (clean === "") return undefined;
  return TIMED.test(clean) ? filterLyricLines(clean) : clean;
}

/** UTF-8, UTF-16 (with or without a mark), else GB18030: what lyric files are written in. */
export function decodeLyric(bytes: Uint8Array): string {
  const [a, b, c] = bytes;
  if (a === 0xef && b === 0xbb && c === 0xbf) return utf8(bytes) ?? decoded(bytes, "utf-8");
  if (a === 0xff && b === 0xfe) return decoded(bytes, "utf-16le");
  if (a === 0xfe && b === 0xff) return decoded(bytes, "utf-16be");
  const order = utf16Order(bytes);
  if (order !== undefined) return decoded(bytes, order);
  return utf8(bytes) ?? decoded(bytes, "gb18030");
}

/** What does not fit becomes U+FFFD; a byte-order mark goes. */
const decoded = (bytes: Uint8Array, encoding: Bun.Encoding | "utf-16be" | "gb18030") =>
  new TextDecoder(encoding as Bun.Encoding).decode(bytes);

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** A lyric is full of ASCII brackets and digits: in UTF-16 every one brings a zero byte on the same side. */
function utf16Order(bytes: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  const sample = bytes.subarray(0, 512);
  let even = 0;
  let odd = 0;
  for (const [at, byte] of sample.entries()) {
    if (byte !== 0) continue;
    if (at % 2 === 0) even++;
    else odd++;
  }
  const many = sample.length / 8;
  if (odd > many && even <= odd / 8) return "utf-16le";
  if (even > many && odd <= even / 8) return "utf-16be";
  return undefined;
}
