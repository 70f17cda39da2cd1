const SANE = /^[\w.-]{8,64}$/;

/**
 * Ids for requests: the client's own when it is a sane token (8 to 64 letters, digits, `_ . -`), else a new one, unique
 * over restarts (a random prefix per process and a counter: no random bytes per request).
 */
export function createRequestIds(): (given: string | null) => string {
  const prefix = Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex");
  // Looking up the last two digits costs less than writing out a number.
  const low = Array.from({ length: 36 * 36 }, (_, number) => number.toString(36).padStart(2, "0"));
  let count = 0;
  let high = `${prefix}-0`;
  return (given) => {
    if (given !== null && SANE.test(given)) return given;
    count++;
    if (count % low.length === 0) high = `${prefix}-${(count / low.length).toString(36)}`;
    return high + low[count % low.length];
  };
}
