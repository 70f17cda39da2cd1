import { afterAll } from "bun:test";
import { createMg } from "../../../src/sources/mg/index.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { mgPlatform } from "../../platforms/mg.ts";
import { testFaults } from "../faults.ts";
import { account, configOf, depsOn } from "../start.ts";

const emulator = startEmulator([mgPlatform]);
emulator.world.accounts.push({ source: "mg", id: "1", token: "t", state: "member", requests: 0 });
afterAll(() => emulator.stop());

const mg = createMg(depsOn(emulator, configOf("mg"), 100));
const who = account("mg", { by: "b", session: "t", useragent: "Mozilla/5.0 (X11) Chrome/89.0" });
const page = { page: 1, size: 10 };
const run = <T>(promise: Promise<T> | undefined) => promise ?? Promise.reject(new Error("no such ability"));

const abilities = {
  "info by song id": () => run(mg.info?.("1100001", {})),
  "info by copyright id": () => run(mg.info?.("60059700001", {})),
  "info by content id": () => run(mg.info?.("600597000000001", {})),
  cover: () => run(mg.cover?.("1100001", {})),
  lyric: () => run(mg.lyric?.("1100001", {})),
  searchSongs: () => run(mg.searchSongs?.({ ...page, query: "晴" }, {})),
  searchCollections: () => run(mg.searchCollections?.("album", { ...page, query: "晴" }, {})),
  suggest: () => run(mg.suggest?.("晴", {})),
  hot: () => run(mg.hot?.({})),
  playlist: () => run(mg.playlist?.("228114498", page, {})),
  album: () => run(mg.album?.("820001", page, {})),
  boards: () => run(mg.boards?.({})),
  board: () => run(mg.board?.("27186466", page, {})),
  "comments hot": () => run(mg.comments?.({ ...page, songId: "1100001", sort: "hot" }, {})),
  "comments new": () => run(mg.comments?.({ ...page, songId: "1100001", sort: "new" }, {})),
  mv: () => run(mg.mv?.("60081100001", {})),
  refresh: () => run(mg.accounts?.refresh?.(who, {})),
  check: () => run(mg.accounts?.check?.(who, {})),
};

// The suggestions' answer has no code of the kind that says "verify".
testFaults(emulator, "mg", abilities, (name, fault) => name === "suggest" && fault === "verify");
