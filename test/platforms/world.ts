import type { Quality, SourceId } from "../../src/core/types.ts";
import type { AudioFile } from "./audio.ts";

/** One song of the emulated world, as all five platforms know it. */
export interface CatalogSong {
  /** Ours, for tests: "plain", "vip", … */
  key: string;
  name: string;
  nameExtra?: string;
  artists: { id: string; mid: string; name: string }[];
  album: { id: string; mid: string; name: string };
  durationSeconds: number;
  publishDate: string;
  /** What exists of it. */
  qualities: Quality[];
  /** Who may have it: everybody; members only; nobody (no copyright). */
  right: "free" | "member" | "none";
  /** Lines with word times: the platforms' lyric formats are made from this. */
  lyric?: LyricLine[];
  ids: {
    kg: { hash: string; audioId: string; albumAudioId: string; mvHash: string };
    tx: { mid: string; id: string; mediaMid: string; vid: string };
    wy: { id: string; mv: string };
    mg: { songId: string; copyrightId: string; contentId: string };
    kw: { id: string };
  };
}

export interface LyricLine {
  startMs: number;
  durationMs: number;
  words: { offsetMs: number; durationMs: number; text: string }[];
  translation?: string;
  romanised?: string;
}

/** A request as the platform sees it, whichever way it came. */
export interface PlatformRequest {
  scheme: string;
  host: string;
  method: string;
  path: string;
  /** Raw, without "?". */
  query: string;
  params: URLSearchParams;
  headers: Headers;
  body: Uint8Array;
  text: string;
  /** Unix ms at arrival. */
  at: number;
}

/** What a test can break. Generic kinds are applied before the platform sees the request (or to its JSON reply). */
export interface Fault {
  source?: SourceId;
  /** Only requests whose `host + path` match. */
  match?: RegExp;
  kind:
    | "slow"
    | "reset"
    | "http500"
    | "html"
    | "garbage"
    | "reshaped"
    | "empty"
    | "trial"
    | "encrypted"
    | "lower"
    | "verify";
  /** For "slow": ms before the answer. */
  delayMs?: number;
  /** How many requests it strikes; default all. */
  times?: number;
}

export interface EmulatedAccount {
  source: SourceId;
  id: string;
  /** token, musickey, MUSIC_U, SESSION … */
  token: string;
  state: "member" | "guest" | "expired" | "banned";
  /** How many requests it has made. */
  requests: number;
  /** For a token that the platform renews. */
  refreshKey?: string;
}

export interface World {
  songs: CatalogSong[];
  accounts: EmulatedAccount[];
  /** Everything that came in, oldest first (bounded). */
  requests: PlatformRequest[];
  faults: Fault[];
  /** Address of the emulator itself: audio addresses must be reachable. */
  origin: string;
  now(): number;
  /** An address under which the emulator serves this song's audio: `{origin}/http/{host}{path}`. */
  audioUrl(host: string, path: string, song: CatalogSong, quality: Quality): string;
  /** The file behind a song and quality; made on first use. */
  audio(song: CatalogSong, quality: Quality): Promise<AudioFile>;
  /** Is a platform-specific fault (trial, encrypted, lower, verify) on for this request? Counts down `times`. */
  fault(source: SourceId, kind: Fault["kind"], request: PlatformRequest): boolean;
}

export interface Platform {
  source: SourceId;
  /** Hosts that it answers for (exact, or ".suffix"). */
  hosts: string[];
  handle(request: PlatformRequest, world: World): Response | Promise<Response>;
}

export function json(value: unknown, init: ResponseInit = {}): Response {
  return new Response(JSON.stringify(value), {
    ...init,
    headers: { "content-type": "application/json; charset=utf-8", ...(init.headers as Record<string, string>) },
  });
}
