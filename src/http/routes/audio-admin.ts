import { Elysia, t } from "elysia";
import type { Audit } from "../../access/audit.ts";
import type { AudioCache, StoredFile } from "../../audio/index.ts";
import { requireRole } from "../context.ts";
import { pageOfList, pageQuery, pageRequest } from "../pagination.ts";

export interface AudioAdminDeps {
  audio: Pick<AudioCache, "list" | "stats" | "verify" | "prune" | "pin" | "delete">;
  audit: Pick<Audit, "record">;
}

const Item = t.Object({
  name: t.String(),
  source: t.String(),
  songId: t.String(),
  quality: t.String(),
  title: t.Optional(t.String()),
  artist: t.Optional(t.String()),
  size: t.Number({ description: "bytes" }),
  seconds: t.Optional(t.Number()),
  bitrate: t.Optional(t.Number({ description: "kbit/s" })),
  state: t.String({ description: "good, found (not checked yet), bad (not served)" }),
  tagged: t.Boolean(),
  pinned: t.Boolean(),
  plays: t.Number(),
  addedAt: t.Number({ description: "Unix ms" }),
  playedAt: t.Number({ description: "Unix ms" }),
});

const query = t.Object({
  ...pageQuery,
  q: t.Optional(t.String({ maxLength: 200, description: "歌名、歌手或文件名 / title, artist or file name" })),
  source: t.Optional(t.String({ maxLength: 10 })),
  state: t.Optional(t.Union([t.Literal("good"), t.Literal("found"), t.Literal("bad")])),
  sort: t.Optional(
    t.Union([t.Literal("played"), t.Literal("added"), t.Literal("size"), t.Literal("plays"), t.Literal("name")]),
  ),
});
const params = t.Object({ name: t.String({ minLength: 1, maxLength: 255 }) });
const tags = ["音频缓存 / audio cache"];
const pagination = t.Object({
  page: t.Number(),
  pageSize: t.Number(),
  total: t.Number(),
  totalPages: t.Number(),
});
const Verdict = t.Object({
  name: t.String(),
  ok: t.Boolean(),
  fault: t.Optional(t.String()),
  message: t.Optional(t.String()),
  removed: t.Boolean(),
});

/** `/api/v1/audio`: what is cached, and upkeep. Viewers read, admins change. */
export function audioAdminRoutes({ audio, audit }: AudioAdminDeps) {
  function change(request: Request, action: string, target: string, more?: unknown): void {
    const { id, peer, user = "" } = requireRole(request, "admin");
    audit.record({ actor: user, address: peer.address, action, target, detail: more, requestId: id });
  }

  return new Elysia({ name: "routes/audio-admin", prefix: "/api/v1/audio" })
    .get(
      "",
      ({ request, query: { q, source, state, sort = "played", ...page } }) => {
        requireRole(request, "viewer");
        const wanted = q?.toLowerCase();
        const files = audio
          .list()
          .filter((file) => source === undefined || file.source === source)
          .filter((file) => state === undefined || file.state === state)
          .filter((file) => wanted === undefined || textOf(file).includes(wanted))
          .toSorted(ORDERS[sort]);
        const { data, pagination: counts } = pageOfList(files, pageRequest(page));
        return { data: data.map(toItem), pagination: counts };
      },
      {
        query,
        response: { 200: t.Object({ data: t.Array(Item), pagination }) },
        detail: { summary: "列出缓存文件 / list the cached files", tags },
      },
    )
    .get(
      "/stats",
      ({ request }) => {
        requireRole(request, "viewer");
        return { data: audio.stats() };
      },
      { detail: { summary: "数量、大小与下载 / counts, sizes and downloads", tags } },
    )
    .post(
      "/verify",
      async ({ request, body }) => {
        change(request, "audio.verify", "*", { remove: body?.remove ?? false });
        const results = await audio.verify({ remove: body?.remove ?? false });
        return { data: { checked: results.length, bad: results.filter((item) => !item.ok) } };
      },
      {
        body: t.Optional(t.Object({ remove: t.Optional(t.Boolean()) })),
        response: { 200: t.Object({ data: t.Object({ checked: t.Number(), bad: t.Array(Verdict) }) }) },
        detail: { summary: "检查每个文件 / check every file", tags },
      },
    )
    .post(
      "/prune",
      async ({ request }) => {
        change(request, "audio.prune", "*");
        const { removed, bytes } = await audio.prune();
        return { data: { removed: removed.map((file) => file.name), bytes } };
      },
      { detail: { summary: "按配额与时间清理 / apply quota and age", tags } },
    )
    .put(
      "/:name/pin",
      ({ request, params: { name } }) => {
        change(request, "audio.pin", name);
        return { data: toItem(audio.pin(name, true)) };
      },
      {
        params,
        response: { 200: t.Object({ data: Item }) },
        detail: { summary: "固定，不被清理 / keep for ever", tags },
      },
    )
    .delete(
      "/:name/pin",
      ({ request, params: { name } }) => {
        change(request, "audio.unpin", name);
        return { data: toItem(audio.pin(name, false)) };
      },
      { params, response: { 200: t.Object({ data: Item }) }, detail: { summary: "取消固定 / let it go again", tags } },
    )
    .delete(
      "/:name",
      async ({ request, params: { name } }) => {
        change(request, "audio.delete", name);
        await audio.delete(name);
        return { data: { name } };
      },
      { params, detail: { summary: "删除文件 / delete the file", tags } },
    );
}

const ORDERS: Record<string, (a: StoredFile, b: StoredFile) => number> = {
  played: (a, b) => b.playedAt - a.playedAt,
  added: (a, b) => b.addedAt - a.addedAt,
  size: (a, b) => b.size - a.size,
  plays: (a, b) => b.plays - a.plays,
  name: (a, b) => (a.name < b.name ? -1 : 1),
};

const textOf = (file: StoredFile) => `${file.name} ${file.title ?? ""} ${file.artist ?? ""}`.toLowerCase();

/** Without paths of this machine and without hashes. */
function toItem(file: StoredFile) {
  const { name, source, songId, quality, size, state, tagged, pinned, plays, addedAt, playedAt } = file;
  return {
    ...{ name, source, songId, quality, size, state, tagged, pinned, plays, addedAt, playedAt },
    ...(file.title === undefined ? {} : { title: file.title }),
    ...(file.artist === undefined ? {} : { artist: file.artist }),
    ...(file.seconds === undefined ? {} : { seconds: file.seconds }),
    ...(file.bitrate === undefined ? {} : { bitrate: file.bitrate }),
  };
}
