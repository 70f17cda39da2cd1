/** Where a secret was found that must not be there. */
export interface Leak {
  /** Name of the text: a file, an answer. */
  where: string;
  /** The secret's name or beginning; never the whole of it, or the report itself would leak. */
  secret: string;
  form: string;
}

export interface NamedText {
  where: string;
  text: string;
}

/** Shorter ones turn up by chance. */
const MIN_LENGTH = 6;

/** Its base64 at each of the three places where it can begin in a longer text, without the characters that others share. */
function inBase64(bytes: Buffer): string[] {
  return [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const shared = (offset + bytes.length) % 3 === 0 ? 0 : 1;
    return text.slice(offset === 0 ? 0 : offset + 1, text.length - shared);
  });
}

/** The ways in which a secret may stand in a text. */
function forms(secret: string): [string, string][] {
  const bytes = Buffer.from(secret);
  const base64 = inBase64(bytes);
  return [
    ["plain", secret],
    ["JSON", JSON.stringify(secret).slice(1, -1)],
    ["URL", encodeURIComponent(secret)],
    ...base64.map((text): [string, string] => ["base64", text]),
    ...base64.map((text): [string, string] => ["base64url", text.replaceAll("+", "-").replaceAll("/", "_")]),
    ["hex", bytes.toString("hex")],
    ["backwards", [...secret].reverse().join("")],
  ];
}

/**
 * Searches texts (logs, answers, errors, metrics) for secrets, in plain and in the usual disguises.
 * @throws Error for a secret so short that finding it would mean nothing
 */
export function findSecrets(texts: Iterable<NamedText>, secrets: Iterable<string>): Leak[] {
  const wanted = [...new Set(secrets)];
  const short = wanted.find((secret) => secret.length < MIN_LENGTH);
  if (short !== undefined) throw new Error(`a secret of ${short.length} characters cannot be searched for`);
  const disguises = wanted.map((secret) => ({ secret, forms: forms(secret) }));
  const leaks: Leak[] = [];
  for (const { where, text } of texts) {
    const lower = text.toLowerCase();
    for (const { secret, forms: ways } of disguises) {
      const found = ways.find(([form, way]) => (form === "hex" ? lower : text).includes(way));
      if (found !== undefined) leaks.push({ where, secret: `${secret.slice(0, 2)}…`, form: found[0] });
    }
  }
  return leaks;
}
