import { timingSafeEqual } from "node:crypto";
import type { RotatingSecret } from "./secrets.ts";

export interface SignedLinksDeps {
  secret: RotatingSecret;
  /** Life of a link, in seconds. */
  lifetimeSeconds: () => number;
  /** By how much the clocks of two instances may differ, in seconds. */
  skewSeconds: () => number;
  now?: () => number;
}

export interface SignedLinks {
  /** @param path of ours, percent-encoded, with or without a query: `/cache/kg_1_320k.mp3`, `/local/u?q=…` */
  sign(path: string): string;
  /** @param query as the request has it, with or without `?`. */
  verify(path: string, query: string): boolean;
}

/** 128 bits of the HMAC: enough that nobody guesses one, short enough for a list of songs. */
const TAG_BYTES = 16;
/** Its one spelling in base64url: the last letter has four bits to spare, which a decoder would not look at. */
const TAG = /^[\w-]{21}[AQgw]$/;

/**
 * Addresses of ours that open without a key: `?t=<HMAC>&e=<Unix seconds>`, bound to the path and to every other
 * parameter. Percent-encoding is evened out, because players write `'` or CJK in their own way.
 */
export function createSignedLinks({
  secret,
  lifetimeSeconds,
  skewSeconds,
  now = Date.now,
}: SignedLinksDeps): SignedLinks {
  function tag(key: Uint8Array, path: string, query: string, expires: string): Uint8Array {
    const hmac = new Bun.CryptoHasher("sha256", key).update(`${canonicalPath(path)}\n${query}\n${expires}`).digest();
    return new Uint8Array(hmac.buffer, hmac.byteOffset, TAG_BYTES);
  }

  return {
    sign(path) {
      const [key] = secret.current();
      if (key === undefined) return path;
      const mark = path.indexOf("?");
      const [name, query] = mark === -1 ? [path, ""] : [path.slice(0, mark), path.slice(mark + 1)];
      const expires = String(Math.floor(now() / 1000) + lifetimeSeconds());
      const token = Buffer.from(tag(key, name, canonicalQuery(query).rest, expires)).toString("base64url");
      return `${name}?${query === "" ? "" : `${query}&`}t=${token}&e=${expires}`;
    },
    verify(path, query) {
      const { rest, t, e } = canonicalQuery(query.startsWith("?") ? query.slice(1) : query);
      if (t === undefined || e === undefined || !/^\d{1,12}$/.test(e) || !TAG.test(t)) return false;
      if (Number(e) + skewSeconds() < now() / 1000) return false;
      const given = Buffer.from(t, "base64url");
      if (given.length !== TAG_BYTES) return false;
      let good = false;
      for (const key of secret.current()) good = timingSafeEqual(tag(key, path, rest, e), given) || good;
      return good;
    },
  };
}

function even(text: string): string {
  try {
    return encodeURIComponent(decodeURIComponent(text));
  } catch {
    return text;
  }
}

const canonicalPath = (path: string) => path.split("/").map(even).join("/");

/** The parameters besides `t` and `e`, evened out, in their order. A second `t` or `e` makes both void. */
function canonicalQuery(query: string): { rest: string; t: string | undefined; e: string | undefined } {
  const seen: { t: string[]; e: string[] } = { t: [], e: [] };
  const rest: string[] = [];
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const [name, value] = equals === -1 ? [part, ""] : [part.slice(0, equals), part.slice(equals + 1)];
    if (name === "t" || name === "e") seen[name].push(value);
    else rest.push(`${even(name)}=${even(value)}`);
  }
  const only = (values: string[]) => (values.length === 1 ? values[0] : undefined);
  return { rest: rest.join("&"), t: only(seen.t), e: only(seen.e) };
}
