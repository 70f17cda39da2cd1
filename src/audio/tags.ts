import { ByteVector, File, type IPicture, Picture, PictureType } from "node-taglib-sharp";
import { pictureType } from "./picture.ts";
import type { TagFormat } from "./tag-format.ts";
import { type Id3Version, readId3, writeId3 } from "./tags-id3.ts";
import { readMp4, writeMp4 } from "./tags-mp4.ts";
import { readVorbis, writeVorbis } from "./tags-vorbis.ts";
import { cleanTags, type TrackTags } from "./track-tags.ts";

export interface TagOptions {
  /** Version of the ID3v2 tag in MP3 files. */
  id3Version: Id3Version;
}

/** What a file says about its sound. */
export interface SoundProperties {
  /** Seconds. */
  duration: number;
  /** kbit/s */
  bitrate: number;
  /** Hz */
  sampleRate: number;
  channels: number;
  /** 0 for lossy codecs. */
  bitsPerSample: number;
  codec: string;
}

const MIME: Record<TagFormat, string> = {
  mp3: "taglib/mp3",
  flac: "taglib/flac",
  m4a: "taglib/m4a",
  ogg: "taglib/ogg",
};

/**
 * Writes into the file itself, so give it a copy. The audio frames stay as they are; memory stays small because only
 * the tag is held and the rest is moved in blocks. Blocks the thread: tens of milliseconds for 50 MB.
 * @throws when the file is not of its format or cannot be written.
 */
export function writeTags(path: string, format: TagFormat, tags: TrackTags, options: TagOptions): void {
  const clean = cleanTags(tags);
  const file = File.createFromPath(path, MIME[format]);
  try {
    const pictures = clean.cover === undefined ? undefined : pictureOf(clean.cover);
    if (format === "mp3") writeId3(file, clean, options.id3Version);
    else if (format === "m4a") writeMp4(file, clean);
    else writeVorbis(file, clean);
    if (pictures !== undefined) file.tag.pictures = pictures;
    file.save();
  } finally {
    file.dispose();
  }
}

/** @throws when the file is not of its format. */
export function readTags(path: string, format: TagFormat): { tags: TrackTags; sound: SoundProperties } {
  const file = File.createFromPath(path, MIME[format]);
  try {
    const { tag, properties } = file;
    const cover = tag.pictures.find((item) => item.type === PictureType.FrontCover) ?? tag.pictures[0];
    const own = { mp3: readId3, flac: readVorbis, ogg: readVorbis, m4a: readMp4 }[format](file);
    const tags = cleanTags({
      title: tag.title,
      artists: tag.performers,
      album: tag.album,
      albumArtists: tag.albumArtists,
      track: tag.track,
      disc: tag.disc,
      year: tag.year,
      genres: tag.genres,
      lyric: tag.lyrics,
      ...own,
      ...(cover === undefined ? {} : { cover: cover.data.toByteArray() }),
    });
    const sound: SoundProperties = {
      duration: properties.durationMilliseconds / 1000,
      bitrate: properties.audioBitrate,
      sampleRate: properties.audioSampleRate,
      channels: properties.audioChannels,
      bitsPerSample: properties.bitsPerSample,
      codec: properties.description,
    };
    return { tags, sound };
  } finally {
    file.dispose();
  }
}

function pictureOf(bytes: Uint8Array): IPicture[] | undefined {
  const type = pictureType(bytes);
  if (type === undefined) return undefined;
  return [Picture.fromFullData(ByteVector.fromByteArray(bytes), PictureType.FrontCover, type, "")];
}
