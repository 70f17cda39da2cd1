import { Type } from "@sinclair/typebox";
import type { MusicInfo } from "../core/types.ts";
import { check, SCRIPT_SOURCES } from "./protocol.ts";

const given = Type.Object({
  name: Type.String({ maxLength: 500 }),
  singer: Type.String({ maxLength: 500 }),
  source: Type.Union(SCRIPT_SOURCES.map((source) => Type.Literal(source))),
  songmid: Type.String({ minLength: 1, maxLength: 500 }),
});

const MAX_SONGS = 50;

/** One musicInfo or a list of them, as an operator gives them for a trial run; what is missing is filled in. */
export function readMusicInfos(value: unknown): MusicInfo[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.slice(0, MAX_SONGS).map((item) => {
    const song = check(given, item);
    if (song === undefined) throw new TypeError("name, singer, source and songmid are needed");
    return {
      interval: null,
      albumName: "",
      img: null,
      typeUrl: {},
      albumId: "",
      types: [],
      _types: {},
      ...song,
    };
  });
}
