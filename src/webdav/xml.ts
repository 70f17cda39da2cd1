import { AppError, type ErrorKind } from "../core/errors.ts";

export interface XmlLimits {
  /** Characters of the whole document. */
  maxLength: number;
  maxDepth: number;
  /** Characters of one tag or one run of text. */
  maxPiece: number;
  /** What a document that breaks a rule is. */
  fault: ErrorKind;
}

export interface XmlName {
  /** Namespace; empty = none. */
  ns: string;
  local: string;
}

/** Called in document order. Text may come in several runs. */
export interface XmlHandler {
  /** `attributes` as written, declarations of namespaces included; `prefixes` are those in force here. */
  open?(name: XmlName, attributes: ReadonlyMap<string, string>, prefixes: ReadonlyMap<string, string>): void;
  text?(text: string): void;
  close?(name: XmlName): void;
}

export interface XmlReader {
  write(chunk: string): void;
  /** @throws AppError when the document is not complete */
  end(): void;
}

const NAME = /^[\p{L}_:][\p{L}\p{N}\p{M}_:.\-·]*$/u;
const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const MAX_ATTRIBUTES = 64;
const XML_NS = "http://www.w3.org/XML/1998/namespace";

interface Open extends XmlName {
  /** As written, to compare with the closing tag. */
  raw: string;
  prefixes: ReadonlyMap<string, string>;
}

/**
 * A small namespace-aware reader for what WebDAV sends, fed in pieces of any size. There are no declarations: a
 * DOCTYPE is refused, so that neither entities that grow nor external ones exist; depth, lengths and numbers have
 * bounds.
 * @throws AppError of kind `limits.fault`
 */
