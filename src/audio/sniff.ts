import type { FileHandle } from "node:fs/promises";

export type Container = "mp3" | "flac" | "m4a" | "ogg" | "wav" | "aiff" | "ape" | "aac" | "wma" | "ac3" | "mka";

export type Sniffed =
  | { kind: "audio"; container: Container }
  | { kind: "not_audio"; what: "html" | "json" | "text" | "image" | "empty" | "playlist" }
  | { kind: "encrypted"; what: string }
  | { kind: "unknown" };

/** Platform-own containers: audio that is not ours to open. */
const ENCRYPTED: [string, string][] = [
  ["CTENFDAM", "ncm"],
  ["yeelion-kuwo", "kwm"],
  ["\x7c\xd5\x32\xeb\x86\x02\x7f\x4b", "kgm"],
  ["\x05\x28\xbc\x96\xe9\xe4\x5a\x43", "vpr"],
];

/** Looks at the first bytes (16 do; 64 are better for text); an ID3 tag in front says nothing: look behind it. */
export function sniff(head: Uint8Array): Sniffed {
  if (head.length === 0) return { kind: "not_audio", what: "empty" };
  const text = String.fromCharCode(...head.subarray(0, 64));
  for (const [magic, what] of ENCRYPTED) if (text.startsWith(magic)) return { kind: "encrypted", what };
  const container = containerOf(text, head);
  if (container !== undefined) return { kind: "audio", container };
  if (/^(?:\xff\xd8\xff|\x89PNG|GIF8|RIFF[\s\S]{4}WEBP)/.test(text)) return { kind: "not_audio", what: "image" };
  const plain = text.replace(/^\xef\xbb\xbf/, "").trimStart();
  if (/^#EXTM3U/.test(plain)) return { kind: "not_audio", what: "playlist" };
  if (/^<(?:!doctype|html|\?xml|head|body|script|error)/i.test(plain)) return { kind: "not_audio", what: "html" };
  if (/^[[{]\s*(?:["{}\]]|$)/.test(plain)) return { kind: "not_audio", what: "json" };
  const printable = head.subarray(0, 64).every((byte) => byte >= 0x20 || byte === 9 || byte === 10 || byte === 13);
  return printable ? { kind: "not_audio", what: "text" } : { kind: "unknown" };
}

function containerOf(text: string, head: Uint8Array): Container | undefined {
  if (text.startsWith("fLaC")) return "flac";
  if (text.startsWith("OggS")) return "ogg";
  if (text.slice(4, 8) === "ftyp") return "m4a";
  if (/^(?:RIFF|RF64)[\s\S]{4}WAVE/.test(text)) return "wav";
  if (/^FORM[\s\S]{4}AIF[FC]/.test(text)) return "aiff";
  if (text.startsWith("MAC ")) return "ape";
  if (text.startsWith("\x30\x26\xb2\x75\x8e\x66\xcf\x11")) return "wma";
  if (text.startsWith("\x1a\x45\xdf\xa3")) return "mka";
  if (text.startsWith("\x0b\x77")) return "ac3";
  const [first = 0, second = 0, third = 0] = head;
  if (first !== 0xff) return undefined;
  // ADTS has layer 0; MPEG audio has layer 1-3 and neither a free nor a forbidden bitrate or sampling rate.
  if ((second & 0xf6) === 0xf0) return "aac";
  const plausible = (second & 0xe0) === 0xe0 && (second & 0x06) !== 0 && (second & 0x18) !== 0x08;
  return plausible && third >> 4 !== 15 && third >> 4 !== 0 && (third & 0x0c) !== 0x0c ? "mp3" : undefined;
}

/** Bytes of the ID3v2 tags at the front (some files have two), 0 without. */
export async function id3Length(file: FileHandle): Promise<number> {
  let offset = 0;
  for (let tags = 0; tags < 4; tags++) {
    const head = await readAt(file, offset, 10);
    if (head.length < 10 || head[0] !== 0x49 || head[1] !== 0x44 || head[2] !== 0x33) break;
    const [, , , , , flags = 0, a = 0, b = 0, c = 0, d = 0] = head;
    offset += 10 + ((a << 21) | (b << 14) | (c << 7) | d) + ((flags & 0x10) !== 0 ? 10 : 0);
  }
  return offset;
}

/** Up to `length` bytes from `offset`; fewer at the end of the file. */
export async function readAt(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
