import type { Quality, SourceId } from "../core/types.ts";
import { addressCodec, kindCodec, type StoredAddress } from "./codecs.ts";
import { cacheKey } from "./keys.ts";
import { CACHE_KINDS, type CacheKind } from "./kinds.ts";
import type { CacheAnswer, Codec } from "./parsed.ts";
import type { Store, ThroughRequest } from "./store.ts";

export interface AddressRequest {
  source: SourceId;
  songId: string;
  quality: Quality;
  /** Who asks, for self-healing. */
  client: string;
  bypass: boolean;
}

/** The cache as the resolver of playable addresses knows it. */
export interface AddressStore {
  /** The key under which an address lies; making it costs more than looking it up, so callers may keep it. */
  keyOf(source: SourceId, songId: string, quality: Quality): string;
  /** Memory only, at once. */
  peek(key: string, client: string): CacheAnswer<StoredAddress> | undefined;
  through(
    request: AddressRequest,
    load: (avoid: ReadonlySet<string>, signal: AbortSignal) => Promise<StoredAddress>,
  ): Promise<CacheAnswer<StoredAddress>>;
}

export function addressKey(source: string, songId: string, quality: string): string {
  return cacheKey({ kind: "url", source, id: songId, quality });
}

export function createAddressStore(store: Store): AddressStore {
  return {
    keyOf: addressKey,
    peek: (key, client) => store.peek("url", key, addressCodec, client),
    through: ({ source, songId, quality, client, bypass }, load) =>
      store.through({
        kind: "url",
        key: addressKey(source, songId, quality),
        codec: addressCodec,
        client,
        bypass,
        load: ({ avoid, signal }) => load(avoid, signal),
      }),
  };
}

export interface CatalogRequest {
  kind: Exclude<CacheKind, "url">;
  /** Source first, then what is asked for. */
  parts: string[];
  bypass: boolean;
}

/** The cache as the catalog (info, lyrics, search, lists) knows it. */
export interface CatalogStore {
  peek<T>(request: Omit<CatalogRequest, "bypass">): CacheAnswer<T> | undefined;
  through<T>(request: CatalogRequest, load: (signal: AbortSignal) => Promise<T>): Promise<CacheAnswer<T>>;
}

export function catalogKey({ kind, parts: [source = "-", id = "-", ...rest] }: Omit<CatalogRequest, "bypass">): string {
  const options = rest.length === 0 ? undefined : Object.fromEntries(rest.map((part, index) => [index, part]));
  return cacheKey({ kind, source, id, options });
}

export function createCatalogStore(store: Store): CatalogStore {
  const codecs = new Map<CacheKind, Codec<unknown>>(CACHE_KINDS.map((kind) => [kind, kindCodec(kind)]));
  const codecOf = <T>(kind: CacheKind): Codec<T> => (codecs.get(kind) ?? kindCodec(kind)) as Codec<T>;
  return {
    peek: <T>(request: Omit<CatalogRequest, "bypass">) =>
      store.peek<T>(request.kind, catalogKey(request), codecOf<T>(request.kind)),
    through<T>(request: CatalogRequest, load: (signal: AbortSignal) => Promise<T>) {
      const through: ThroughRequest<T> = {
        kind: request.kind,
        key: catalogKey(request),
        codec: codecOf<T>(request.kind),
        bypass: request.bypass,
        load: ({ signal }) => load(signal),
      };
      return store.through(through);
    },
  };
}
