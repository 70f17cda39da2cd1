import { cacheKey } from "../cache/keys.ts";
import type { Store } from "../cache/store.ts";
import type { Quality, SourceId } from "../core/types.ts";
import type { CatalogCache } from "./catalog.ts";
import { addressCodec, CODECS } from "./stored-forms.ts";
import type { AddressCache } from "./track.ts";

/** The key of a playable address. */
export function addressKey(source: SourceId, songId: string, quality: Quality): string {
  return cacheKey({ kind: "url", source, id: songId, quality });
}

/** The cache as the resolver sees it: addresses by song and quality. */
export function createAddressCache(store: Store): AddressCache {
  return {
    peek: (source, songId, quality, client) =>
      store.peek("url", addressKey(source, songId, quality), addressCodec, client),
    through: (request, load) =>
      store.through({
        kind: "url",
        key: addressKey(request.source, request.songId, request.quality),
        codec: addressCodec,
        client: request.client,
        bypass: request.bypass,
        signal: request.signal,
        load: ({ avoid, signal }) => load(avoid, signal),
      }),
  };
}

/** The cache as the catalogue sees it: questions by kind, subject and options. */
export function createCatalogCache(store: Store): CatalogCache {
  return {
    through: (question, load) =>
      store.through({
        kind: question.kind,
        key: cacheKey({
          kind: question.kind,
          source: question.source,
          id: question.id,
          options: { form: question.form, ...question.options },
        }),
        codec: CODECS[question.form],
        bypass: question.bypass,
        signal: question.signal,
        load: ({ signal }) => load(signal),
      }),
  };
}
