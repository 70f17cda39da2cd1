import { emptyElement, type PropStat, responseElement, statusLine, XML_HEAD, XML_TYPE } from "./dav-answers.ts";
import type { PropfindRequest } from "./dav-fragments.ts";
import type { DavLock, DavLocks } from "./dav-locks.ts";
import type { DeadProps } from "./dav-props.ts";
import type { DavNode, DavTree } from "./dav-tree.ts";
import { escapeXml, type XmlName } from "./xml.ts";

export interface ListingDeps {
  tree: DavTree;
  locks: DavLocks;
  props: DeadProps;
  /** "/dav" */
  prefix: string;
  contentTypeOf(path: string): string;
  maxEntries: number;
  now: () => number;
}

type Live = (node: DavNode, deps: ListingDeps) => string | undefined;

const SUPPORTED_LOCK = ["exclusive", "shared"]
  .map(
    (scope) => `<D:lockentry><D:lockscope><D:${scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>`,
  )
  .join("");

/** Values of the properties that follow from the file; undefined = this node has none of that name. */
const LIVE: Record<string, Live> = {
  resourcetype: (node) => (node.kind === "folder" ? "<D:collection/>" : ""),
  displayname: (node) => escapeXml(node.path.slice(node.path.lastIndexOf("/") + 1) || "dav"),
  getcontentlength: (node) => (node.kind === "file" ? String(node.size) : undefined),
  getcontenttype: (node, deps) => (node.kind === "file" ? escapeXml(deps.contentTypeOf(node.path)) : undefined),
  getetag: (node) => (node.etag === undefined ? undefined : escapeXml(node.etag)),
  getlastmodified: (node) => (node.modified > 0 ? new Date(node.modified).toUTCString() : undefined),
  creationdate: (node) => (node.created > 0 ? new Date(node.created).toISOString().replace(/\.\d+Z/, "Z") : undefined),
  supportedlock: (node) => (node.writable ? SUPPORTED_LOCK : ""),
  lockdiscovery: (node, deps) => lockDiscovery(deps.locks.covering(node.path), deps),
};

export const isLive = ({ ns, local }: XmlName) => ns === "DAV:" && Object.hasOwn(LIVE, local);

/** The address of a node, as it stands in answers. */
export function hrefOf(node: Pick<DavNode, "path" | "kind">, prefix: string): string {
  const encoded = node.path.split("/").map(encodeURIComponent).join("/");
  return `${prefix}${encoded}${node.kind === "folder" && !encoded.endsWith("/") ? "/" : ""}`;
}

export function lockDiscovery(locks: readonly DavLock[], { prefix, now }: Pick<ListingDeps, "prefix" | "now">): string {
  return locks
    .map(
      (lock) =>
        `<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:${lock.exclusive ? "exclusive" : "shared"}/></D:lockscope>` +
        `<D:depth>${lock.infinite ? "infinity" : "0"}</D:depth>${lock.owner}` +
        `<D:timeout>Second-${Math.max(1, Math.round((lock.expiresAt - now()) / 1000))}</D:timeout>` +
        `<D:locktoken><D:href>${escapeXml(lock.token)}</D:href></D:locktoken>` +
        `<D:lockroot><D:href>${escapeXml(prefix + lock.path.split("/").map(encodeURIComponent).join("/"))}</D:href></D:lockroot></D:activelock>`,
    )
    .join("");
}

/** A 207 that is written as the folders are read. */
export function listingResponse(
  node: DavNode,
  depth: "0" | "1" | "infinity",
  asked: PropfindRequest,
  deps: ListingDeps,
): Response {
  const parts = listing(node, depth, asked, deps);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(out) {
      // Some entries at a time: one write per entry would cost more than the entry.
      let text = "";
      for (let count = 0; count < 50; count++) {
        const { value, done } = await parts.next();
        if (done) {
          if (text !== "") out.enqueue(encoder.encode(text));
          out.close();
          return;
        }
        text += value;
      }
      out.enqueue(encoder.encode(text));
    },
    async cancel() {
      await parts.return(undefined);
    },
  });
  return new Response(body, { status: 207, headers: XML_TYPE });
}

async function* listing(
  start: DavNode,
  depth: "0" | "1" | "infinity",
  asked: PropfindRequest,
  deps: ListingDeps,
): AsyncGenerator<string, undefined> {
  yield `${XML_HEAD}<D:multistatus xmlns:D="DAV:">\n`;
  yield entry(start, asked, deps);
  let left = deps.maxEntries;
  const queue = depth === "0" ? [] : [start];
  walk: for (let folder = queue.shift(); folder !== undefined; folder = queue.shift()) {
    for await (const child of deps.tree.children(folder)) {
      if (left-- <= 0) {
        // RFC 5689 has no word for it; 507 is what servers say of a listing that they cut.
        const href = escapeXml(hrefOf(start, deps.prefix));
        yield `<D:response><D:href>${href}</D:href><D:status>${statusLine(507)}</D:status></D:response>\n`;
        break walk;
      }
      yield entry(child, asked, deps);
      if (depth === "infinity" && child.kind === "folder") queue.push(child);
    }
  }
  yield "</D:multistatus>\n";
  return undefined;
}

function entry(node: DavNode, asked: PropfindRequest, deps: ListingDeps): string {
  return responseElement(hrefOf(node, deps.prefix), stats(node, asked, deps));
}

function stats(node: DavNode, asked: PropfindRequest, deps: ListingDeps): PropStat[] {
  const dead = deps.props.of(node.path);
  const live = (local: string) => {
    const value = LIVE[local]?.(node, deps);
    return value === undefined ? undefined : value === "" ? `<D:${local}/>` : `<D:${local}>${value}</D:${local}>`;
  };
  if ("onlyNames" in asked) {
    const names = Object.keys(LIVE).filter((local) => live(local) !== undefined);
    const xml = [...names.map((local) => `<D:${local}/>`), ...dead.map(emptyElement)];
    return [{ status: 200, xml }];
  }
  const good: string[] = [];
  const none: string[] = [];
  if (asked.all) {
    for (const local of Object.keys(LIVE)) good.push(live(local) ?? "");
    good.push(...dead.map((prop) => prop.xml));
  }
  for (const name of asked.names ?? []) {
    if (asked.all && isLive(name)) continue;
    const found = isLive(name)
      ? live(name.local)
      : dead.find((prop) => prop.ns === name.ns && prop.local === name.local)?.xml;
    if (found === undefined) none.push(emptyElement(name));
    else if (!asked.all) good.push(found);
  }
  return [
    { status: 200, xml: good },
    { status: 404, xml: none },
  ];
}
