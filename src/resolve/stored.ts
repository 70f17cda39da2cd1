import { cacheKey } from "../cache/keys.ts";
import type { Store } from "../cache/store.ts";
import type { CatalogCache } from "./catalog.ts";
import { CODECS } from "./stored-forms.ts";

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
        note: question.note,
        load: ({ signal }) => load(signal),
      }),
  };
}
