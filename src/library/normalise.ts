import { simplify } from "./chinese.ts";

const MAX_NAME = 1024;
const DECODE_ROUNDS = 3;

/** One round of percent-decoding; malformed escapes stay, bytes that are not UTF-8 leave the text as it was. */
function unquote(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => decodeURIComponent(run));
  } catch {
    return text;
  }
}

/**
 * The file name in the form under which the original compares it: last path segment of either separator, decoded up
 * to three times, NFC, single blanks, no dots or blanks at the end.
 * The result may hold separators again (`%2f`); it is a key to compare, never a path to open.
 */
export function normaliseFilename(name: string): string {
  let out = lastSegment(name.slice(0, MAX_NAME));
  for (let round = 0; round < DECODE_ROUNDS; round++) {
    const decoded = unquote(out);
    if (decoded === out) break;
    out = decoded;
  }
  return out
    .normalize("NFC")
    .replace(/\s+/gu, " ")
    .trim()
    .replace(/[. ]+$/u, "");
}

export function lastSegment(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

/** Folder names of a path that another device sent, nearest first, in folded form; at most four. */
export function parentFolders(path: string): string[] {
  let decoded = path.slice(-MAX_NAME);
  for (let round = 0; round < DECODE_ROUNDS; round++) decoded = unquote(decoded);
  return decoded
    .split(/[/\\]+/)
    .slice(0, -1)
    .filter((part) => part !== "" && part !== "." && part !== "..")
    .slice(-4)
    .reverse()
    .map(fold);
}

const EXTENSION = /\.([a-z0-9]{1,5})$/i;

/** Name without its extension; "feat. X" and "No. 5" keep their dots. */
export function stemOf(name: string, extensions?: ReadonlySet<string>): string {
  const found = EXTENSION.exec(name)?.[1]?.toLowerCase();
  if (found === undefined || name.length === found.length + 1) return name;
  if (extensions !== undefined && !extensions.has(found)) return name;
  return name.slice(0, -found.length - 1);
}

const PLAIN = /^[\x20-\x7e]*$/;

/** One spelling for what looks alike: width, case, quotes, dashes, blanks, traditional and simplified. */
export function fold(text: string): string {
  if (PLAIN.test(text)) return text.toLowerCase().replace(/ +/g, " ").trim();
  return simplify(text.normalize("NFKC"))
    .toLowerCase()
    .replace(/[\u200b-\u200f\u2060\ufeff\u00ad]|\p{Variation_Selector}/gu, "")
    .replace(/[‘’‛′`´]/g, "'")
    .replace(/[“”„″]/g, '"')
    .replace(/[‐‑‒–—―−]/g, "-")
    .replace(/[〜∼]/g, "~")
    .replace(/[・·•∙‧]/g, "·")
    .replace(/\s+/gu, " ")
    .trim();
}

const LATIN_MARKED = /[\u00c0-\u024f\u1e00-\u1eff]/;

/**
 * Letters and digits only, without Latin accents. A text or a part of it made of signs alone ("???", "Moby - ∞")
 * keeps them, and digits that were apart stay so: "1+1" is not "11".
 */
export function compact(folded: string): string {
  const plain = LATIN_MARKED.test(folded)
    ? folded
        .normalize("NFD")
        .replace(/(\p{Script=Latin})\p{M}+/gu, "$1")
        .normalize("NFC")
    : folded;
  const letters = plain.replace(/[^\p{L}\p{N}\p{M}]+/gu, (signs: string, at: number) => {
    const [before, after] = [plain[at - 1] ?? "", plain[at + signs.length] ?? ""];
    if (/\d/.test(before) && /\d/.test(after)) return ".";
    if (!/[-_]/.test(signs)) return "";
    const parts = signs.replace(/\s+/g, "").split(/[-_]+/);
    return parts.slice(before === "" ? 0 : 1, after === "" ? undefined : -1).join("");
  });
  return letters === "" ? folded.replace(/\s+/g, "") : letters;
}
