import { type File, Mpeg4AppleTag, TagTypes } from "node-taglib-sharp";
import { QUALITY_FIELD, SONG_ID_FIELD, SOURCE_FIELD, type TrackTags } from "./track-tags.ts";

/** Free-form atoms: `----:com.apple.iTunes:NAME`. */
const MEAN = "com.apple.iTunes";
const ARTISTS = "ARTISTS";
const TRANSLATION = "LYRICS_TRANSLATION";
/** Names under which `ids` are looked for; free-form atoms cannot be listed. */
const ID_FIELDS = [SOURCE_FIELD, SONG_ID_FIELD, QUALITY_FIELD, "LX_SOURCE_NAME", "LX_ALBUM_ID"];

/**
 * iTunes-style atoms. `©ART` holds the artists in one line, as simple players show it; the free-form `ARTISTS` has them
 * one by one. @see https://developer.apple.com/documentation/quicktime-file-format/metadata_atom
 */
export function writeMp4(file: File, tags: TrackTags): void {
  const tag = file.getTag(TagTypes.Apple, true);
  if (!(tag instanceof Mpeg4AppleTag)) throw new Error("no MP4 tag could be made");
  if (tags.title !== undefined) tag.title = tags.title;
  if (tags.artists !== undefined) {
    tag.performers = tags.artists;
    tag.setItunesStrings(MEAN, ARTISTS, ...(tags.artists.length > 1 ? tags.artists : []));
  }
  if (tags.album !== undefined) tag.album = tags.album;
  if (tags.albumArtists !== undefined) tag.albumArtists = tags.albumArtists;
  if (tags.track !== undefined) tag.track = tags.track;
  if (tags.disc !== undefined) tag.disc = tags.disc;
  if (tags.year !== undefined) tag.year = tags.year;
  if (tags.genres !== undefined) tag.genres = tags.genres;
  if (tags.lyric !== undefined) tag.lyrics = tags.lyric;
  if (tags.translation !== undefined) tag.setItunesStrings(MEAN, TRANSLATION, tags.translation);
  for (const [name, value] of Object.entries(tags.ids ?? {})) tag.setItunesStrings(MEAN, name, value);
}

/** What the common fields of a tag do not tell. */
export function readMp4(file: File): Partial<TrackTags> {
  const tag = file.getTag(TagTypes.Apple, false);
  if (!(tag instanceof Mpeg4AppleTag)) return {};
  const translation = tag.getFirstItunesString(MEAN, TRANSLATION);
  const ids = ID_FIELDS.flatMap((name) => {
    const value = tag.getFirstItunesString(MEAN, name);
    return value ? [[name, value] as const] : [];
  });
  const artists = tag.getItunesStrings(MEAN, ARTISTS);
  return {
    ...(artists.length === 0 ? {} : { artists }),
    ...(translation ? { translation } : {}),
    ids: Object.fromEntries(ids),
  };
}
