import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Mv, MvFile } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call } from "../source.ts";
import { checkId, maybe, NAME, type WyClient } from "./client.ts";

const MvDetail = Type.Object({
  data: Type.Object({
    name: Type.String(),
    artists: maybe(Type.Array(Type.Object({ id: maybe(Type.Number()), name: maybe(Type.String()) }))),
    cover: maybe(Type.String()),
    desc: maybe(Type.String()),
    duration: maybe(Type.Number()),
    brs: maybe(Type.Array(Type.Object({ br: Type.Number() }))),
  }),
});
const MvUrl = Type.Object({
  data: Type.Object({ url: maybe(Type.String()), r: maybe(Type.Number()), size: maybe(Type.Number()) }),
});

/** Heights asked for at once at most; the platform has 240, 480, 720 and 1080. */
const MAX_FILES = 5;

export function createMv(client: WyClient) {
  return async function mv(id: string, call: Call): Promise<Mv> {
    const { body } = await client.eapi("/api/v1/mv/detail", { id: checkId(id) }, call);
    const { data } = decode(MvDetail, body, "wy");
    const heights = (data.brs ?? []).map((one) => one.br).slice(0, MAX_FILES);
    const answers = await Promise.all((heights.length > 0 ? heights : [1080]).map((height) => file(id, height, call)));
    const files = Object.fromEntries(answers.flatMap((answer) => (answer === undefined ? [] : [answer])));
    if (Object.keys(files).length === 0) throw new AppError("upstream_refused", `${NAME}: 该 MV 没有播放地址`);
    return {
      source: "wy",
      id,
      name: data.name,
      artists: (data.artists ?? []).flatMap((one) =>
        one.name ? [{ name: one.name, ...(one.id ? { id: String(one.id) } : {}) }] : [],
      ),
      ...(data.desc ? { intro: data.desc } : {}),
      ...(data.duration ? { durationSeconds: Math.round(data.duration / 1000) } : {}),
      ...(data.cover ? { cover: data.cover, sizableCover: `${data.cover}?param={size}y{size}` } : {}),
      files,
      ids: {},
    };
  };

  /** Under the height that is served, which may be lower than the one asked for. */
  async function file(id: string, height: number, call: Call): Promise<[string, MvFile] | undefined> {
    const { body } = await client.eapi("/api/song/enhance/play/mv/url", { id, r: height }, call);
    const { url, r, size } = decode(MvUrl, body, "wy").data;
    return url ? [`${r || height}p`, { url, ...(size ? { size } : {}) }] : undefined;
  }
}
