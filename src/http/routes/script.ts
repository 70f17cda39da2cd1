import { Elysia, t } from "elysia";
import type { RenderedScript } from "../../client-script/render.ts";
import { AppError } from "../../core/errors.ts";
import { contextOf, type RequestContext } from "../context.ts";
import type { HotAnswer } from "../hot-answer.ts";
import { looseQuery, ok } from "../schema.ts";

export interface ScriptDeps {
  settings: () => { allowed: boolean; filename: string; update: boolean; updateMsg: string };
  /** Is this `?key=` good? Constant time. True when none is needed. */
  keyGood: (key: string) => boolean;
  /** The address under which this request's sender reaches us, without a trailing slash. */
  baseUrl: (request: Request, forwarded: boolean) => string;
  render: (url: string, key: string) => RenderedScript;
}

/** `/script`: the generated LX source; with `checkUpdate`, whether it has changed. */
export function scriptRoutes(deps: ScriptDeps) {
  return new Elysia({ name: "routes/script", detail: { tags: ["script"] } }).get(
    "/script",
    ({ request, query }) => {
      const settings = deps.settings();
      if (!settings.allowed) throw new AppError("not_found", "未找到您所请求的资源");
      const key = (query.key ?? "").slice(0, 512);
      if (!deps.keyGood(key)) return keyRefused();
      const base = deps.baseUrl(request, contextOf(request).peer.viaProxy === true);
      const script = deps.render(base, key);
      if (settings.update && query.checkUpdate) {
        if (query.checkUpdate.toLowerCase() === script.md5) return ok(null);
        const updateUrl = key === "" ? `${base}/script` : `${base}/script?key=${encodeURIComponent(key)}`;
        return ok({ updateMsg: fill(settings.updateMsg, { updateUrl, url: base, key }), updateUrl });
      }
      return new Response(script.text, { headers: headersOf(settings.filename) });
    },
    {
      query: looseQuery({
        key: t.Optional(t.String({ description: "请求 key" })),
        checkUpdate: t.Optional(t.String({ description: "脚本中的 md5" })),
      }),
      detail: { summary: "LX 源脚本 / the LX source script" },
    },
  );
}

/**
 * The script without the router, for whoever asks for nothing but it.
 * @returns undefined for every other question, a wrong key included
 */
export function createScriptLane(deps: ScriptDeps) {
  const hot = new WeakMap<RenderedScript, HotAnswer & { filename: string }>();
  return (request: Request, context: RequestContext): HotAnswer | undefined => {
    if (request.method !== "GET" || request.url.includes("?")) return undefined;
    const { allowed, filename } = deps.settings();
    if (!allowed || !deps.keyGood("")) return undefined;
    const script = deps.render(deps.baseUrl(request, context.peer.viaProxy === true), "");
    let answer = hot.get(script);
    if (answer?.filename !== filename) {
      answer = { body: script.text, headers: headersOf(filename), filename };
      hot.set(script, answer);
    }
    return answer;
  };
}

function headersOf(filename: string) {
  return {
    "content-type": "text/javascript; charset=utf-8",
    "content-disposition": disposition(filename),
    "cache-control": "no-cache",
  };
}

/** The original answers a wrong key here with code 6, unlike everywhere else. */
function keyRefused(): Response {
  return new Response(JSON.stringify({ code: 6, msg: "key验证失败", data: null }), {
    status: 403,
    headers: { "content-type": "application/json; charset=utf-8" },
  });
}

function fill(text: string, values: Record<string, string>): string {
  return text.replaceAll("\\n", "\n").replace(/\{(updateUrl|url|key)\}/g, (_, name: string) => values[name] ?? "");
}

/** `attachment` with a name that no header can be broken by; other scripts go into `filename*`. */
function disposition(filename: string): string {
  const name = filename.endsWith(".js") ? filename : `${filename}.js`;
  const safe = name.replace(/[\p{Cc}"\\/;]/gu, "_");
  const ascii = safe.replace(/[^\x20-\x7e]/g, "_");
  const extended = ascii === safe ? "" : `; filename*=UTF-8''${encodeURIComponent(safe)}`;
  return `attachment; filename=${/^[\w.-]+$/.test(ascii) ? ascii : `"${ascii}"`}${extended}`;
}
