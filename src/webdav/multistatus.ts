import { createXmlReader, type XmlHandler, type XmlLimits, type XmlName } from "./xml.ts";

/** One `response` of a listing, as far as we use it. */
export interface DavEntry {
  /** As the server wrote it: absolute or a path, encoded or not. */
  href: string;
  isFolder: boolean;
  /** Bytes. */
  size: number | undefined;
  etag: string | undefined;
  /** Unix ms. */
  modified: number | undefined;
  contentType: string | undefined;
}

const DAV = "DAV:";
const MAX_TEXT = 8192;

export const LISTING_LIMITS: XmlLimits = {
  maxLength: 64 << 20,
  maxDepth: 24,
  maxPiece: 64 << 10,
  fault: "upstream_changed",
};

/** What a listing asks for; servers answer a named list faster than "everything". */
export const PROPFIND_BODY =
  '<?xml version="1.0" encoding="utf-8"?>\n<d:propfind xmlns:d="DAV:"><d:prop><d:resourcetype/><d:getcontentlength/>' +
  "<d:getetag/><d:getlastmodified/><d:getcontenttype/></d:prop></d:propfind>";

/**
 * Reads a 207 body as it arrives; each entry is told when its `response` closes.
 * @throws AppError `upstream_changed` when it is not XML in bounds
 */
export async function readMultistatus(
  body: ReadableStream<Uint8Array>,
  onEntry: (entry: DavEntry) => void,
  limits: XmlLimits = LISTING_LIMITS,
): Promise<void> {
  const reader = createXmlReader(limits, collector(onEntry));
  const decoder = new TextDecoder();
  const source = body.getReader();
  try {
    for (;;) {
      const { value, done } = await source.read();
      if (done) break;
      reader.write(decoder.decode(value, { stream: true }));
    }
    reader.write(decoder.decode());
    reader.end();
  } catch (error) {
    await source.cancel().catch(() => undefined);
    throw error;
  }
}

type Props = Omit<DavEntry, "href">;

function collector(onEntry: (entry: DavEntry) => void): XmlHandler {
  let path: string[] = [];
  let text = "";
  let href = "";
  let response: Props | undefined;
  let propstat: { props: Partial<Props>; good: boolean } | undefined;
  const blank = (): Props => ({
    isFolder: false,
    size: undefined,
    etag: undefined,
    modified: undefined,
    contentType: undefined,
  });
  const nameOf = ({ ns, local }: XmlName) => (ns === DAV ? local : `{${ns}}${local}`);

  return {
    open(name) {
      path.push(nameOf(name));
      text = "";
      if (name.ns !== DAV) return;
      if (name.local === "response") {
        response = blank();
        href = "";
      } else if (name.local === "propstat") propstat = { props: {}, good: true };
      else if (name.local === "collection" && path.at(-2) === "resourcetype" && propstat)
        propstat.props.isFolder = true;
    },
    text(run) {
      if (text.length < MAX_TEXT) text += run;
    },
    close(name) {
      path = path.slice(0, -1);
      if (name.ns !== DAV) return;
      const value = text.trim();
      switch (name.local) {
        case "href":
          if (path.at(-1) === "response") href = value;
          break;
        case "status":
          if (path.at(-1) === "propstat" && propstat) propstat.good = /^HTTP\/\S+\s+2\d\d/i.test(value);
          break;
        case "propstat":
          if (propstat?.good && response) Object.assign(response, propstat.props);
          propstat = undefined;
          break;
        case "response":
          if (response && href !== "") onEntry({ href, ...response });
          response = undefined;
          break;
        default:
          if (path.at(-1) === "prop" && propstat) Object.assign(propstat.props, property(name.local, value));
      }
    },
  };
}

function property(local: string, value: string): Partial<Props> {
  if (value === "") return {};
  switch (local) {
    case "getcontentlength":
      return /^\d{1,15}$/.test(value) ? { size: Number(value) } : {};
    case "getetag":
      return { etag: value };
    case "getlastmodified": {
      const time = Date.parse(value);
      return Number.isNaN(time) ? {} : { modified: time };
    }
    case "getcontenttype":
      return { contentType: value };
    default:
      return {};
  }
}
