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

  function headersOf(common: HeaderRecord, own: HeaderRecord): Headers {
    let row = made.get(own);
    if (row === undefined) {
      row = new WeakMap();
      made.set(own, row);
    }
    let headers = row.get(common);
    if (headers === undefined) {
      headers = merged(common, own);
      row.set(common, headers);
    }
    return headers;
  }

  return (hot: HotAnswer, common: HeaderRecord, id: string, extra: HeaderRecord | undefined): Response => {
    const headers = extra === undefined ? headersOf(common, hot.headers) : merged(common, { ...hot.headers, ...extra });
    headers.set("x-request-id", id);
    return new Response(hot.body, { headers });
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
