/** `WWW-Authenticate`, one challenge of it. */
export interface Challenge {
  scheme: string;
  values: ReadonlyMap<string, string>;
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#name-www-authenticate */
export function parseChallenges(header: string | null): Challenge[] {
  const found: Challenge[] = [];
  let values = new Map<string, string>();
  const token = /\s*,?\s*([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/gy;
  for (const match of (header ?? "").slice(0, 8192).matchAll(token)) {
    const [, name = "", quoted, plain] = match;
    if (quoted !== undefined || plain !== undefined) {
      values.set(name.toLowerCase(), quoted === undefined ? (plain ?? "") : quoted.replace(/\\(.)/g, "$1"));
    } else {
      values = new Map();
      found.push({ scheme: name.toLowerCase(), values });
    }
  }
  return found;
}

export interface Credentials {
  username: string;
  password: string;
}

/** The `Authorization` of each request, once it is known how the server wants it. */
export interface Authenticator {
  /** False = the server has not been asked yet. */
  readonly settled: boolean;
  header(method: string, target: string): string | undefined;
  /**
   * Takes the answer to a request that was refused (401), or was sent without credentials.
   * @returns true when a further try may succeed
   */
  learn(status: number, challenges: string | null): boolean;
}

export type AuthMode = "auto" | "basic" | "digest";

/**
 * In `auto` the first request goes without credentials: a server that offers Digest never sees the password, and one
 * that would let anybody in is still asked as the configured user.
 */
export function createAuthenticator(credentials: Credentials, mode: AuthMode, nonce = randomNonce): Authenticator {
  const none = credentials.username === "" && credentials.password === "";
  let scheme: "none" | "basic" | "digest" | undefined = none ? "none" : mode === "basic" ? "basic" : undefined;
  let digest: DigestState | undefined;

  return {
    get settled() {
      return scheme !== undefined;
    },
    header(method, target) {
      if (scheme === "basic") {
        return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
      }
      return scheme === "digest" && digest !== undefined
        ? digestHeader(digest, credentials, method, target, nonce())
        : undefined;
    },
    learn(status, header) {
      if (none) return false;
      const challenges = parseChallenges(header);
      const offered = mode === "basic" ? undefined : strongest(challenges);
      if (status === 401 && offered !== undefined) {
        scheme = "digest";
        digest = offered;
        return true;
      }
      if (scheme !== undefined) return false;
      if (mode === "digest") return false;
      scheme = "basic";
      return true;
    },
  };
}

interface DigestState {
  realm: string;
  nonce: string;
  opaque: string | undefined;
  algorithm: "MD5" | "MD5-sess" | "SHA-256" | "SHA-256-sess";
  qop: boolean;
  count: number;
}

function strongest(challenges: Challenge[]): DigestState | undefined {
  const usable = challenges.flatMap(({ scheme, values }): DigestState[] => {
    const nonce = values.get("nonce");
    if (scheme !== "digest" || nonce === undefined) return [];
    const name = (values.get("algorithm") ?? "MD5").toUpperCase();
    const algorithm = (["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"] as const).find(
      (one) => one.toUpperCase() === name,
    );
    if (algorithm === undefined) return [];
    const offers = values.get("qop");
    const qop = offers?.split(",").some((one) => one.trim().toLowerCase() === "auth") ?? false;
    // "auth-int" alone is not spoken here.
    if (offers !== undefined && !qop) return [];
    const realm = values.get("realm") ?? "";
    return [{ realm, nonce, opaque: values.get("opaque"), algorithm, qop, count: 0 }];
  });
  return usable.find((one) => one.algorithm.startsWith("SHA")) ?? usable[0];
}

/** @see https://www.rfc-editor.org/rfc/rfc7616 */
function digestHeader(
  state: DigestState,
  { username, password }: Credentials,
  method: string,
  target: string,
  cnonce: string,
): string {
  const hash = (text: string) =>
    new Bun.CryptoHasher(state.algorithm.startsWith("SHA") ? "sha256" : "md5").update(text).digest("hex");
  state.count++;
  const count = state.count.toString(16).padStart(8, "0");
  const plain = hash(`${username}:${state.realm}:${password}`);
  const ha1 = state.algorithm.endsWith("-sess") ? hash(`${plain}:${state.nonce}:${cnonce}`) : plain;
  const ha2 = hash(`${method}:${target}`);
  const response = state.qop
    ? hash(`${ha1}:${state.nonce}:${count}:${cnonce}:auth:${ha2}`)
    : hash(`${ha1}:${state.nonce}:${ha2}`);
  const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  const parts = [
    `username=${quoted(username)}`,
    `realm=${quoted(state.realm)}`,
    `nonce=${quoted(state.nonce)}`,
    `uri=${quoted(target)}`,
    `response="${response}"`,
    `algorithm=${state.algorithm}`,
    ...(state.opaque === undefined ? [] : [`opaque=${quoted(state.opaque)}`]),
    ...(state.qop || state.algorithm.endsWith("-sess") ? [`cnonce="${cnonce}"`] : []),
    ...(state.qop ? ["qop=auth", `nc=${count}`] : []),
  ];
  return `Digest ${parts.join(", ")}`;
}

function randomNonce(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
