import { escapeXml, type XmlName } from "./xml.ts";

/** A refusal with its status; `condition` names the violated rule of RFC 4918. */
export class DavRefusal extends Error {
  readonly status: number;
  readonly condition: string | undefined;
  readonly headers: Record<string, string>;

  constructor(status: number, condition?: string, headers: Record<string, string> = {}) {
    super(`HTTP ${status}`);
    this.status = status;
    this.condition = condition;
    this.headers = headers;
  }
}

export const XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n';
export const XML_TYPE = { "content-type": 'application/xml; charset="utf-8"' };

const REASONS: Record<number, string> = {
  200: "OK",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  423: "Locked",
  424: "Failed Dependency",
  507: "Insufficient Storage",
};

export const statusLine = (status: number) => `HTTP/1.1 ${status} ${REASONS[status] ?? "Error"}`;

export function refusalResponse({ status, condition, headers }: DavRefusal): Response {
  if (condition === undefined) return new Response(null, { status, headers });
  const body = `${XML_HEAD}<D:error xmlns:D="DAV:"><D:${condition}/></D:error>`;
  return new Response(body, { status, headers: { ...XML_TYPE, ...headers } });
}

/** An empty element of any namespace. */
export function emptyElement({ ns, local }: XmlName): string {
  if (ns === "DAV:") return `<D:${local}/>`;
  return ns === "" ? `<${local} xmlns=""/>` : `<x:${local} xmlns:x="${escapeXml(ns)}"/>`;
}

export interface PropStat {
  status: number;
  xml: string[];
  condition?: string;
}

export function responseElement(href: string, stats: readonly PropStat[]): string {
  const parts = stats
    .filter((stat) => stat.xml.length > 0)
    .map(
      ({ status, xml, condition }) =>
        `<D:propstat><D:prop>${xml.join("")}</D:prop><D:status>${statusLine(status)}</D:status>${
          condition === undefined ? "" : `<D:error><D:${condition}/></D:error>`
        }</D:propstat>`,
    );
  const body =
    parts.length > 0 ? parts.join("") : `<D:propstat><D:prop/><D:status>${statusLine(200)}</D:status></D:propstat>`;
  return `<D:response><D:href>${escapeXml(href)}</D:href>${body}</D:response>\n`;
}
