import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Artist, Quality, QualityInfo, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import type { Call } from "../source.ts";
import { checkId, maybe, NAME, type WyClient } from "./client.ts";

const File = maybe(Type.Object({ size: maybe(Type.Number()) }));
type Listed = { size?: number | null } | null | undefined;
const Named = Type.Object({ id: maybe(Type.Number()), name: maybe(Type.String()) });

/** A song as `song/detail`, searches, playlists and albums write it. Every field but the id may be absent. */
export const SongItem = Type.Object({
  id: Type.Number(),
  name: maybe(Type.String()),
  ar: maybe(Type.Array(Named)),
  al: maybe(Type.Object({ id: maybe(Type.Number()), name: maybe(Type.String()), picUrl: maybe(Type.String()) })),
  dt: maybe(Type.Number()),
  mv: maybe(Type.Number()),
  no: maybe(Type.Number()),
  cd: maybe(Type.String()),
  publishTime: maybe(Type.Number()),
  l: File,
  m: File,
  h: File,
  sq: File,
  hr: File,
  /** Names of a song that its listener uploaded. */
  pc: maybe(Type.Object({ sn: maybe(Type.String()), ar: maybe(Type.String()), alb: maybe(Type.String()) })),
});
export type SongItem = Static<typeof SongItem>;

export const Privilege = Type.Object({
  id: maybe(Type.Number()),
  maxbr: maybe(Type.Number()),
  maxBrLevel: maybe(Type.String()),
});
export type Privilege = Static<typeof Privilege>;

const Detail = Type.Object({ songs: maybe(Type.Array(SongItem)), privileges: maybe(Type.Array(Privilege)) });
const Files = Type.Object({ data: maybe(Type.Object({ je: File, sk: File, db: File, jm: File })) });

/** The most that `song/detail` takes at once. */
export const DETAIL_LIMIT = 1000;
/** Levels whose sizes only `music/detail` tells. */
const BEYOND_HIRES = ["jyeffect", "sky", "dolby", "jymaster", "vivid"];

export function createSongs(client: WyClient) {
  /** In the order of the ids; songs that the platform does not know are left out. */
  async function details(ids: readonly string[], call: Call): Promise<{ item: SongItem; privilege?: Privilege }[]> {
    if (ids.length === 0) return [];
    const payload = { c: JSON.stringify(ids.map((id) => ({ id: Number(id) }))) };
    const reply = decode(Detail, (await client.eapi("/api/v3/song/detail", payload, call)).body, "wy");
    const found = new Map(withPrivileges(reply.songs ?? [], reply.privileges ?? []).map((one) => [one.item.id, one]));
    return ids.flatMap((id) => found.get(Number(id)) ?? []);
  }

  async function info(songId: string, call: Call): Promise<Song> {
    const [found] = await details([checkId(songId)], call);
    if (found === undefined) throw new AppError("upstream_not_found", `${NAME}: 没有找到该歌曲`);
    const song = toSong(found.item, found.privilege);
    if (!BEYOND_HIRES.includes(found.privilege?.maxBrLevel ?? "")) return song;
    return { ...song, qualities: { ...song.qualities, ...(await furtherQualities(songId, call)) } };
  }

  /** Sizes above hires. A song is worth telling without them. */
  async function furtherQualities(songId: string, call: Call): Promise<Song["qualities"]> {
    try {
      const { body } = await client.eapi("/api/song/music/detail/get", { songId }, call);
      const data = decode(Files, body, "wy").data;
      return {
        ...file("atmos", data?.je),
        ...file("sky", data?.sk),
        ...file("dolby", data?.db),
        ...file("master", data?.jm),
      };
    } catch (error) {
      call.step?.("wy further qualities failed", { error: String(error) });
      return {};
    }
  }

  async function cover(songId: string, call: Call, known?: Song): Promise<string> {
    const address = known?.cover ?? (await info(songId, call)).cover;
    if (address === undefined) throw new AppError("upstream_not_found", `${NAME}: 该歌曲没有封面`);
    return address;
  }

  return { info, cover, songs: async (ids: readonly string[], call: Call) => (await details(ids, call)).map(asSong) };
}

