import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Board, CollectionContent, Page, Song } from "../../core/types.ts";
import { firstAnswer } from "../attempts.ts";
import { decode } from "../decode.ts";
import type { Call, PageRequest, SourceDeps } from "../source.ts";
import { maybe, NAME, type WyClient } from "./client.ts";
import { CollectionItem, toCollection } from "./search.ts";
import { asSong, DETAIL_LIMIT, Privilege, SongItem, type WySongs, withPrivileges } from "./song.ts";

const PlaylistReply = Type.Object({
  playlist: Type.Composite([
    CollectionItem,
    Type.Object({
      trackIds: Type.Array(Type.Object({ id: Type.Number() })),
      tracks: maybe(Type.Array(SongItem)),
    }),
  ]),
  privileges: maybe(Type.Array(Privilege)),
});
const AlbumReply = Type.Object({ album: CollectionItem, songs: Type.Array(SongItem) });
const BoardList = Type.Object({
  list: Type.Array(
    Type.Object({
      id: Type.Number(),
      name: Type.String(),
      updateFrequency: maybe(Type.String()),
      coverImgUrl: maybe(Type.String()),
    }),
  ),
});

/** A long playlist lists every song that the account may see. */
const MAX_BYTES = 48_000_000;

export function createLists(client: WyClient, songs: WySongs, deps: Pick<SourceDeps<unknown>, "http" | "now">) {
  async function playlist(id: string, page: PageRequest, call: Call): Promise<CollectionContent> {
    const listId = await idOf(id, "playlist|toplist", call);
    const payload = { id: listId, n: 100_000, s: 8 };
    const run = (ask: Promise<{ body: unknown }>) => ask.then(({ body }) => decode(PlaylistReply, body, "wy"));
    const ways = [
      { name: "eapi", run: () => run(client.eapi("/api/v6/playlist/detail", payload, call, { maxBytes: MAX_BYTES })) },
      { name: "linuxapi", run: () => run(client.linuxapi("/api/v3/playlist/detail", payload, call)) },
    ];
    const reply = await firstAnswer(ways, call, deps);
    const ids = reply.playlist.trackIds.map((track) => String(track.id));
    const { total, size, list: wanted } = cut(ids, page);
    // Guests are given a few tracks only; what is there already need not be asked again.
    const given = withPrivileges(reply.playlist.tracks ?? [], reply.privileges ?? []);
    const known = new Map(given.map((one) => [String(one.item.id), one]));
    const complete = wanted.every((track) => known.has(track));
    const list = complete
      ? wanted.flatMap((track) => known.get(track) ?? []).map(asSong)
      : await songs.songs(wanted, call);
    return {
      info: { ...toCollection("playlist", reply.playlist), songCount: total },
      songs: { total, page: page.page, size, list },
    };
  }

  async function album(id: string, page: PageRequest, call: Call): Promise<CollectionContent> {
    const albumId = await idOf(id, "album", call);
    const reply = decode(AlbumReply, (await client.eapi(`/api/v1/album/${albumId}`, {}, call)).body, "wy");
    const { list, ...part } = cut(reply.songs, page);
    return {
      info: { ...toCollection("album", reply.album), songCount: reply.songs.length },
      songs: { ...part, page: page.page, list: list.map((item) => asSong({ item })) },
    };
  }

  async function boards(call: Call): Promise<Board[]> {
    const { body } = await client.eapi("/api/toplist", {}, call);
    return decode(BoardList, body, "wy").list.map((item) => ({
      source: "wy",
      id: String(item.id),
      name: item.name,
      ...(item.coverImgUrl ? { cover: item.coverImgUrl } : {}),
      ...(item.updateFrequency ? { updateText: item.updateFrequency } : {}),
    }));
  }

  /** A board is a playlist. */
  async function board(id: string, page: PageRequest, call: Call): Promise<Page<Song>> {
    return (await playlist(id, page, call)).songs;
  }

  /** The id itself, or the one in a pasted share link or text. */
  async function idOf(text: string, kinds: string, call: Call): Promise<string> {
    const plain = text.trim();
    if (/^[1-9]\d{0,15}$/.test(plain)) return plain;
    const short = /(?<![\w.-])163cn\.tv\/[0-9A-Za-z]{1,20}/.exec(plain)?.[0];
    const address = short === undefined ? plain : await followed(`http://${short}`, call);
    const id = new RegExp(`(?:${kinds})(?:/|\\?(?:[^\\s#]*&)?id=)([1-9]\\d{0,15})`).exec(address)?.[1];
    if (id === undefined) throw new AppError("invalid_request", `${NAME}: 无法识别的 id 或分享链接`);
    return id;
  }

  /** Where a short link points; it is read, not visited. */
  async function followed(url: string, call: Call): Promise<string> {
    const reply = await deps.http({ url, redirect: "manual", signal: call.signal });
    return reply.headers.get("location") ?? "";
  }

  return { playlist, album, boards, board };
}

/** One page of what the platform gives all at once. */
function cut<T>(items: readonly T[], { page, size: asked }: PageRequest) {
  const size = Math.min(asked, DETAIL_LIMIT);
  return { total: items.length, size, list: items.slice(size * (page - 1), size * page) };
}
