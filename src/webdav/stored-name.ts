import { isQuality, isSourceId, QUALITIES, type Quality, type SourceId } from "../core/types.ts";

export interface StoredName {
  source: SourceId;
  songId: string;
  /** Absent for covers. */
  quality?: Quality;
  kind: "audio" | "cover";
}

const AUDIO = new RegExp(`^([a-z]{2})_(.+)_(${QUALITIES.join("|")})\\.([a-z0-9]{2,5})$`, "i");
const COVER = /^([a-z]{2})_(.+?)(?:_cover)?\.(?:jpe?g|png|webp)$/i;

/** Reads `<source>_<songId>_<quality>.<ext>` and `<source>_<songId>[_cover].<jpg>`, the names of stored files. */
export function parseStoredName(name: string): StoredName | undefined {
  const audio = AUDIO.exec(name);
  if (audio !== null) {
    const [, source = "", songId = "", quality = "", extension = ""] = audio;
    const lower = [source.toLowerCase(), quality.toLowerCase()] as const;
    if (isSourceId(lower[0]) && isQuality(lower[1]) && !/^(?:jpe?g|png|webp|lrc|tmp|part)$/i.test(extension)) {
      return { source: lower[0], songId, quality: lower[1], kind: "audio" };
    }
  }
  const cover = COVER.exec(name);
  if (cover === null) return undefined;
  const source = (cover[1] ?? "").toLowerCase();
  // A cover beside one quality belongs to the song.
  const songId = (cover[2] ?? "").replace(new RegExp(`_(?:${QUALITIES.join("|")})$`), "");
  return isSourceId(source) ? { source, songId, kind: "cover" } : undefined;
}
