const SANE = /^[\w.-]{8,64}$/;

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

/**
 * Ids for requests: the client's own when it is a sane token (8 to 64 letters, digits, `_ . -`), else a new one, unique
 * over restarts (a random prefix per process and a counter: no random bytes per request).
 */
export function createRequestIds(): (given: string | null) => string {
  const prefix = Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex");
  let count = 0;
  let high = `${prefix}-0`;
  return (given) => {
    if (given !== null && SANE.test(given)) return given;
    count++;
    // Writing out a number costs more than looking up its last digit.
    if (count % DIGITS.length === 0) high = `${prefix}-${(count / DIGITS.length).toString(36)}`;
    return high + DIGITS[count % DIGITS.length];
  };
}
