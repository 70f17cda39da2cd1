import type { CacheKind } from "../cache/kinds.ts";
import type { CacheNote } from "../cache/store.ts";
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
import { limitLyric } from "../sources/lrc.ts";
import type { Call, CommentRequest, PageRequest, SearchRequest, Source } from "../sources/source.ts";
import { isInfoOf } from "./music-info.ts";
import type { StoredForm, StoredValue } from "./stored-forms.ts";
import type { AccountRunner, Cached } from "./track.ts";

/** Answers that are not addresses, kept by kind (lifetime) and form (how they come back). */
export interface CatalogCache {
  through<F extends StoredForm>(
    request: CatalogQuestion<F>,
    load: (signal: AbortSignal) => Promise<StoredValue<F>>,
  ): Promise<Cached<StoredValue<F>>>;
}

export interface CatalogQuestion<F extends StoredForm> {
  kind: Exclude<CacheKind, "url">;
  form: F;
  source: SourceId;
  id: string;
  options?: Record<string, string | number>;
  bypass: boolean;
  signal?: AbortSignal | undefined;
  note?: Ask["note"];
}

/** What every question carries besides its subject. */
export interface Ask {
  bypass: boolean;
  signal?: AbortSignal | undefined;
  step?: Call["step"];
  /** Told how the cache answered, failures included. */
  note?: ((status: CacheNote) => void) | undefined;
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

/** Of a further question in the same flight: a caller that leaves does not end it for the others. */
const flightOf = (ask: Ask, call: Call): Ask => ({ ...ask, signal: call.signal, note: undefined });

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

  /** Asks in one flight for all who wait; the flight has its own deadline, and outlives a caller that leaves. */
  function stored<F extends StoredForm>(
    question: Pick<CatalogQuestion<F>, "kind" | "form" | "id" | "options">,
    source: Source,
    ask: Ask,
    work: (call: Call) => Promise<StoredValue<F>>,
  ): Promise<Cached<StoredValue<F>>> {
    const { bypass, signal, step, note } = ask;
    return deps.cache.through({ ...question, source: source.id, bypass, signal, note }, (flight) =>
      deps.run(source, { signal: AbortSignal.any([flight, AbortSignal.timeout(deps.totalDeadlineMs())]), step }, work),
    );
  }

  const catalog: Catalog = {
    async info(id, songId, ask) {
      const { source, method } = able(id, "info");
      const normal = source.normalizeId(songId);
      return stored({ kind: "info", form: "song", id: normal }, source, ask, (call) => method(normal, call));
    },
    async lyric(id, songId, info, ask) {
      const { source, method } = able(id, "lyric");
      const normal = source.normalizeId(songId);
      const known = isInfoOf(info, normal) ? info : undefined;
      return stored({ kind: "lyric", form: "lyric", id: normal }, source, ask, async (call) => {
        try {
          return limitLyric(await method(normal, call));
        } catch (error) {
          const other =
            known === undefined
              ? undefined
              : await deps.scripts?.lyric(id, known, flightOf(ask, call)).catch(() => undefined);
          if (other === undefined) throw error;
          return limitLyric(other);
        }
      });
    },
    async cover(id, songId, info, ask) {
      const { source, method } = able(id, "cover");
      const normal = source.normalizeId(songId);
      const known = isInfoOf(info, normal) ? info : undefined;
      return stored({ kind: "pic", form: "text", id: normal }, source, ask, async (call) => {
        try {
          return await method(normal, call);
        } catch (error) {
          const other =
            known === undefined
              ? undefined
              : await deps.scripts?.pic(id, known, flightOf(ask, call)).catch(() => undefined);
          if (other === undefined) throw error;
          return other;
        }
      });
    },
    async searchSongs(id, request, ask) {
      const { source, method } = able(id, "searchSongs");
      return stored(
        {
          kind: "search",
          form: "songs",
          id: request.query,
          options: { type: "song", page: request.page, size: request.size },
        },
        source,
        ask,
        (call) => method(request, call),
      );
    },
    async searchCollections(id, type, request, ask) {
      const { source, method } = able(id, "searchCollections");
      return stored(
        {
          kind: "search",
          form: "collections",
          id: request.query,
          options: { type, page: request.page, size: request.size },
        },
        source,
        ask,
        (call) => method(type, request, call),
      );
    },
    async suggest(id, query, ask) {
      const { source, method } = able(id, "suggest");
      return stored({ kind: "suggest", form: "texts", id: query }, source, ask, (call) => method(query, call));
    },
    async hot(id, ask) {
      const { source, method } = able(id, "hot");
      return stored({ kind: "hot", form: "texts", id: "" }, source, ask, (call) => method(call));
    },
    async playlist(id, list, page, ask) {
      const { source, method } = able(id, "playlist");
      return stored({ kind: "playlist", form: "content", id: list, options: { ...page } }, source, ask, (call) =>
        method(list, page, call),
      );
    },
    async album(id, album, page, ask) {
      const { source, method } = able(id, "album");
      return stored({ kind: "album", form: "content", id: album, options: { ...page } }, source, ask, (call) =>
        method(album, page, call),
      );
    },
    async boards(id, ask) {
      const { source, method } = able(id, "boards");
      return stored({ kind: "board", form: "boards", id: "" }, source, ask, (call) => method(call));
    },
    async board(id, board, page, ask) {
      const { source, method } = able(id, "board");
      return stored({ kind: "board", form: "songs", id: board, options: { ...page } }, source, ask, (call) =>
        method(board, page, call),
      );
    },
    async comments(id, request, ask) {
      const { source, method } = able(id, "comments");
      const normal = source.normalizeId(request.songId);
      return stored(
        {
          kind: "comment",
          form: "comments",
          id: normal,
          options: { sort: request.sort, page: request.page, size: request.size },
        },
        source,
        ask,
        (call) => method({ ...request, songId: normal }, call),
      );
    },
    async mv(id, mv, ask) {
      const { source, method } = able(id, "mv");
      return stored({ kind: "mv", form: "mv", id: mv }, source, ask, (call) => method(mv, call));
    },
  };
  return catalog;
}
