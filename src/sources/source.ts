import type {
  Board,
  Collection,
  CollectionContent,
  Comment,
  Lyric,
  Mv,
  Page,
  PlayableUrl,
  Quality,
  SearchType,
  Song,
  SourceId,
} from "../core/types.ts";
import type { HttpClient } from "../net/fetch.ts";
import type { Logger } from "../ops/log.ts";

/** Who asks the platform. Absent in a call = a guest. */
export interface Account<C = Readonly<Record<string, string>>> {
  /** Stable for the same person: "kg:123456". */
  readonly id: string;
  /** For people: "账号 2". Holds no secret. */
  readonly label: string;
  /** The original's `user` keys as strings, plus what we learn (dfid, …). Secret. */
  readonly credentials: C;
}

/** What every ability is given besides its own arguments. */
export interface Call {
  account?: Account | undefined;
  signal?: AbortSignal | undefined;
  /** Notes a step for "why did this fail?": constant name plus fields without secrets. */
  step?: ((name: string, fields?: Record<string, unknown>) => void) | undefined;
  /** Keeps what this call found out about the account (kg dfid, …) with its credentials. */
  learn?: ((found: Record<string, string>) => void) | undefined;
  /** Ask before a further request with the same account (a second attempt): false = its daily budget is spent. */
  mayAskAgain?: (() => boolean) | undefined;
}

export interface UrlRequest {
  songId: string;
  quality: Quality;
  /** What is already known of the song (from the client's `?info=` or a cache): saves a request to the platform. */
  song?: Song | undefined;
}

export interface PageRequest {
  /** From 1. */
  page: number;
  size: number;
}

export interface SearchRequest extends PageRequest {
  query: string;
}

export interface CommentRequest extends PageRequest {
  songId: string;
  sort: "hot" | "new";
}

export interface AccountState {
  state: "valid" | "expired" | "banned" | "unknown";
  nickname?: string;
  /** "VIP", "SVIP"; absent = none known. */
  membership?: string;
  /** Unix ms. */
  expiresAt?: number;
}

/** How a platform's accounts are recognised and kept alive. */
export interface AccountAbility {
  /** The credentials in one `user` section of the config; undefined = left empty there. Also gives the stable id. */
  fromConfig(user: unknown): { id: string; credentials: Record<string, string> } | undefined;
  /**
   * Asks for new tokens; returns the credentials to store in place of the old ones. `expiresAt` (Unix ms) among them
   * says when the new token dies.
   */
  refresh?(account: Account, call: Call): Promise<Record<string, string>>;
  check?(account: Account, call: Call): Promise<AccountState>;
  /** Daily sign-in of the platform. */
  signIn?(account: Account, call: Call): Promise<void>;
}

/**
 * One platform. An ability that it does not have is absent, never a stub.
 *
 * Every ability throws AppError: `upstream_*` with the platform's reason in `message` (Chinese, short, true), or
 * `invalid_request` when the id cannot be one of this platform. It never returns an empty address or a lower quality.
 */
export interface Source {
  readonly id: SourceId;
  readonly name: string;
  /** What can be asked for, worst first. */
  readonly qualities: readonly Quality[];
  /** Platform-own names of qualities that the original took as they are ("standard" -> "128k"). */
  readonly qualityAliases?: Readonly<Record<string, Quality>>;
  /** The one spelling of an id under which it is cached (kg: lower case). */
  normalizeId(songId: string): string;
  url?(request: UrlRequest, call: Call): Promise<PlayableUrl>;
  info?(songId: string, call: Call): Promise<Song>;
  lyric?(songId: string, call: Call, song?: Song): Promise<Lyric>;
  cover?(songId: string, call: Call, song?: Song): Promise<string>;
  searchSongs?(request: SearchRequest, call: Call): Promise<Page<Song>>;
  searchCollections?(type: Exclude<SearchType, "song">, request: SearchRequest, call: Call): Promise<Page<Collection>>;
  suggest?(query: string, call: Call): Promise<string[]>;
  hot?(call: Call): Promise<string[]>;
  /** `id`: the platform's id or a pasted share link. */
  playlist?(id: string, page: PageRequest, call: Call): Promise<CollectionContent>;
  album?(id: string, page: PageRequest, call: Call): Promise<CollectionContent>;
  boards?(call: Call): Promise<Board[]>;
  board?(id: string, page: PageRequest, call: Call): Promise<Page<Song>>;
  comments?(request: CommentRequest, call: Call): Promise<Page<Comment>>;
  mv?(id: string, call: Call): Promise<Mv>;
  readonly accounts?: AccountAbility;
}

/** What a source is made of; `config` is its slice of `module.*`. */
export interface SourceDeps<Config> {
  config: Config;
  http: HttpClient;
  log: Logger;
  /** Unix ms. */
  now: () => number;
  /** 0 ≤ n < 1. */
  random: () => number;
}
