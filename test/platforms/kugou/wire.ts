import { createHash } from "node:crypto";
import type { Quality } from "../../../src/core/types.ts";
import type { CatalogSong, EmulatedAccount, PlatformRequest, World } from "../world.ts";
import { json } from "../world.ts";

/** The emulator's own reading of the platform's rules: nothing here comes from the source under test. */

export const md5 = (text: string) => createHash("md5").update(text).digest("hex");

export const EDITIONS: Record<string, { secret: string; keySecret: string; pid: string; loginKey: string }> = {
  "1005": {
    secret: "OIlwieks28dk2k092lksi2UIkp",
    keySecret: "57ae12eb6890223e355ccfcb74edf70d",
    pid: "2",
    loginKey: "90b8382a1bb4ccdcf063102053fd75b8",
  },
  "3116": {
    secret: "LnT6xpN3khm36zse0QzvmgTZ3waWdRSA",
    keySecret: "185672dd44712f60bb1736df5a377e82",
    pid: "411",
    loginKey: "c24f74ca2820225badc01946dba4fdf7",
  },
};
const WEB_SECRET = "NVPh5oo715z5DIWAeQlhMDsWXXQV4hwt";

function signatureOf(request: PlatformRequest, secret: string, body: string): string {
  const names = [...request.params.keys()].filter((name) => name !== "signature").sort();
  const text = names.map((name) => `${name}=${request.params.get(name)}`).join("");
  return md5(secret + text + body + secret);
}

export function androidSigned(request: PlatformRequest): boolean {
  const edition = EDITIONS[request.params.get("appid") ?? ""];
  return (
    edition !== undefined && request.params.get("signature") === signatureOf(request, edition.secret, request.text)
  );
}

export const webSigned = (request: PlatformRequest): boolean =>
  request.params.get("signature") === signatureOf(request, WEB_SECRET, "");

/** `error_code` with the platform's shape of a "no". */
export const no = (code: number, status = 0) =>
  json({ status, error_code: code, err_code: code, error_msg: `E${code}`, data: null });

/** A clock that is off by more than ten minutes is refused. */
export function timely(world: World, seconds: number): boolean {
  return Math.abs(world.now() / 1000 - seconds) < 600;
}

export type Who = { account: EmulatedAccount | undefined } | { refused: Response };

/** The account behind userid and token; a guest has neither. Counts the request. */
export function whoAsks(world: World, userid: string | null, token: string | null): Who {
  if (userid === "0" || userid === "" || userid === null) return { account: undefined };
  const account = world.accounts.find((item) => item.source === "kg" && item.id === userid);
  if (account === undefined || account.token !== token) return { refused: no(20018) };
  account.requests++;
  if (account.state === "expired") return { refused: no(20018) };
  if (account.state === "banned") return { refused: no(51002) };
  return { account };
}

export const FILES = [
  ["128", "128k"],
  ["320", "320k"],
  ["flac", "flac"],
  ["high", "flac24bit"],
] as const;

export function hasFile(song: CatalogSong, quality: Quality): boolean {
  if (quality === "flac24bit") return song.qualities.includes("flac24bit") || song.qualities.includes("hires");
  return song.qualities.includes(quality);
}

/** Hash of a song's file in one quality, lower case. */
export const fileHash = (song: CatalogSong, quality: Quality) => md5(`${song.ids.kg.hash}/${quality}`);

/** Bytes: plausible, the same at every endpoint. */
export function fileSize(song: CatalogSong, quality: Quality): number {
  const kbit: Record<string, number> = { "128k": 128, "320k": 320, flac: 900, flac24bit: 1700 };
  return Math.round(((kbit[quality] ?? 900) * 1000 * song.durationSeconds) / 8);
}

export const fullName = (song: CatalogSong) =>
  song.nameExtra === undefined ? song.name : `${song.name} ${song.nameExtra}`;
export const singers = (song: CatalogSong) => song.artists.map((artist) => artist.name).join("、");
export const coverOf = (song: CatalogSong) =>
  `http://imge.kugou.com/stdmusic/{size}/20211231/${song.ids.kg.audioId}.jpg`;

/** Songs by any of their hashes; large worlds ask thousands of times. */
const indexes = new WeakMap<CatalogSong[], Map<string, { song: CatalogSong; quality: Quality | undefined }>>();
export function lookUp(world: World, hash: string) {
  let index = indexes.get(world.songs);
  if (index === undefined || index.size < world.songs.length) {
    index = new Map();
    for (const song of world.songs) {
      index.set(song.ids.kg.hash, { song, quality: undefined });
      for (const [, quality] of FILES) index.set(fileHash(song, quality), { song, quality });
    }
    indexes.set(world.songs, index);
  }
  return index.get(hash.toLowerCase());
}
