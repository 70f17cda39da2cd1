import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { GuardedReply, GuardedRequest } from "../../net/guard.ts";
import type { ScriptEnv } from "../protocol.ts";

const fields = Type.Record(Type.String(), Type.Unknown());
const requestSchema = Type.Tuple([
  Type.Integer(),
  Type.String({ maxLength: 65_536 }),
  Type.Object({
    method: Type.String({ maxLength: 20 }),
    timeout: Type.Optional(Type.Unknown()),
    headers: Type.Optional(Type.Union([fields, Type.Null()])),
    body: Type.Object({ kind: Type.String(), value: Type.Optional(Type.Unknown()) }),
    form: Type.Optional(Type.Unknown()),
    formData: Type.Optional(Type.Unknown()),
  }),
]);
type Options = Static<typeof requestSchema>[2];

/** `lx.request` as the sandbox hands it over: number, address, options. @throws TypeError when it is not in this form. */
export function readRequest(args: unknown): { id: number; url: string; options: Options } {
  if (!Value.Check(requestSchema, args)) throw new TypeError("Invalid request options");
  const [id, url, options] = args;
  return { id, url, options };
}

const METHODS = new Set(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]);
const MAX_TIMEOUT_MS = 60_000;
const MOBILE_TIMEOUT_MS = 13_000;
const MOBILE_REDIRECTS = 20;
const DESKTOP_AGENT = "Needle/3.3.1 (Node.js v20.9.0; win32 x64)";
const MOBILE_AGENT =
  "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/69.0.3497.100 Safari/537.36";

/** The request that the client in question would send. @throws TypeError for what it could not send either. */
export function toGuarded(
  env: ScriptEnv,
  url: string,
  options: Options,
  bytes: Uint8Array<ArrayBuffer> | undefined,
): GuardedRequest {
  const method = options.method.toUpperCase();
  if (!METHODS.has(method)) throw new TypeError(`Unsupported method: ${method}`);
  const timeout = typeof options.timeout === "number" && options.timeout > 0 ? options.timeout : undefined;
  return env === "desktop"
    ? desktopRequest(url, method, options, bytes, timeout)
    : mobileRequest(url, method, options, bytes, timeout);
}

/** Needle: names in lower case, redirects not followed, the timeout counts until the headers. */
function desktopRequest(
  url: string,
  method: string,
  options: Options,
  bytes: Uint8Array<ArrayBuffer> | undefined,
  timeout: number | undefined,
): GuardedRequest {
  const headers: Record<string, string> = { accept: "*/*", "user-agent": DESKTOP_AGENT };
  for (const [name, value] of headerPairs(options)) headers[name.toLowerCase()] = value;
  let address = url.includes("http") ? url : url.replace(/^(\/\/)?/, "http://");
  let body: string | Uint8Array<ArrayBuffer> | undefined;
  const data = desktopData(options, bytes);
  if (data !== undefined) {
    const json = data.mayBeJson && headers["content-type"] === "application/json";
    body = bytes ?? encode(data.value, json && typeof data.value !== "string");
    headers["content-type"] ??= "application/x-www-form-urlencoded";
    if (method === "GET" && typeof body === "string" && !json) {
      address = address.replace(/\?.*$|$/s, () => `?${body}`);
      delete headers["content-type"];
    }
  }
  return {
    url: address,
    method,
    headers,
    headersMs: Math.min(timeout ?? MAX_TIMEOUT_MS, MAX_TIMEOUT_MS),
    deadlineMs: MAX_TIMEOUT_MS,
    maxRedirects: 0,
    // Undecoded when the server compresses unasked; a script that asks for it gets it decoded.
    decompress: headers["accept-encoding"] !== undefined,
    ...withBody(method, body),
  };
}

