/** An answer that is in memory already; the same object for the same answer, so that its headers are made once. */
export interface HotAnswer {
  readonly body: string;
  /** With content-type. The object itself names the set of headers: share it between answers. */
  readonly headers: Readonly<Record<string, string>>;
}

export const JSON_HEADERS: HotAnswer["headers"] = Object.freeze({ "content-type": "application/json; charset=utf-8" });

type HeaderRecord = Readonly<Record<string, string>>;

/**
 * Makes responses of hot answers. `new Response` copies a `Headers` object several times faster than it reads a record,
 * so that one is kept for every pair of common and own headers, and only the request's id is put in anew.
 */
export function createHotResponses() {
  const made = new WeakMap<HeaderRecord, WeakMap<HeaderRecord, Headers>>();
  /** Nearly all hot answers have the same pair. */
  let last: { common: HeaderRecord; own: HeaderRecord; init: { headers: Headers } } | undefined;

  function initOf(common: HeaderRecord, own: HeaderRecord): { headers: Headers } {
    if (last !== undefined && last.common === common && last.own === own) return last.init;
    const init = { headers: found(common, own) };
    last = { common, own, init };
    return init;
  }

  function found(common: HeaderRecord, own: HeaderRecord): Headers {
    let row = made.get(own);
    if (row === undefined) {
      row = new WeakMap();
      made.set(own, row);
    }
    let headers = row.get(common);
    if (headers === undefined) {
      // The one that changes stands first, where it is found at once.
      headers = merged(common, { "x-request-id": "", ...own });
      row.set(common, headers);
    }
    return headers;
  }

  return (hot: HotAnswer, common: HeaderRecord, id: string, extra: HeaderRecord | undefined): Response => {
    const init =
      extra === undefined ? initOf(common, hot.headers) : { headers: merged(common, { ...hot.headers, ...extra }) };
    init.headers.set("x-request-id", id);
    return new Response(hot.body, init);
  };
}

/** The answer's own headers win over the common ones; what it varies by is added up. */
export function merged(common: HeaderRecord, own: HeaderRecord): Headers {
  const headers = new Headers(own);
  addCommon(headers, common);
  return headers;
}

export function addCommon(headers: Headers, common: HeaderRecord): void {
  for (const name in common) {
    const value = common[name] ?? "";
    const before = headers.get(name);
    if (before === null) headers.set(name, value);
    else if (name === "vary" && !names(before, value)) headers.set(name, `${before}, ${value}`);
  }
}

function names(list: string, wanted: string): boolean {
  return list.split(",").some((item) => item.trim() === "*" || item.trim().toLowerCase() === wanted.toLowerCase());
}
