import { timingSafeEqual } from "node:crypto";

/** Bytes of `crypto.randomUUID`-grade secrets as they are handed out: 256 bits, safe in a URL. */
export function newSecret(prefix: string): string {
  return prefix + Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
}

export function sha256(text: string | Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  Bun.SHA256.hash(text, digest);
  return digest;
}

/** The same time for every content of `given`, also when the lengths differ. */
export function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(sha256(given), sha256(expected));
}

export interface DigestIndex<T> {
  /** Finds by the presented secret; the work is the same whether it is known or not. */
  find(secret: string): T | undefined;
  set(digest: Uint8Array, item: T): void;
  clear(): void;
  readonly size: number;
}

/**
 * Secrets by their SHA-256. The place in the map comes from a second hash with a random key of this process, so that
 * how long a look-up takes says nothing about any stored digest; the digests themselves are compared in constant time.
 */
export function createDigestIndex<T>(): DigestIndex<T> {
  const items = new Map<number, { digest: Uint8Array; item: T }[]>();
  const nobody = { digest: crypto.getRandomValues(new Uint8Array(32)), item: undefined };
  const scratch = new Uint8Array(64);
  scratch.set(crypto.getRandomValues(new Uint8Array(32)));

  function placeOf(digest: Uint8Array): number {
    scratch.set(digest, 32);
    const keyed = sha256(scratch);
    return new DataView(keyed.buffer).getUint32(0);
  }

  return {
    find(secret) {
      const digest = sha256(secret);
      const candidates: readonly { digest: Uint8Array; item: T | undefined }[] = items.get(placeOf(digest)) ?? [nobody];
      let found: T | undefined;
      for (const candidate of candidates) {
        if (timingSafeEqual(candidate.digest, digest)) found = candidate.item;
      }
      return found;
    },
    set(digest, item) {
      const place = placeOf(digest);
      items.set(place, [...(items.get(place) ?? []), { digest, item }]);
    },
    clear: () => items.clear(),
    get size() {
      return items.size;
    },
  };
}
