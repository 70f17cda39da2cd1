import { Elysia, status, t } from "elysia";
import type { Audit } from "../../access/audit.ts";
import { SOURCE_IDS } from "../../core/types.ts";
import type { ScriptHost } from "../../scripts/host.ts";
import { readMusicInfos } from "../../scripts/music-info.ts";
import { SCRIPT_ENVS } from "../../scripts/protocol.ts";
import { requireRole } from "../context.ts";
import { FieldsError } from "../errors.ts";
import { pageOfList, pageQuery, pageRequest } from "../pagination.ts";

export interface ScriptsAdminDeps {
  scripts: ScriptHost;
  audit: Pick<Audit, "record">;
}

const MAX_TEXT = 9_000_000;
const detail = (summary: string) => ({ detail: { summary, tags: ["第三方脚本 / third-party scripts"] } });
const name = t.String({ minLength: 1, maxLength: 200, description: "编号或名称 / id or name" });
const params = t.Object({ script: name });
const env = t.Union(SCRIPT_ENVS.map((item) => t.Literal(item)));
const hosts = t.Array(t.String({ minLength: 1, maxLength: 255 }), { maxItems: 200 });
const platform = t.Union(SOURCE_IDS.map((id) => t.Literal(id)));
const text = t.String({ minLength: 1, maxLength: MAX_TEXT, description: "脚本全文 / the script's text" });

const addBody = t.Object({
  url: t.Optional(t.String({ minLength: 8, maxLength: 4_096, description: "http(s) 地址 / address" })),
  text: t.Optional(text),
  env: t.Optional(env),
  enabled: t.Optional(t.Boolean({ default: true })),
  allowHosts: t.Optional(hosts),
  force: t.Optional(t.Boolean({ description: "试运行失败也添加 / keep it even when its trial run fails" })),
});
const changeBody = t.Object({
  enabled: t.Optional(t.Boolean()),
  env: t.Optional(env),
  allowHosts: t.Optional(t.Union([hosts, t.Null()])),
});
const testBody = t.Object({
  script: t.Optional(name),
  text: t.Optional(text),
  env: t.Optional(env),
  songs: t.Optional(t.Array(t.Unknown(), { maxItems: 50, description: "musicInfo" })),
});

