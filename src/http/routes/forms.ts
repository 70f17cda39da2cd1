import type { Artist, Collection, Comment, Mv, Page, Song } from "../../core/types.ts";

/** The original's answer forms, made from the common ones. A field that the platform left out is absent. */

/** "3.91MB": two decimals at most, one at least, as the original prints it. */
export function formatSize(bytes: number): string {
  const units = ["B", "KB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  if (unit === 0) return `${Math.trunc(value)}B`;
  const rounded = Math.round(value * 100) / 100;
  return `${Number.isInteger(rounded) ? rounded.toFixed(1) : rounded}${units[unit]}`;
}

/** "04:15", from an hour on "01:00:00". */
export function formatLength(seconds: number): string {
  const whole = Math.trunc(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${two(hours)}:${two(minutes)}:${two(rest)}` : `${two(minutes)}:${two(rest)}`;
}

/** `/info`, and one item of `/search/{source}/song`. */
export function songForm(song: Song): Record<string, unknown> {
  return compact({
    name: song.name,
    name_ori: song.originalName ?? song.name,
    name_extra: song.nameExtra ?? "",
    singer: song.artists.map((artist) => artist.name).join("、"),
    singer_list: song.artists.map(artistForm),
    isoriginal: song.isOriginal,
    tag: song.tag,
    format_length: song.durationSeconds === undefined ? undefined : formatLength(song.durationSeconds),
    length: song.durationSeconds,
    hash: song.source === "kg" ? (song.ids["hash"] ?? song.songId) : undefined,
    media_mid: song.ids["mediaMid"],
    file_info: fileInfo(song),
    songmid: songmid(song),
    album_id: numeric(song.source, song.album?.id),
    album_mid: song.album?.mid,
    album: song.album?.name,
    bpm: song.bpm,
    language: song.language,
    cover: song.cover,
    sizable_cover: song.sizableCover,
    publish_date: song.publishDate,
    mvid: song.mvId,
    genre: song.genre ?? [],
    kmid: song.ids["kmid"],
    kid: song.ids["kid"] === undefined ? undefined : Number(song.ids["kid"]),
    copyright_id: song.ids["copyrightId"],
    subresult: song.variants?.map(songForm),
  });
}

function fileInfo(song: Song): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(song.qualities).map(([quality, info]) => [
      quality,
      compact({ hash: info.hash, size: info.size === undefined ? undefined : formatSize(info.size) }),
    ]),
  );
}

/** kg names its audio id here, the others the id that `/url` takes. */
function songmid(song: Song): string {
  return song.source === "kg" ? (song.ids["audioId"] ?? song.songId) : song.songId;
}

/** tx ids are numbers in the original's answers, all others text. */
function numeric(source: Song["source"], id: string | undefined): string | number | undefined {
  return source === "tx" && id !== undefined && /^\d{1,15}$/.test(id) ? Number(id) : id;
}

function artistForm(artist: Artist): Record<string, unknown> {
  return compact({
    id: artist.mid === undefined ? artist.id : numeric("tx", artist.id),
    mid: artist.mid,
    name: artist.name,
    type: artist.mid === undefined ? undefined : 0,
    avatar: artist.avatar,
    sizable_avatar: artist.sizableAvatar,
  });
}

export function collectionForm(item: Collection): Record<string, unknown> {
  return compact({
    id: item.id,
    name: item.name,
    author: item.author,
    cover: item.cover,
    description: item.description,
    total: item.songCount,
    play_count: item.playCount,
    publish_date: item.publishDate,
  });
}

export function pageForm<T>(page: Page<T>, form: (item: T) => unknown): Record<string, unknown> {
  return { total: page.total, page: page.page, size: page.size, list: page.list.map(form) };
}

export function mvForm(mv: Mv): Record<string, unknown> {
  return compact({
    name: mv.name,
    name_ori: mv.originalName ?? mv.name,
    name_extra: mv.nameExtra ?? "",
    filename: mv.ids["filename"],
    intro: mv.intro,
    music_hash: mv.ids["musicHash"],
    music_id: integer(mv.ids["musicId"]),
    format_length: mv.durationSeconds === undefined ? undefined : formatLength(mv.durationSeconds),
    length: mv.durationSeconds,
    hash: mv.source === "kg" ? (mv.ids["hash"] ?? mv.id) : undefined,
    vid: integer(mv.ids["vid"]) ?? mv.id,
    singer: mv.artists.map((artist) => artist.name).join("、"),
    singer_list: mv.artists.map(artistForm),
    tags: mv.tags ?? [],
    cover: mv.cover,
    sizable_cover: mv.sizableCover,
    play_info: Object.fromEntries(
      Object.entries(mv.files).map(([height, file]) => [
        height,
        compact({
          url: file.url,
          hash: file.hash,
          bitrate: file.bitrate,
          format_size: file.size === undefined ? undefined : formatSize(file.size),
          size: file.size,
        }),
      ]),
    ),
  });
}

export function commentForm(comment: Comment): Record<string, unknown> {
  return compact({
    id: comment.id,
    text: comment.text,
    time: comment.time,
    time_text: comment.timeText,
    location: comment.location,
    user: comment.user,
    likes: comment.likes,
    images: comment.images,
    reply_count: comment.replyCount,
    replies: comment.replies?.map(commentForm),
  });
}

function integer(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function compact(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
