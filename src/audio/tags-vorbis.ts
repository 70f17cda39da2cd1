import { type File, FlacTag, OggTag, TagTypes, type XiphComment } from "node-taglib-sharp";
import type { TrackTags } from "./track-tags.ts";

const TRANSLATION = "LYRICS_TRANSLATION";

/**
 * FLAC, Ogg Vorbis, Opus: one comment per value, names as Navidrome and Jellyfin read them.
 * @see https://www.xiph.org/vorbis/doc/v-comment.html
 */
export function writeVorbis(file: File, tags: TrackTags): void {
  // A FLAC from a platform may have an ID3 tag in front, which some players cannot skip.
  file.removeTags(TagTypes.Id3v1 | TagTypes.Id3v2 | TagTypes.Ape);
  const comment = commentOf(file, true);
  if (comment === undefined) throw new Error("no Vorbis comment could be made");
  const set = (name: string, ...values: string[]) => comment.setFieldAsStrings(name, ...values);
  if (tags.title !== undefined) set("TITLE", tags.title);
  if (tags.artists !== undefined) set("ARTIST", ...tags.artists);
  if (tags.album !== undefined) set("ALBUM", tags.album);
  if (tags.albumArtists !== undefined) set("ALBUMARTIST", ...tags.albumArtists);
  if (tags.track !== undefined) set("TRACKNUMBER", String(tags.track));
  if (tags.disc !== undefined) set("DISCNUMBER", String(tags.disc));
  if (tags.year !== undefined) set("DATE", String(tags.year));
  if (tags.genres !== undefined) set("GENRE", ...tags.genres);
  if (tags.lyric !== undefined) set("LYRICS", tags.lyric);
  if (tags.translation !== undefined) set(TRANSLATION, tags.translation);
  for (const [name, value] of Object.entries(tags.ids ?? {})) set(name, value);
}

/** What the common fields of a tag do not tell. */
export function readVorbis(file: File): Partial<TrackTags> {
  const comment = commentOf(file, false);
  if (comment === undefined) return {};
  const translation = comment.getFieldFirstValue(TRANSLATION);
  const names = comment.fieldNames.filter((name) => name.toUpperCase().startsWith("LX_"));
  return {
    ...(translation === undefined ? {} : { translation }),
    ids: Object.fromEntries(names.map((name) => [name.toUpperCase(), comment.getFieldFirstValue(name) ?? ""])),
  };
}

function commentOf(file: File, create: boolean): XiphComment | undefined {
  const { tag } = file;
  if (tag instanceof OggTag) return tag.comments[0];
  if (!(tag instanceof FlacTag)) return undefined;
  if (tag.xiphComment === undefined && create) tag.createTag(TagTypes.Xiph, true);
  return tag.xiphComment;
}