function desktopData(
  options: Options,
  bytes: Uint8Array<ArrayBuffer> | undefined,
): { value: unknown; mayBeJson: boolean } | undefined {
  if (bytes !== undefined) return { value: bytes, mayBeJson: true };
  const { body, form, formData } = options;
  if (body.kind !== "none" && body.value !== "") return { value: body.value, mayBeJson: true };
  if (form) return { value: form, mayBeJson: false };
  if (formData) return { value: formData, mayBeJson: false };
  return undefined;
}

/** React Native's fetch: redirects followed, JSON unless said otherwise, the timeout counts to the end. */
function mobileRequest(
  url: string,
  method: string,
  options: Options,
  bytes: Uint8Array<ArrayBuffer> | undefined,
  timeout: number | undefined,
): GuardedRequest {
  const headers: Record<string, string> = { Accept: "application/json", "User-Agent": MOBILE_AGENT };
  for (const [name, value] of headerPairs(options)) {
    const same = Object.keys(headers).find((key) => key.toLowerCase() === name.toLowerCase());
    if (same !== undefined && same !== name) delete headers[same];
    headers[name] = value;
  }
  const typeName = () => Object.keys(headers).find((key) => key.toLowerCase() === "content-type");
  let body: unknown = options.body.kind === "none" ? undefined : options.body.value;
  if (method === "POST") {
    if (bytes === undefined && body === undefined && options.form) {
      headers[typeName() ?? "Content-Type"] ??= "application/x-www-form-urlencoded";
      body = encode(options.form, false);
    } else if (bytes === undefined && body === undefined && options.formData) {
      if (typeName() === undefined) throw new TypeError("formData needs a content-type");
      body = encode(options.formData, false);
    } else if (typeName() === undefined) {
      headers["Content-Type"] = "application/json";
    }
  }
  const json = headers[typeName() ?? ""] === "application/json";
  const sent = bytes ?? (body === undefined || body === "" ? undefined : encode(body, json));
  const ms = Math.min(timeout ?? MOBILE_TIMEOUT_MS, MAX_TIMEOUT_MS);
  return {
    url,
    method,
    headers,
    headersMs: ms,
    deadlineMs: ms,
    maxRedirects: MOBILE_REDIRECTS,
    ...withBody(method, sent),
  };
}

function headerPairs(options: Options): [string, string][] {
  return Object.entries(options.headers ?? {}).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [[name, String(value)] as [string, string]],
  );
}

function withBody(method: string, body: string | Uint8Array<ArrayBuffer> | undefined) {
  return body === undefined || body === "" || method === "GET" || method === "HEAD" ? {} : { body };
}

function encode(value: unknown, json: boolean): string {
  if (json) return JSON.stringify(value);
  return typeof value === "string" ? value : formEncode(value, "", 0);
}

/** Nested values as `a[b]=c`, lists as `a[0]=b`. */
function formEncode(value: unknown, prefix: string, depth: number): string {
  if (depth > 20) throw new TypeError("The form is nested too deeply");
  if (value === null || value === undefined) return `${prefix}=`;
  if (typeof value === "object") {
    return Object.entries(value)
      .map(([name, item]) => {
        const key = encodeURIComponent(name);
        return formEncode(item, prefix === "" ? key : `${prefix}[${key}]`, depth + 1);
      })
      .join("&");
  }
  if (prefix === "") throw new TypeError("The form must be an object");
  return `${prefix}=${encodeURIComponent(String(value))}`;
}

/** The `resp` that a script gets, without `body`, `raw` and `bytes`, which the sandbox adds. */
export function responseHead(env: ScriptEnv, reply: GuardedReply): string {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of reply.headers) {
    if (name !== "set-cookie") headers[name] = value;
  }
  const cookies = reply.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = env === "desktop" ? cookies : cookies.join(", ");
  return JSON.stringify({ statusCode: reply.status, statusMessage: reply.statusText, headers });
}

/** The body as text: UTF-8 as Node reads it on the desktop, without a byte-order mark on mobile. */
export function responseText(env: ScriptEnv, reply: GuardedReply): string {
  return env === "desktop" ? Buffer.from(reply.bytes).toString() : reply.text();
}
