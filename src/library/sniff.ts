/** Bytes of a file's start that `audioExtension` wants to see. */
export const SNIFF_BYTES = 64;

const text = (bytes: Uint8Array, from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));

/**
 * The extension that audio of this content has; undefined = not audio that we know.
 * A leading ID3v2 tag says MP3 unless another container follows it, which only reading the file tells.
 */
export function audioExtension(bytes: Uint8Array): string | undefined {
  const four = text(bytes, 0, 4);
  switch (four) {
    case "fLaC":
      return "flac";
    case "OggS":
      return text(bytes, 28, 36) === "OpusHead" ? "opus" : "ogg";
    case "RIFF":
    case "RF64":
      return text(bytes, 8, 12) === "WAVE" ? "wav" : undefined;
    case "FORM":
      return /^AIF[FC]$/.test(text(bytes, 8, 12)) ? "aiff" : undefined;
    case "MAC ":
      return "ape";
    case "wvpk":
      return "wv";
    case "DSD ":
      return "dsf";
    case "FRM8":
      return "dff";
    case "\x30\x26\xb2\x75":
      return "wma";
    case "\x1a\x45\xdf\xa3":
      return "mka";
  }
  if (text(bytes, 4, 8) === "ftyp")
    return /^(?:M4A|M4B|mp4|isom|iso\d|dash|MSNV)/.test(text(bytes, 8, 12)) ? "m4a" : undefined;
  if (four.startsWith("ID3")) return "mp3";
  const [a, b = 0] = bytes;
  if (a !== 0xff) return undefined;
  if ((b & 0xf6) === 0xf0) return "aac";
  return (b & 0xe0) === 0xe0 && (b & 0x06) !== 0 && (b & 0x18) !== 0x08 ? "mp3" : undefined;
}
