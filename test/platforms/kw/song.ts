import { json, type PlatformRequest, type World } from "../world.ts";
import { artistOf, byRid, minfoOf, nameOf } from "./songs.ts";

/** `music.pay`: details of up to many songs. */
export function pay(request: PlatformRequest, world: World): Response {
  const { params } = request;
  if (params.get("op") !== "query" || params.get("action") !== "play" || !params.get("ver")) {
    return json({ result: "fail" });
  }
  const songs = (params.get("ids") ?? "").split(",").flatMap((id) => {
    const song = byRid(world, id);
    if (song === undefined) return [];
    return {
      id: Number(id),
      name: nameOf(song),
      artist: artistOf(song),
      artistid: Number(song.artists[0]?.id),
      album: song.album.name,
      albumid: Number(song.album.id),
      duration: song.durationSeconds,
      N_MINFO: minfoOf(song),
    };
  });
  return json({ result: "ok", songs });
}
