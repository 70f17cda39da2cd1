import { createXmlReader, escapeXml, type XmlHandler, type XmlLimits, type XmlName } from "./xml.ts";

export const REQUEST_LIMITS: XmlLimits = {
  maxLength: 256 << 10,
  maxDepth: 32,
  maxPiece: 64 << 10,
  fault: "invalid_request",
};

/** A part of a document that stands alone: every element carries its own namespace. */
export interface Capture {
  open(name: XmlName, attributes: ReadonlyMap<string, string>, prefixes: ReadonlyMap<string, string>): void;
  text(text: string): void;
  close(name: XmlName): void;
  readonly xml: string;
}

export function createCapture(): Capture {
  let xml = "";
  return {
    open(name, attributes, prefixes) {
      xml += `<${tagOf(name)}${name.ns === "" ? ' xmlns=""' : ` xmlns:x="${escapeXml(name.ns)}"`}`;
      let number = 0;
      for (const [key, value] of attributes) {
        if (key === "xmlns" || key.startsWith("xmlns:")) continue;
        const colon = key.indexOf(":");
        if (colon === -1 || key.startsWith("xml:")) xml += ` ${key}="${escapeXml(value)}"`;
        else {
          const ns = prefixes.get(key.slice(0, colon)) ?? "";
          const prefix = `a${number++}`;
          xml += ` xmlns:${prefix}="${escapeXml(ns)}" ${prefix}:${key.slice(colon + 1)}="${escapeXml(value)}"`;
        }
      }
      xml += ">";
    },
    text(text) {
      xml += escapeXml(text);
    },
    close(name) {
      xml += `</${tagOf(name)}>`;
    },
    get xml() {
      return xml;
    },
  };
}

const tagOf = ({ ns, local }: XmlName) => (ns === "" ? local : `x:${local}`);

const is = (name: XmlName | undefined, local: string) => name?.ns === "DAV:" && name.local === local;

/**
 * Reads a request's document, and tells the handler where in it each thing is.
 * @throws AppError `invalid_request`
 */
function readDocument(text: string, handler: (path: () => readonly XmlName[]) => XmlHandler): void {
  const path: XmlName[] = [];
  const inner = handler(() => path);
  const reader = createXmlReader(REQUEST_LIMITS, {
    open(name, attributes, prefixes) {
      inner.open?.(name, attributes, prefixes);
      path.push(name);
    },
    text: (run) => inner.text?.(run),
    close(name) {
      path.pop();
      inner.close?.(name);
    },
  });
  reader.write(text.replace(/^\ufeff/, ""));
  reader.end();
}

export type PropfindRequest = { all: true; names?: XmlName[] } | { all: false; names: XmlName[] } | { onlyNames: true };

/** @returns undefined when the document is XML but no `propfind` */
export function readPropfind(text: string): PropfindRequest | undefined {
  let root: XmlName | undefined;
  let kind: "allprop" | "propname" | "prop" | undefined;
  const names: XmlName[] = [];
  readDocument(text, (path) => ({
    open(name) {
      const depth = path().length;
      if (depth === 0) root = name;
      else if (depth === 1 && name.ns === "DAV:") {
        if (name.local === "allprop" || name.local === "propname" || name.local === "prop") kind = name.local;
      } else if (depth === 2 && (is(path()[1], "prop") || is(path()[1], "include"))) {
        names.push({ ns: name.ns, local: name.local });
      }
    },
  }));
  if (!is(root, "propfind") || kind === undefined) return undefined;
  if (kind === "propname") return { onlyNames: true };
  return kind === "allprop" ? { all: true, names } : { all: false, names };
}

export interface PropChange {
  name: XmlName;
  /** The whole element; undefined = remove. */
  xml: string | undefined;
}

/** Changes in the order of the document; undefined when it is no `propertyupdate`. */
export function readPropertyUpdate(text: string): PropChange[] | undefined {
  const changes: PropChange[] = [];
  let root: XmlName | undefined;
  let capture: Capture | undefined;
  readDocument(text, (path) => ({
    open(name, attributes, prefixes) {
      const at = path();
      if (at.length === 0) root = name;
      if (at.length === 3 && is(at[2], "prop") && (is(at[1], "set") || is(at[1], "remove"))) capture = createCapture();
      capture?.open(name, attributes, prefixes);
    },
    text: (run) => capture?.text(run),
    close(name) {
      if (capture === undefined) return;
      capture.close(name);
      const at = path();
      if (at.length !== 3) return;
      changes.push({ name: { ns: name.ns, local: name.local }, xml: is(at[1], "set") ? capture.xml : undefined });
      capture = undefined;
    },
  }));
  return is(root, "propertyupdate") && changes.length > 0 ? changes : undefined;
}

export interface LockInfo {
  exclusive: boolean;
  /** The whole `owner` element; empty = none. */
  owner: string;
}

/** @returns undefined when the document asks for no write lock */
export function readLockInfo(text: string): LockInfo | undefined {
  let root: XmlName | undefined;
  let scope: string | undefined;
  let write = false;
  let owner = "";
  let capture: Capture | undefined;
  readDocument(text, (path) => ({
    open(name, attributes, prefixes) {
      const at = path();
      if (at.length === 0) root = name;
      else if (at.length === 1 && is(name, "owner")) capture = createCapture();
      else if (at.length === 2 && is(at[1], "lockscope") && name.ns === "DAV:") scope = name.local;
      else if (at.length === 2 && is(at[1], "locktype") && is(name, "write")) write = true;
      capture?.open(name, attributes, prefixes);
    },
    text: (run) => capture?.text(run),
    close(name) {
      if (capture === undefined) return;
      capture.close(name);
      if (path().length === 1) {
        owner = capture.xml;
        capture = undefined;
      }
    },
  }));
  if (!is(root, "lockinfo") || !write || (scope !== "exclusive" && scope !== "shared")) return undefined;
  return { exclusive: scope === "exclusive", owner };
}
