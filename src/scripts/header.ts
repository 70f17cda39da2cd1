/** What a script says of itself; every field is present, an absent one is empty. */
export interface ScriptHeader {
  name: string;
  description: string;
  version: string;
  author: string;
  homepage: string;
}

/** Characters that clients keep of each field. */
const LIMITS: Record<keyof ScriptHeader, number> = {
  name: 24,
  description: 36,
  author: 56,
  homepage: 1024,
  version: 36,
};

/** Characters of a script that clients accept. */
export const MAX_SCRIPT_LENGTH = 9_000_000;

/**
 * Reads the first comment as clients do: the text begins with it, lines have the form ` * @name value` with at most
 * one space before the star and the at sign, the last of several lines counts, and long values are cut with `...`.
 *
 * @param now names a script that gives no name: `user_api_<date>`.
 * @returns undefined when the text is no importable script.
 */
export function parseHeader(script: string, now: Date): ScriptHeader | undefined {
  if (script.length > MAX_SCRIPT_LENGTH) return undefined;
  const comment = /^\/\*[\s\S]+?\*\//.exec(script)?.[0];
  if (comment === undefined) return undefined;
  const found: Record<string, string> = {};
  for (const line of comment.split(/\r?\n/)) {
    const match = /^\s?\*\s?@(\w+)\s(.+)$/.exec(line);
    if (match !== null) found[match[1] ?? ""] = (match[2] ?? "").trim();
  }
  const field = (name: keyof ScriptHeader): string => {
    const value = Object.hasOwn(found, name) ? (found[name] ?? "") : "";
    return value.length > LIMITS[name] ? `${value.slice(0, LIMITS[name])}...` : value;
  };
  return {
    name: field("name") || `user_api_${now.toLocaleString("sv-SE").slice(0, 19)}`,
    description: field("description"),
    version: field("version"),
    author: field("author"),
    homepage: field("homepage"),
  };
}
