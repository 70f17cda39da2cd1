/** One condition of an `If` header: a lock token or an entity tag. */
interface Condition {
  not: boolean;
  token?: string;
  etag?: string;
}

interface List {
  /** The resource that the list speaks of; undefined = the one of the request. */
  tag: string | undefined;
  conditions: Condition[];
}

export interface IfHeader {
  lists: List[];
  /** Every token that it submits. */
  tokens: ReadonlySet<string>;
}

const MAX_LENGTH = 8192;

/**
 * @returns undefined when the header is not well-formed
 * @see https://www.rfc-editor.org/rfc/rfc4918#section-10.4
 */
export function parseIf(header: string): IfHeader | undefined {
  if (header.length > MAX_LENGTH) return undefined;
  const lists: List[] = [];
  const tokens = new Set<string>();
  let tag: string | undefined;
  let rest = header.trim();
  while (rest !== "") {
    const resource = /^<([^>]*)>\s*(?=\()/.exec(rest);
    if (resource !== null) {
      tag = resource[1];
      rest = rest.slice(resource[0].length);
      continue;
    }
    const list = /^\(((?:\s*(?:not\s*)?(?:<[^>]*>|\[(?:W\/)?"[^"]*"\]))+)\s*\)\s*/i.exec(rest);
    if (list === null) return undefined;
    const conditions: Condition[] = [];
    for (const [, not, token, etag] of (list[1] ?? "").matchAll(/(not)?\s*(?:<([^>]*)>|\[((?:W\/)?"[^"]*")\])/gi)) {
      conditions.push({
        not: not !== undefined,
        ...(token === undefined ? {} : { token }),
        ...(etag === undefined ? {} : { etag }),
      });
      if (token !== undefined) tokens.add(token);
    }
    lists.push({ tag, conditions });
    rest = rest.slice(list[0].length);
  }
  return lists.length === 0 ? undefined : { lists, tokens };
}

/** What is known of one resource that the header speaks of. */
export interface IfState {
  etag: string | undefined;
  tokens: readonly string[];
}

/** True when one of the lists holds. */
export async function holds(
  header: IfHeader,
  stateOf: (tag: string | undefined) => Promise<IfState | undefined>,
): Promise<boolean> {
  for (const { tag, conditions } of header.lists) {
    const state = await stateOf(tag);
    const good = conditions.every(({ not, token, etag }) => {
      const matches =
        token !== undefined ? (state?.tokens.includes(token) ?? false) : etag !== undefined && state?.etag === etag;
      return matches !== not;
    });
    if (good) return true;
  }
  return false;
}
