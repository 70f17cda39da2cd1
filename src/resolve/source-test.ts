import { AppError, toAppError } from "../core/errors.ts";
import type { Song } from "../core/types.ts";
import type { Call, Source } from "../sources/source.ts";
import type { AccountRunner } from "./track.ts";

/** One ability of a platform, tried just now. */
export interface AbilityRow {
  ability: string;
  ok: boolean;
  milliseconds: number;
  /** What came, or why not. */
  outcome: string;
}

interface Trial {
  ability: string;
  /** Undefined = the platform does not have it. */
  run: ((call: Call) => Promise<string>) | undefined;
}

const PAGE = { page: 1, size: 5 };
const DEADLINE_MS = 20_000;

/**
 * Tries every ability of a platform with a real song (a hot one when none is named). Abilities that need another's
 * result (a playlist id, a board id) take it from there.
 */
export async function testSource(
  source: Source,
  songId: string | undefined,
  run: AccountRunner,
  onRow: (row: AbilityRow) => void = () => undefined,
): Promise<AbilityRow[]> {
  const found: Found = { songId, playlistId: undefined, boardId: undefined, song: undefined };
  const rows: AbilityRow[] = [];
  for (const trial of trialsOf(source, found)) {
    if (trial.run === undefined) continue;
    const { run: work } = trial;
    const startedAt = performance.now();
    const row = await run(source, { signal: AbortSignal.timeout(DEADLINE_MS) }, work).then(
      (outcome) => ({ ok: true, outcome }),
      (error: unknown) => ({ ok: false, outcome: describe(error) }),
    );
    const made = { ability: trial.ability, milliseconds: Math.round(performance.now() - startedAt), ...row };
    rows.push(made);
    onRow(made);
  }
  return rows;
}

interface Found {
  songId: string | undefined;
  playlistId: string | undefined;
  boardId: string | undefined;
  song: Song | undefined;
}

function describe(error: unknown): string {
  const known = toAppError(error);
  return known.upstreamCode === undefined ? known.message : `${known.message} (${known.upstreamCode})`;
}

/** In an order in which each finds what it needs. */
function trialsOf(source: Source, found: Found): Trial[] {
  const query = () => found.song?.name ?? "晴天";
  const id = () => {
    if (found.songId === undefined) throw new AppError("invalid_request", "no song is known: name one");
    return found.songId;
  };
  const {
    searchSongs,
    searchCollections,
    suggest,
    hot,
    info,
    lyric,
    cover,
    playlist,
    boards,
    board,
    comments,
    mv,
    url,
  } = source;
  const trials: Trial[] = [
    {
      ability: "search",
      run:
        searchSongs &&
        (async (call) => {
          const page = await searchSongs({ query: query(), ...PAGE }, call);
          // A song that was named is another one than what a search finds.
          if (found.songId === undefined) found.song = page.list[0];
          found.songId ??= page.list[0]?.songId;
          return `${page.total} songs, first: ${page.list[0]?.name ?? "-"}`;
        }),
    },
    {
      ability: "info",
      run:
        info &&
        (async (call) => {
          found.song = await info(id(), call);
          return `${found.song.name} - ${found.song.artists.map((artist) => artist.name).join("、")}`;
        }),
    },
    {
      ability: "lyric",
      run:
        lyric &&
        (async (call) => {
          const texts = await lyric(id(), call, found.song);
          return `${texts.lyric.split("\n").length} lines${texts.lxlyric === "" ? "" : ", by word"}${texts.tlyric === "" ? "" : ", translated"}`;
        }),
    },
    { ability: "cover", run: cover && ((call) => cover(id(), call, found.song)) },
    { ability: "suggest", run: suggest && (async (call) => (await suggest(query(), call)).slice(0, 3).join("、")) },
    { ability: "hot", run: hot && (async (call) => (await hot(call)).slice(0, 3).join("、")) },
    {
      ability: "search playlists",
      run:
        searchCollections &&
        (async (call) => {
          const page = await searchCollections("playlist", { query: query(), ...PAGE }, call);
          found.playlistId = page.list[0]?.id;
          return `${page.total} playlists`;
        }),
    },
    {
      ability: "playlist",
      run:
        playlist &&
        (async (call) => {
          if (found.playlistId === undefined) throw new AppError("invalid_request", "no playlist was found");
          const content = await playlist(found.playlistId, PAGE, call);
          return `${content.info.name}: ${content.songs.total} songs`;
        }),
    },
    {
      ability: "boards",
      run:
        boards &&
        (async (call) => {
          const list = await boards(call);
          found.boardId = list[0]?.id;
          return `${list.length} boards`;
        }),
    },
    {
      ability: "board",
      run:
        board &&
        (async (call) => {
          if (found.boardId === undefined) throw new AppError("invalid_request", "no board was found");
          return `${(await board(found.boardId, PAGE, call)).total} songs`;
        }),
    },
    {
      ability: "comments",
      run:
        comments &&
        (async (call) => `${(await comments({ songId: id(), sort: "hot", ...PAGE }, call)).total} comments`),
    },
    {
      ability: "mv",
      run:
        mv &&
        (async (call) => {
          const mvId = found.song?.mvId;
          if (mvId === undefined) return "this song has none";
          return Object.keys((await mv(mvId, call)).files).join(" ");
        }),
    },
  ];
  const qualities = source.qualities.map(
    (quality): Trial => ({
      ability: `url ${quality}`,
      run: url && (async (call) => new URL((await url({ songId: id(), quality, song: found.song }, call)).url).host),
    }),
  );
  return [...trials, ...qualities];
}
