import type { Quality, SourceId } from "../core/types.ts";
import { addressCodec, type StoredAddress } from "./codecs.ts";
import type { Asker } from "./heal.ts";
import { cacheKey } from "./keys.ts";
import type { CacheAnswer } from "./parsed.ts";
import type { CacheNote, Store } from "./store.ts";

export interface AddressRequest {
  source: SourceId;
  songId: string;
  quality: Quality;
  /** Who asks, for self-healing. */
  client: string;
  bypass: boolean;
  /** Told how it was answered, failures included. */
  note?: ((status: CacheNote) => void) | undefined;
}

/** The cache as the resolver of playable addresses knows it. */
export interface AddressStore {
  /** The key under which an address lies; making it costs more than looking it up, so callers may keep it. */
  keyOf(source: SourceId, songId: string, quality: Quality): string;
  /** Memory only, at once. */
  peek(key: string, asker: Asker): CacheAnswer<StoredAddress> | undefined;
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
    peek: (key, asker) => store.peek("url", key, addressCodec, asker),
    through: ({ source, songId, quality, client, bypass, note }, load) =>
      store.through({
        kind: "url",
        key: addressKey(source, songId, quality),
        codec: addressCodec,
        client,
        bypass,
        note,
        load: ({ avoid, signal }) => load(avoid, signal),
      }),
  };
}
