import { AppError, isAppError } from "../../core/errors.ts";
import type { Mv } from "../../core/types.ts";
import { present } from "../read.ts";
import type { Call } from "../source.ts";
import { type KwClient, type KwDeps, numericRid } from "./client.ts";
import { fetchSong } from "./song.ts";

const HEADERS = { Referer: "http://www.kuwo.cn/mvs", "User-Agent": "Mozilla/5.0" };

/** A song's video: the platform names it by the song's number, and has one file of unstated height. */
export async function fetchMv(deps: KwDeps, client: KwClient, mvId: string, call: Call): Promise<Mv> {
  const id = numericRid(mvId);
  const song = await fetchSong(client, id, call).catch((error: unknown) => {
    if (!isAppError(error) || error.kind !== "upstream_not_found") throw error;
    throw new AppError("upstream_not_found", "mv不存在", { cause: error });
  });
  const url = await fetchAddress(deps, client, id, call);
  return {
    source: "kw",
    id,
    name: song.name,
    artists: song.artists,
    files: { mp4: { url } },
    ids: {},
    ...present({ durationSeconds: song.durationSeconds, cover: song.cover }),
  };
}

/** The site's own service, then the older one; the body is the address, or words that say there is none. */
async function fetchAddress(deps: KwDeps, client: KwClient, id: string, call: Call): Promise<string> {
  const services = [
    `http://www.kuwo.cn/url?rid=${id}&response=url&format=mp4%7Cmkv&type=convert_url&t=${deps.now()}&httpsStatus=1`,
    `http://antiserver.kuwo.cn/anti.s?response=url&format=mp4%7Cmkv&type=convert_url&rid=MUSIC_${id}`,
  ];
  let changed = false;
  for (const service of services) {
    const body = (await client.get(service, HEADERS, call)).text().trim();
    if (/^https?:\/\/[^\s<>"']+\.(?:mp4|mkv)(?:\?[^\s<>"']*)?$/i.test(body)) return body;
    changed ||= !/^(?:res not found|not found|)$/i.test(body);
  }
  if (changed) throw new AppError("upstream_changed", "酷我: 平台返回的数据格式已变化");
  throw new AppError("upstream_not_found", "mv不存在");
}
