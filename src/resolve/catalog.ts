import { AppError } from "../core/errors.ts";
import type {
  Board,
  Collection,
  CollectionContent,
  Comment,
  Lyric,
  MusicInfo,
  Mv,
  Page,
  SearchType,
  Song,
  SourceId,
} from "../core/types.ts";
import type { Call, CommentRequest, PageRequest, SearchRequest, Source } from "../sources/source.ts";
import { songFromInfo } from "./music-info.ts";
import type { AccountRunner, Cached } from "./track.ts";

/** Kinds of stored answers; each has its lifetime in the cache's table. */
export type CatalogKind =
  | "info"
  | "lyric"
  | "pic"
  | "search"
  | "suggest"
  | "hot"
  | "playlist"
  | "album"
  | "board"
  | "comment"
  | "mv";

export interface CatalogCache {
  through<T>(
    request: { kind: CatalogKind; parts: string[]; bypass: boolean },
    load: () => Promise<T>,
  ): Promise<Cached<T>>;
}

/** What every question carries besides its subject. */
export interface Ask {
  bypass: boolean;
  signal?: AbortSignal | undefined;
  step?: Call["step"];
}

/** Lyrics and covers that third-party scripts can give when the platform cannot. */
export interface ScriptExtras {
  lyric(source: SourceId, info: MusicInfo, ask: Ask): Promise<Lyric | undefined>;
  pic(source: SourceId, info: MusicInfo, ask: Ask): Promise<string | undefined>;
}

export interface CatalogDeps {
  sources: ReadonlyMap<SourceId, Source>;
  enabled: (source: SourceId) => boolean;
  run: AccountRunner;
  cache: CatalogCache;
  scripts?: ScriptExtras | undefined;
  totalDeadlineMs: () => number;
}

type Answer<T> = Promise<Cached<T>>;

export interface Catalog {
  info(source: SourceId, songId: string, ask: Ask): Answer<Song>;
  lyric(source: SourceId, songId: string, info: MusicInfo | undefined, ask: Ask): Answer<Lyric>;
  cover(source: SourceId, songId: string, info: MusicInfo | undefined, ask: Ask): Answer<string>;
  searchSongs(source: SourceId, request: SearchRequest, ask: Ask): Answer<Page<Song>>;
  searchCollections(
    source: SourceId,
    type: Exclude<SearchType, "song">,
    request: SearchRequest,
    ask: Ask,
  ): Answer<Page<Collection>>;
  suggest(source: SourceId, query: string, ask: Ask): Answer<string[]>;
  hot(source: SourceId, ask: Ask): Answer<string[]>;
  playlist(source: SourceId, id: string, page: PageRequest, ask: Ask): Answer<CollectionContent>;
  album(source: SourceId, id: string, page: PageRequest, ask: Ask): Answer<CollectionContent>;
  boards(source: SourceId, ask: Ask): Answer<Board[]>;
  board(source: SourceId, id: string, page: PageRequest, ask: Ask): Answer<Page<Song>>;
  comments(source: SourceId, request: CommentRequest, ask: Ask): Answer<Page<Comment>>;
  mv(source: SourceId, id: string, ask: Ask): Answer<Mv>;
}

/** Everything about songs that is not an address: asked of the platform once per lifetime, one flight per question. */
export function createCatalog(deps: CatalogDeps): Catalog {
  /** The source, and its ability bound to it. @throws AppError `source_disabled` before `unsupported`, as the original. */
  function able<K extends keyof Source>(id: SourceId, ability: K): { source: Source; method: NonNullable<Source[K]> } {
    const source = deps.sources.get(id);
    if (source === undefined || !deps.enabled(id)) throw new AppError("source_disabled", "此平台已停止服务");
    const method = source[ability];
    if (method === undefined || method === null) throw new AppError("unsupported", "未知的源或不支持的方法");
    return { source, method: method as NonNullable<Source[K]> };
  }

  function stored<T>(
    kind: CatalogKind,
    source: Source,
    parts: (string | number)[],
    ask: Ask,
    work: (call: Call) => Promise<T>,
  ): Promise<Cached<T>> {
    return deps.cache.through({ kind, parts: [source.id, ...parts.map(String)], bypass: ask.bypass }, () => {
      const deadline = AbortSignal.timeout(deps.totalDeadlineMs());
      const signal = ask.signal === undefined ? deadline : AbortSignal.any([ask.signal, deadline]);
      return deps.run(source, { signal, step: ask.step }, work);
    });
  }

  const catalog: Catalog = {
    async info(id, songId, ask) {
      const { source, method } = able(id, "info");
      const normal = source.normalizeId(songId);
      return stored("info", source, [normal], ask, (call) => method(normal, call));
    },
    async lyric(id, songId, info, ask) {
      const { source, method } = able(id, "lyric");
      const normal = source.normalizeId(songId);
      const song = info === undefined ? undefined : songFromInfo(info, normal);
      return stored("lyric", source, [normal], ask, async (call) => {
        try {
          return await method(normal, call, song);
        } catch (error) {
          const other =
            info === undefined ? undefined : await deps.scripts?.lyric(id, info, ask).catch(() => undefined);
          if (other === undefined) throw error;
          return other;
        }
      });
    },
    async cover(id, songId, info, ask) {
      const { source, method } = able(id, "cover");
      const normal = source.normalizeId(songId);
      const song = info === undefined ? undefined : songFromInfo(info, normal);
      return stored("pic", source, [normal], ask, async (call) => {
        try {
          return await method(normal, call, song);
        } catch (error) {
          const other = info === undefined ? undefined : await deps.scripts?.pic(id, info, ask).catch(() => undefined);
          if (other === undefined) throw error;
          return other;
        }
      });
    },
    async searchSongs(id, request, ask) {
      const { source, method } = able(id, "searchSongs");
      return stored("search", source, ["song", request.query, request.page, request.size], ask, (call) =>
        method(request, call),
      );
    },
    async searchCollections(id, type, request, ask) {
      const { source, method } = able(id, "searchCollections");
      return stored("search", source, [type, request.query, request.page, request.size], ask, (call) =>
        method(type, request, call),
      );
    },
    async suggest(id, query, ask) {
      const { source, method } = able(id, "suggest");
      return stored("suggest", source, [query], ask, (call) => method(query, call));
    },
    async hot(id, ask) {
      const { source, method } = able(id, "hot");
      return stored("hot", source, [], ask, (call) => method(call));
    },
    async playlist(id, list, page, ask) {
      const { source, method } = able(id, "playlist");
      return stored("playlist", source, [list, page.page, page.size], ask, (call) => method(list, page, call));
    },
    async album(id, album, page, ask) {
      const { source, method } = able(id, "album");
      return stored("album", source, [album, page.page, page.size], ask, (call) => method(album, page, call));
    },
    async boards(id, ask) {
      const { source, method } = able(id, "boards");
      return stored("board", source, [], ask, (call) => method(call));
    },
    async board(id, board, page, ask) {
      const { source, method } = able(id, "board");
      return stored("board", source, [board, page.page, page.size], ask, (call) => method(board, page, call));
    },
    async comments(id, request, ask) {
      const { source, method } = able(id, "comments");
      const normal = source.normalizeId(request.songId);
      return stored("comment", source, [normal, request.sort, request.page, request.size], ask, (call) =>
        method({ ...request, songId: normal }, call),
      );
    },
    async mv(id, mv, ask) {
      const { source, method } = able(id, "mv");
      return stored("mv", source, [mv], ask, (call) => method(mv, call));
    },
  };
  return catalog;
}
