import {
  type File,
  Id3v2FrameClassType,
  type Id3v2FrameIdentifier,
  Id3v2FrameIdentifiers,
  Id3v2Settings,
  Id3v2Tag,
  Id3v2UnsynchronizedLyricsFrame,
  Id3v2UserTextInformationFrame,
  StringType,
  TagTypes,
} from "node-taglib-sharp";
import type { TrackTags } from "./track-tags.ts";

export type Id3Version = "2.3" | "2.4";

const TRANSLATION = "translation";
/** ISO 639-2; the platforms do not say which language a lyric is in. */
const UNKNOWN_LANGUAGE = "XXX";

/**
 * ID3v2.3 joins artists with "/", so that "AC/DC" alone cannot be told from two; `TXXX:ARTISTS` has them one by one.
 * ID3v1 and APE tags are removed: they cannot hold, or contradict, what ID3v2 says.
 * @see https://id3.org/id3v2.3.0
 */
export function writeId3(file: File, tags: TrackTags, version: Id3Version): void {
  const encoding = version === "2.4" ? StringType.UTF8 : StringType.UTF16;
  Id3v2Settings.defaultEncoding = encoding;
  Id3v2Settings.forceDefaultEncoding = true;
  Id3v2Settings.useNumericGenres = false;
  file.removeTags(TagTypes.Id3v1 | TagTypes.Ape);
  const tag = file.getTag(TagTypes.Id3v2, true);
  if (!(tag instanceof Id3v2Tag)) throw new Error("no ID3v2 tag could be made");
  tag.version = version === "2.4" ? 4 : 3;
  Id3v2Settings.defaultVersion = tag.version;

  if (tags.title !== undefined) tag.title = tags.title;
  if (tags.artists !== undefined) {
    tag.performers = tags.artists;
    setUserText(tag, "ARTISTS", tags.artists.length > 1 ? tags.artists : [], encoding);
  }
  if (tags.album !== undefined) tag.album = tags.album;
  if (tags.albumArtists !== undefined) tag.albumArtists = tags.albumArtists;
  if (tags.track !== undefined) setText(tag, Id3v2FrameIdentifiers.TRCK, String(tags.track));
  if (tags.disc !== undefined) setText(tag, Id3v2FrameIdentifiers.TPOS, String(tags.disc));
  if (tags.genres !== undefined) tag.genres = tags.genres;
  if (tags.year !== undefined) setYear(tag, tags.year);
  if (tags.lyric !== undefined) setLyrics(tag, "", tags.lyric, encoding);
  if (tags.translation !== undefined) setLyrics(tag, TRANSLATION, tags.translation, encoding);
  for (const [name, value] of Object.entries(tags.ids ?? {})) setUserText(tag, name, [value], encoding);
}

/** What the common fields of a tag do not tell. */
export function readId3(file: File): Partial<TrackTags> {
  const tag = file.getTag(TagTypes.Id3v2, false);
  if (!(tag instanceof Id3v2Tag)) return {};
  const texts = tag.getFramesByClassType<Id3v2UserTextInformationFrame>(Id3v2FrameClassType.UserTextInformationFrame);
  const artists = texts.find((frame) => frame.description === "ARTISTS")?.text.filter((text) => text !== "");
  const ids = texts.filter((frame) => frame.description.startsWith("LX_"));
  const lyrics = lyricFrames(tag);
  const lyric = lyrics.find((frame) => frame.description !== TRANSLATION)?.text;
  const translation = lyrics.find((frame) => frame.description === TRANSLATION)?.text;
  return {
    ...(artists === undefined || artists.length === 0 ? {} : { artists }),
    ...(lyric === undefined ? {} : { lyric }),
    ...(translation === undefined ? {} : { translation }),
    ids: Object.fromEntries(ids.map((frame) => [frame.description, frame.text[0] ?? ""])),
  };
}

/** The year has another frame in each version; a stale one would win in some players. */
function setYear(tag: Id3v2Tag, year: number): void {
  const { TDRC, TYER } = Id3v2FrameIdentifiers;
  for (const frame of [TDRC, TYER]) if (frame !== undefined) tag.removeFrames(frame);
  setText(tag, tag.version === 4 ? TDRC : TYER, String(year));
}

function setText(tag: Id3v2Tag, frame: Id3v2FrameIdentifier | undefined, text: string): void {
  if (frame === undefined) throw new Error("a frame that the tag library does not know");
  tag.setTextFrame(frame, text);
}

function setUserText(tag: Id3v2Tag, description: string, values: string[], encoding: StringType): void {
  for (const frame of tag.getFramesByClassType<Id3v2UserTextInformationFrame>(
    Id3v2FrameClassType.UserTextInformationFrame,
  )) {
    if (frame.description === description) tag.removeFrame(frame);
  }
  if (values.length === 0) return;
  const frame = Id3v2UserTextInformationFrame.fromDescription(description, encoding);
  frame.text = values;
  tag.addFrame(frame);
}

function lyricFrames(tag: Id3v2Tag): Id3v2UnsynchronizedLyricsFrame[] {
  return tag.getFramesByClassType<Id3v2UnsynchronizedLyricsFrame>(Id3v2FrameClassType.UnsynchronizedLyricsFrame);
}

/** One text per kind, whatever language tag the old one had: players show the first that they find. */
function setLyrics(tag: Id3v2Tag, description: string, text: string, encoding: StringType): void {
  for (const frame of lyricFrames(tag)) {
    if ((frame.description === TRANSLATION) === (description === TRANSLATION)) tag.removeFrame(frame);
  }
  const frame = Id3v2UnsynchronizedLyricsFrame.fromData(description, UNKNOWN_LANGUAGE, encoding);
  frame.text = text;
  tag.addFrame(frame);
}