export type WySongs = ReturnType<typeof createSongs>;

export const asSong = (found: { item: SongItem; privilege?: Privilege }) => toSong(found.item, found.privilege);

/** `privileges` go in step with the songs, but name their ids, which is the surer way. */
export function withPrivileges(items: readonly SongItem[], privileges: readonly Privilege[]) {
  const byId = new Map(privileges.map((privilege) => [privilege.id, privilege]));
  return items.map((item) => {
    const privilege = byId.get(item.id);
    return privilege === undefined ? { item } : { item, privilege };
  });
}

/** @throws AppError `upstream_changed` when the song has no name. */
export function toSong(item: SongItem, privilege?: Privilege): Song {
  const name = decodeEntities(item.name || item.pc?.sn || "");
  if (name === "") {
    throw new AppError("upstream_changed", `${NAME}: 平台返回的数据格式已变化`, { detail: { id: item.id } });
  }
  const album = decodeEntities(item.al?.name || item.pc?.alb || "");
  const picture = item.al?.picUrl ?? "";
  return {
    source: "wy",
    songId: String(item.id),
    name,
    artists: artistsOf(item),
    ...(album === "" ? {} : { album: { name: album, ...(item.al?.id ? { id: String(item.al.id) } : {}) } }),
    ...(item.dt ? { durationSeconds: Math.round(item.dt / 1000) } : {}),
    ...(picture === "" ? {} : { cover: picture, sizableCover: `${picture}?param={size}y{size}` }),
    qualities: qualitiesOf(item, privilege),
    ...(item.publishTime && item.publishTime > 0 ? { publishDate: dateOf(item.publishTime) } : {}),
    ...(item.mv ? { mvId: String(item.mv) } : {}),
    ...(item.no ? { track: item.no } : {}),
    ...(Number.parseInt(item.cd ?? "", 10) > 0 ? { disc: Number.parseInt(item.cd ?? "", 10) } : {}),
    ids: {},
  };
}

function artistsOf(item: SongItem): Artist[] {
  const artists = (item.ar ?? []).flatMap(({ id, name }) =>
    name ? [{ name: decodeEntities(name), ...(id ? { id: String(id) } : {}) }] : [],
  );
  return artists.length > 0 || !item.pc?.ar ? artists : [{ name: decodeEntities(item.pc.ar) }];
}

/** Which exist: the privilege's word, where there is one, as LX believes it; else the files that are listed. */
function qualitiesOf(item: SongItem, privilege: Privilege | undefined): Song["qualities"] {
  const maxbr = privilege?.maxbr;
  const has = (br: number, listed: unknown) => (typeof maxbr === "number" && maxbr > 0 ? maxbr >= br : Boolean(listed));
  const hires = Boolean(item.hr) || privilege?.maxBrLevel === "hires";
  return {
    ...(has(128_000, item.l) ? { "128k": sized(item.l) } : {}),
    ...(has(192_000, item.m) ? { "192k": sized(item.m) } : {}),
    ...(has(320_000, item.h) ? { "320k": sized(item.h) } : {}),
    ...(has(999_000, item.sq) ? { flac: sized(item.sq) } : {}),
    ...(hires ? { flac24bit: sized(item.hr), hires: sized(item.hr) } : {}),
  };
}

function sized(listed: Listed): QualityInfo {
  return listed?.size ? { size: listed.size } : {};
}

function file(quality: Quality, listed: Listed): Song["qualities"] {
  return listed?.size ? { [quality]: sized(listed) } : {};
}

const CHINA_MS = 8 * 3_600_000;

/** yyyy-mm-dd in China, where the platform's days begin. */
export function dateOf(ms: number): string {
  const date = new Date(ms + CHINA_MS);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().slice(0, 10);
}
