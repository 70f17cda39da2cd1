import { afterAll } from "bun:test";
import { createWy } from "../../../src/sources/wy/index.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { wyPlatform } from "../../platforms/wy.ts";
import { testFaults } from "../faults.ts";
import { account, configOf, depsOn } from "../start.ts";

const emulator = startEmulator([wyPlatform]);
emulator.world.accounts.push({ source: "wy", id: "1", token: "t", state: "member", requests: 0 });
afterAll(() => emulator.stop());

const wy = createWy(depsOn(emulator, configOf("wy"), 100));
const who = account("wy", { cookie: "MUSIC_U=t" });
const page = { page: 1, size: 10 };
const id = "33890001";
const run = <T>(promise: Promise<T> | undefined) => promise ?? Promise.reject(new Error("no such ability"));

testFaults(emulator, "wy", {
  info: () => run(wy.info?.(id, {})),
  cover: () => run(wy.cover?.(id, {})),
  lyric: () => run(wy.lyric?.(id, {})),
  searchSongs: () => run(wy.searchSongs?.({ ...page, query: "晴" }, {})),
  searchCollections: () => run(wy.searchCollections?.("album", { ...page, query: "晴" }, {})),
  suggest: () => run(wy.suggest?.("晴", {})),
  hot: () => run(wy.hot?.({})),
  playlist: () => run(wy.playlist?.("5010", page, {})),
  album: () => run(wy.album?.("820001", page, {})),
  boards: () => run(wy.boards?.({})),
  board: () => run(wy.board?.("19723756", page, {})),
  "comments hot": () => run(wy.comments?.({ ...page, songId: id, sort: "hot" }, {})),
  "comments new": () => run(wy.comments?.({ ...page, songId: id, sort: "new" }, {})),
  mv: () => run(wy.mv?.("55010001", {})),
  refresh: () => run(wy.accounts?.refresh?.(who, {})),
  check: () => run(wy.accounts?.check?.(who, {})),
  signIn: () => run(wy.accounts?.signIn?.(who, {})),
});