export function createXmlReader(limits: XmlLimits, handler: XmlHandler): XmlReader {
  let rest = "";
  let total = 0;
  let seenRoot = false;
  const stack: Open[] = [];
  const root: ReadonlyMap<string, string> = new Map([
    ["", ""],
    ["xml", XML_NS],
  ]);

  function wrong(reason: string): never {
    throw new AppError(limits.fault, "XML 格式有误", { detail: reason });
  }

  function text(raw: string): void {
    if (stack.length === 0) {
      if (raw.trim() !== "" && raw !== "\ufeff") wrong("text outside of the root");
    } else if (raw !== "") handler.text?.(decode(raw));
  }

  function decode(raw: string): string {
    if (!raw.includes("&")) return raw;
    return raw.replace(/&([^;&\s]{0,12}(;?))/g, (_all, body: string, end: string) => {
      if (end === "") return wrong("a bare &");
      const name = body.slice(0, -1);
      const known = ENTITIES[name];
      if (known !== undefined) return known;
      const number = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(name);
      if (number === null) return wrong("an entity that is not predefined");
      const code = number[1] === undefined ? Number(number[2]) : Number.parseInt(number[1], 16);
      const legal = code === 9 || code === 10 || code === 13 || (code >= 32 && code <= 0x10ffff);
      if (!legal || (code >= 0xd800 && code <= 0xdfff)) return wrong("a character that XML does not have");
      return String.fromCodePoint(code);
    });
  }

  function openTag(raw: string): void {
    const empty = raw.endsWith("/");
    const inner = empty ? raw.slice(0, -1) : raw;
    const name = /^[^\s/]+/.exec(inner)?.[0] ?? "";
    if (!NAME.test(name)) wrong("a tag without a name");
    const written = attributes(inner.slice(name.length));
    const outer = stack.at(-1)?.prefixes ?? root;
    let prefixes = outer;
    for (const [key, value] of written) {
      if (key !== "xmlns" && !key.startsWith("xmlns:")) continue;
      if (prefixes === outer) prefixes = new Map(outer);
      const prefix = key.slice(6);
      // Namespaces 1.0 forbids to take a prefix back.
      if (prefix !== "" && value === "") wrong("a prefix bound to nothing");
      (prefixes as Map<string, string>).set(prefix, value);
    }
    if (stack.length === 0 && seenRoot) wrong("two roots");
    if (stack.length >= limits.maxDepth) wrong("nested too deeply");
    seenRoot = true;
    const element: Open = { ...resolve(name, prefixes), raw: name, prefixes };
    handler.open?.(element, written, prefixes);
    if (empty) handler.close?.(element);
    else stack.push(element);
  }

  function resolve(name: string, prefixes: ReadonlyMap<string, string>): XmlName {
    const colon = name.indexOf(":");
    const prefix = colon === -1 ? "" : name.slice(0, colon);
    const local = name.slice(colon + 1);
    const ns = prefixes.get(prefix);
    if (ns === undefined || local === "" || local.includes(":")) return wrong(`an unknown prefix: ${prefix}`);
    return { ns, local };
  }

  function attributes(raw: string): Map<string, string> {
    const found = new Map<string, string>();
    const pattern = /\s+([^\s=]+)\s*=\s*("[^"<]*"|'[^'<]*')/gy;
    let at = 0;
    for (const match of raw.matchAll(pattern)) {
      const [whole, name = "", quoted = ""] = match;
      at = match.index + whole.length;
      if (!NAME.test(name) || found.has(name) || found.size >= MAX_ATTRIBUTES) wrong("bad attributes");
      found.set(name, decode(quoted.slice(1, -1)));
    }
    if (raw.slice(at).trim() !== "") wrong("bad attributes");
    return found;
  }

  function closeTag(raw: string): void {
    const element = stack.pop();
    if (element === undefined || element.raw !== raw.trimEnd()) wrong("a closing tag that closes nothing");
    handler.close?.(element);
  }

  /** Takes one piece of markup at the start of `rest`. @returns its length; 0 = more is needed */
  function markup(): number {
    const until = (mark: string, from: number) => {
      const at = rest.indexOf(mark, from);
      if (at === -1) {
        if (rest.length > limits.maxPiece) wrong("a piece that is too long");
        return 0;
      }
      return at + mark.length;
    };
    if (rest.startsWith("<!")) {
      if (rest.length < 9 && "<![CDATA[".startsWith(rest)) return 0;
      if (rest.startsWith("<!--")) return until("-->", 4);
      if (rest.startsWith("<![CDATA[")) {
        const end = until("]]>", 9);
        if (end > 0) {
          if (stack.length === 0) wrong("text outside of the root");
          handler.text?.(rest.slice(9, end - 3));
        }
        return end;
      }
      if (rest.length < 4 && "<!--".startsWith(rest)) return 0;
      return wrong("a declaration");
    }
    if (rest.startsWith("<?")) return until("?>", 2);
    const end = tagEnd();
    if (end === 0) return 0;
    const inner = rest.slice(1, end - 1);
    if (inner.startsWith("/")) closeTag(inner.slice(1));
    else openTag(inner);
    return end;
  }

  /** A ">" may stand in a quoted value. */
  function tagEnd(): number {
    let quote = "";
    for (let at = 1; at < rest.length; at++) {
      const sign = rest[at] ?? "";
      if (quote !== "") {
        if (sign === quote) quote = "";
      } else if (sign === '"' || sign === "'") quote = sign;
      else if (sign === ">") return at + 1;
      else if (sign === "<") wrong("a tag within a tag");
    }
    if (rest.length > limits.maxPiece) wrong("a tag that is too long");
    return 0;
  }

  return {
    write(chunk) {
      total += chunk.length;
      if (total > limits.maxLength) wrong("too long");
      rest += chunk;
      let at = 0;
      const all = rest;
      while (at < all.length) {
        const mark = all.indexOf("<", at);
        if (mark !== at) {
          const end = mark === -1 ? all.length : mark;
          const run = all.slice(at, end);
          // An entity may be cut in two by the chunk's end.
          const cut = mark === -1 ? run.lastIndexOf("&") : -1;
          const whole = cut !== -1 && !run.includes(";", cut) ? run.slice(0, cut) : run;
          text(whole);
          at += whole.length;
          if (mark === -1) {
            if (all.length - at > limits.maxPiece) wrong("an entity that is too long");
            break;
          }
        }
        rest = all.slice(at);
        const length = markup();
        if (length === 0) break;
        at += length;
      }
      rest = all.slice(at);
    },
    end() {
      if (rest.trim() !== "" || stack.length > 0 || !seenRoot) wrong("not complete");
    },
  };
}

/** Text for an element or an attribute in double quotes. Characters that XML cannot hold become U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replace(/[<>&"\r]/g, (sign) =>
      sign === "\r" ? "&#13;" : `&${{ "<": "lt", ">": "gt", "&": "amp", '"': "quot" }[sign]};`,
    );
}
