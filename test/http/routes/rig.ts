import { AppError } from "../../../src/core/errors.ts";
import type { Collection, CollectionContent, Comment, Lyric, Mv, Page, Song } from "../../../src/core/types.ts";
import { type RequestContext, setContext } from "../../../src/http/context.ts";
import { createAnswerHeaders } from "../../../src/http/plugins/answer-headers.ts";
import { composeRoutes } from "../../../src/http/routes/index.ts";
import type { MusicDeps } from "../../../src/http/routes/music.ts";
import { createHandler, type HandlerDeps } from "../../../src/http/server.ts";
import { silentLogger } from "../../../src/ops/log.ts";
import type { Catalog } from "../../../src/resolve/catalog.ts";
import { qualityOf, type TrackAnswer, type TrackRequest } from "../../../src/resolve/track.ts";

export const PEER = { address: "1.2.3.4", loopback: false, forwarded: false };

/** The pipeline around these routes, with access rules that let everyone in as `context` says. */
export function serve(groups: unknown[], context: Partial<RequestContext> = {}, more: Partial<HandlerDeps> = {}) {
  const { role = "none", authorised = true, keyName, peer = PEER } = context;
  const handle = createHandler({
    routes: composeRoutes(groups, silentLogger),
    access: { check: () => ({ role, authorised, keyName }), peerOf: () => peer },
    headers: createAnswerHeaders({ enable: true, origins: ["*"], max_age: 60 }, { hsts: 0, pages: [""] }),
    log: silentLogger,
    debug: () => false,
    ...more,
  });
  return async (target: string, init?: RequestInit) =>
    handle(new Request(`http://localhost${target}`, init), { address: "1.2.3.4" });
}

/** A bare route group with a context, for routes that need nothing of the pipeline. */
export function bare(group: unknown, context: Partial<RequestContext> = {}) {
  const app = composeRoutes([group], silentLogger);
  return (target: string, init?: RequestInit) => {
    const request = new Request(`http://localhost${target}`, init);
    setContext(request, { id: "test-id-1", peer: PEER, startedAt: 0, role: "none", authorised: true, ...context });
    return app.handle(request);
  };
}

export const SONG: Song = {
  source: "kg",
  songId: "a1b2",
  name: "晴天 (Live)",
  originalName: "晴天",
  nameExtra: "(Live)",
  artists: [{ id: "1", name: "甲" }, { name: "乙" }],
  album: { id: "9", name: "叶惠美" },
  durationSeconds: 269,
  cover: "http://c/a.jpg",
  qualities: { "128k": { size: 4_300_000, hash: "a1b2" }, flac: {} },
  ids: { hash: "a1b2", audioId: "77" },
};
export const LYRIC: Lyric = { lyric: "[00:01.00]a", tlyric: "", rlyric: "", lxlyric: "" };
const COLLECTION: Collection = { source: "kg", type: "playlist", id: "p1", name: "单", songCount: 2 };
const COMMENT: Comment = {
  id: "c1",
  text: "好",
  user: { name: "u" },
  likes: 3,
  replies: [{ id: "c2", text: "是", user: { name: "v" } }],
};
const MV: Mv = {
  source: "kg",
  id: "m1",
  name: "MV",
  artists: [],
  files: { "720p": { url: "http://mv/a.mp4", size: 1024 } },
  ids: {},
};

/** What the catalog was asked: its method and arguments without the last one. */
export interface Asked {
  method: string;
  args: unknown[];
  bypass: boolean;
}

export function fakeCatalog(status: "hit" | "miss" | "stale" | "bypass" = "miss") {
  const asked: Asked[] = [];
  const tell =
    <T>(method: string, value: T) =>
    async (...args: unknown[]) => {
      const { bypass } = args.pop() as { bypass: boolean };
      asked.push({ method, args, bypass });
      if (args.includes("gone")) throw new AppError("upstream_not_found", "酷狗: 没有这首歌");
      if (args.includes("broken")) throw new TypeError("s3cret");
      const tier = status === "hit" || status === "stale" ? "memory" : undefined;
      return { value, status, tier, expiresAt: 0 };
    };
  const page = <T>(item: T): Page<T> => ({ total: 1, page: 1, size: 30, list: [item] });
  const content: CollectionContent = { info: COLLECTION, songs: page(SONG) };
  const catalog: Catalog = {
    info: tell("info", SONG),
    lyric: tell("lyric", LYRIC),
    cover: tell("cover", "http://c/a.jpg"),
    searchSongs: tell("searchSongs", page(SONG)),
    searchCollections: tell("searchCollections", page(COLLECTION)),
    suggest: tell("suggest", ["晴天", "晴"]),
    hot: tell("hot", ["热"]),
    playlist: tell("playlist", content),
    album: tell("album", content),
    boards: tell("boards", [{ source: "kg" as const, id: "b1", name: "榜" }]),
    board: tell("board", page(SONG)),
    comments: tell("comments", page(COMMENT)),
    mv: tell("mv", MV),
  };
  return { catalog, asked };
}

export const FRESH: TrackAnswer = {
  address: "http://audio.test/a.mp3",
  quality: "128k",
  cached: false,
  expiresAt: 1_795_328_408,
  cacheStatus: "lx; fwd=miss",
};

export interface MusicRig {
  deps: MusicDeps;
  asked: Asked[];
  requests: TrackRequest[];
}

/** Everything that the music routes need, answering from memory. `answer` = what a playable address is. */
export function musicRig(
  change: Partial<MusicDeps> & {
    answer?: (request: TrackRequest) => TrackAnswer | Promise<TrackAnswer>;
    peek?: MusicDeps["track"]["peek"];
    status?: "hit" | "miss" | "stale" | "bypass";
  } = {},
): MusicRig {
  const { answer = () => FRESH, peek = () => undefined, status, ...rest } = change;
  const { catalog, asked } = fakeCatalog(status);
  const requests: TrackRequest[] = [];
  const deps: MusicDeps = {
    catalog,
    track: {
      async url(request) {
        requests.push(request);
        return answer(request);
      },
      peek,
      placeOf: (source, songId, quality) => ({ source, songId, quality, key: `${source}:${songId}:${quality}` }),
    },
    qualityOf: (_source, word) => qualityOf(undefined, word),
    normalizeId(_source, songId) {
      if (songId.length > 200 || /\p{Cc}/u.test(songId)) throw new AppError("invalid_request", "请求参数有错");
      return songId.toLowerCase();
    },
    enabled: (source) => source !== "mg",
    ownLink: (path) => `${path}?t=signed`,
    mayAsk(context, _source, quality) {
      if (context.keyName === "low" && quality === "flac") throw new AppError("forbidden", "此key不能使用该音质");
    },
    stepsOf: () => () => {},
    ...rest,
  };
  return { deps, asked, requests };
}
