import { type Lyric, SOURCE_NAMES, type Song } from "../core/types.ts";

/** What is written into a file, whatever its format. Absent or empty = what the file has stays. */
export interface TrackTags {
  title?: string;
  artists?: string[];
  album?: string;
  albumArtists?: string[];
  track?: number;
  disc?: number;
  year?: number;
  genres?: string[];
  /** LRC or plain text. */
  lyric?: string;
  /** LRC of the translation. */
  translation?: string;
  /** The bytes of an image; its type is found by its content. */
  cover?: Uint8Array;
  /** Ids by name (letters, digits, `_`): `LX_SOURCE`, `LX_SONG_ID`, … */
  ids?: Record<string, string>;
}

/** Fields by which a file on disk tells whose it is. */
export const SOURCE_FIELD = "LX_SOURCE";
export const SONG_ID_FIELD = "LX_SONG_ID";
export const QUALITY_FIELD = "LX_QUALITY";

/** The tags of a song as the platforms know it. */
export function tagsOfSong(song: Song, lyric?: Lyric, cover?: Uint8Array): TrackTags {
  const year = Number(/^(\d{4})/.exec(song.publishDate ?? "")?.[1] ?? 0);
  const ids: Record<string, string> = {
    [SOURCE_FIELD]: song.source,
    [SONG_ID_FIELD]: song.songId,
    LX_SOURCE_NAME: SOURCE_NAMES[song.source],
  };
  if (song.album?.id) ids["LX_ALBUM_ID"] = song.album.id;
  for (const [name, value] of Object.entries(song.ids)) {
    const field = name
      .replace(/([a-z])([A-Z])/g, "$1_$2")
      .replace(/[^A-Za-z0-9_]/g, "")
      .toUpperCase();
    if (field !== "" && value !== "") ids[`LX_${field}`] = value;
  }
  return {
    title: song.name.trim(),
    artists: song.artists.map((artist) => artist.name.trim()).filter((name) => name !== ""),
    ...(song.album?.name ? { album: song.album.name.trim() } : {}),
    ...(song.track === undefined ? {} : { track: song.track }),
    ...(song.disc === undefined ? {} : { disc: song.disc }),
    ...(year > 0 ? { year } : {}),
    ...(song.genre === undefined ? {} : { genres: song.genre }),
    ...(lyric?.lyric ? { lyric: lyric.lyric } : {}),
    ...(lyric?.tlyric ? { translation: lyric.tlyric } : {}),
    ...(cover === undefined ? {} : { cover }),
    ids,
  };
}

/**
 * Tags that every format can hold: no NUL (it ends text in ID3), no lone surrogates (they have no UTF-8 form), no
 * empty values, whole numbers within the 16 bits of MP4.
 */
export function cleanTags(tags: TrackTags): TrackTags {
  const line = (text: string | undefined) => text?.toWellFormed().replace(/\0/g, "").trim() || undefined;
  const lines = (texts: string[] | undefined) => {
    const kept = (texts ?? []).map(line).filter((text) => text !== undefined);
    return kept.length === 0 ? undefined : [...new Set(kept)];
  };
  const number = (value: number | undefined, most: number) =>
    value !== undefined && Number.isInteger(value) && value > 0 && value <= most ? value : undefined;
  const ids = Object.entries(tags.ids ?? {}).flatMap(([name, value]) => {
    const text = line(value);
    return text === undefined || !/^\w+$/.test(name) ? [] : [[name.toUpperCase(), text] as const];
  });
  return withoutUndefined({
    title: line(tags.title),
    artists: lines(tags.artists),
    album: line(tags.album),
    albumArtists: lines(tags.albumArtists),
    track: number(tags.track, 65_535),
    disc: number(tags.disc, 65_535),
    year: number(tags.year, 9999),
    genres: lines(tags.genres),
    lyric: line(tags.lyric),
    translation: line(tags.translation),
    cover: tags.cover,
    ids: ids.length === 0 ? undefined : Object.fromEntries(ids),
  });
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>;
}