/** `/api/v1/scripts`: third-party scripts. Viewers read, admins change. */
export function scriptsAdminRoutes({ scripts, audit }: ScriptsAdminDeps) {
  function change(request: Request, action: string, target: string, more?: unknown): void {
    const { id, peer, user = "" } = requireRole(request, "admin");
    audit.record({ actor: user, address: peer.address, action, target, detail: more, requestId: id });
  }

  return new Elysia({ name: "routes/scripts-admin", prefix: "/api/v1/scripts" })
    .get(
      "",
      ({ request, query }) => {
        requireRole(request, "viewer");
        return pageOfList(scripts.list(), pageRequest(query));
      },
      { query: t.Object(pageQuery), ...detail("全部脚本与状态 / every script and how it is doing") },
    )
    .post(
      "",
      async ({ request, body: { url, text: given, ...options } }) => {
        requireRole(request, "admin");
        if ((url === undefined) === (given === undefined)) throw oneOf("url", "text");
        const added =
          url === undefined ? await scripts.addText(given ?? "", options) : await scripts.addUrl(url, options);
        change(request, "script.add", added.id, { name: added.name, url });
        return status(201, { data: added });
      },
      { body: addBody, ...detail("按地址或全文添加 / add by address or text") },
    )
    .get(
      "/order",
      ({ request }) => {
        requireRole(request, "viewer");
        return { data: Object.fromEntries(SOURCE_IDS.map((id) => [id, scripts.order(id)])) };
      },
      detail("每个平台的顺序 / order per platform"),
    )
    .put(
      "/order/:platform",
      ({ request, params: { platform: of }, body }) => {
        change(request, "script.order", of, body.scripts);
        scripts.setOrder(of, body.scripts);
        return { data: scripts.order(of) };
      },
      {
        params: t.Object({ platform }),
        body: t.Object({ scripts: t.Array(name, { maxItems: 200 }) }),
        ...detail("设置顺序 / set the order"),
      },
    )
    .post(
      "/update",
      async ({ request, body }) => {
        change(request, "script.update", "*");
        return { data: await scripts.update(undefined, body?.force ?? false) };
      },
      { body: t.Optional(t.Object({ force: t.Optional(t.Boolean()) })), ...detail("检查全部更新 / update all") },
    )
    .post(
      "/test",
      async ({ request, body: { script, text: given, env: as, songs } }) => {
        requireRole(request, "admin");
        if ((script === undefined) === (given === undefined)) throw oneOf("script", "text");
        if (given !== undefined && !given.startsWith("/*")) {
          throw new FieldsError("不是有效的 LX 脚本", [{ field: "text", message: "必须以 /* 开头", type: "format" }]);
        }
        const report = await scripts.test(script ?? given ?? "", {
          env: as,
          songs: songs === undefined ? undefined : musicInfos(songs),
          signal: request.signal,
        });
        return { data: report };
      },
      { body: testBody, ...detail("试运行 / trial run") },
    )
    .get(
      "/:script",
      ({ request, params: { script } }) => {
        requireRole(request, "viewer");
        return { data: scripts.get(script) };
      },
      { params, ...detail("一个脚本与其版本 / one script and its versions") },
    )
    .get(
      "/:script/text",
      async ({ request, params: { script } }) => {
        requireRole(request, "admin");
        return new Response(await scripts.text(script), {
          headers: { "content-type": "text/plain; charset=utf-8", "content-disposition": "attachment" },
        });
      },
      { params, ...detail("脚本全文 / the script's text") },
    )
    .patch(
      "/:script",
      async ({ request, params: { script }, body: { enabled, env: as, allowHosts } }) => {
        change(request, "script.change", script, { enabled, env: as, allowHosts });
        const wanted = {
          ...(enabled === undefined ? {} : { enabled }),
          ...(as === undefined ? {} : { env: as }),
          ...(allowHosts === undefined ? {} : { allowHosts }),
        };
        return { data: await scripts.change(script, wanted) };
      },
      { params, body: changeBody, ...detail("启用、停用、环境、主机名单 / switch on or off, client, hosts") },
    )
    .delete(
      "/:script",
      async ({ request, params: { script } }) => {
        change(request, "script.remove", script);
        const { id } = scripts.get(script);
        await scripts.remove(id);
        return { data: { removed: id } };
      },
      { params, ...detail("删除 / remove") },
    )
    .post(
      "/:script/update",
      async ({ request, params: { script }, body }) => {
        change(request, "script.update", script);
        const [outcome] = await scripts.update(script, body?.force ?? false);
        return { data: outcome };
      },
      { params, body: t.Optional(t.Object({ force: t.Optional(t.Boolean()) })), ...detail("检查更新 / update") },
    )
    .post(
      "/:script/rollback",
      async ({ request, params: { script }, body }) => {
        change(request, "script.rollback", script, body);
        return { data: await scripts.rollBack(script, body?.hash) };
      },
      {
        params,
        body: t.Optional(t.Object({ hash: t.Optional(t.String({ minLength: 4, maxLength: 64 })) })),
        ...detail("回退版本 / go back to an earlier version"),
      },
    );
}

function musicInfos(songs: unknown[]) {
  try {
    return readMusicInfos(songs);
  } catch (error) {
    throw new FieldsError("歌曲信息格式错误", [{ field: "songs", message: String(error), type: "format" }]);
  }
}

const oneOf = (first: string, second: string) =>
  new FieldsError("参数错误", [{ field: first, message: `${first} 与 ${second} 必须且只能有一个`, type: "required" }]);
