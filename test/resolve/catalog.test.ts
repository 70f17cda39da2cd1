import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCache } from "../../src/cache/index.ts";
import { parseConfig } from "../../src/config/load.ts";
import { AppError } from "../../src/core/errors.ts";
import type { Lyric, MusicInfo, Song } from "../../src/core/types.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { type Ask, type CatalogQuestion, createCatalog, type ScriptExtras } from "../../src/resolve/catalog.ts";
import { musicInfoOf } from "../../src/resolve/music-info.ts";
import { createCatalogCache } from "../../src/resolve/stored.ts";
import { CODECS, type StoredForm } from "../../src/resolve/stored-forms.ts";
import type { Source } from "../../src/sources/source.ts";
import { asGuest, fakeSource } from "./fake-source.ts";

const SONG: Song = { source: "kg", songId: "abc", name: "晴天", artists: [], qualities: {}, ids: {} };
const LYRIC: Lyric = { lyric: "[00:01.00]a", tlyric: "", rlyric: "", lxlyric: "" };
const PAGE = { page: 1, size: 30 };
const page = { total: 0, ...PAGE, list: [] };
const ask: Ask = { bypass: false };

type Question = Omit<CatalogQuestion<StoredForm>, "signal" | "bypass">;

function build(abilities: Partial<Source>, options: { scripts?: ScriptExtras; enabled?: boolean } = {}) {
  const questions: Question[] = [];
  const catalog = createCatalog({
    sources: new Map([["kg", fakeSource(abilities)]]),
    enabled: () => options.enabled ?? true,
    run: asGuest,
    cache: {
      async through({ signal: _signal, bypass, ...question }, load) {
        questions.push(question);
        const status = bypass ? "bypass" : "miss";
        return { value: await load(new AbortController().signal), status, expiresAt: 0 };
      },
    },
    scripts: options.scripts,
    totalDeadlineMs: () => 1000,
  });
  return { catalog, questions };
}

const all: Partial<Source> = {
  info: async (songId) => ({ ...SONG, songId }),
  lyric: async () => LYRIC,
  cover: async () => "http://c/a.jpg",
  searchSongs: async () => page,
  searchCollections: async () => page,
  suggest: async (query) => [query],
  hot: async () => ["热"],
  playlist: async (id) => ({ info: { source: "kg", type: "playlist", id, name: "" }, songs: page }),
  album: async (id) => ({ info: { source: "kg", type: "album", id, name: "" }, songs: page }),
  boards: async () => [],
  board: async () => page,
  comments: async () => page,
  mv: async (id) => ({ source: "kg", id, name: "", artists: [], files: {}, ids: {} }),
};

type Catalog = ReturnType<typeof build>["catalog"];
const QUESTIONS: { name: string; put: (catalog: Catalog, ask: Ask) => Promise<unknown>; question: Question }[] = [
  {
    name: "info",
    put: (c, a) => c.info("kg", "ABC", a),
    question: { kind: "info", form: "song", source: "kg", id: "abc" },
  },
  {
    name: "lyric",
    put: (c, a) => c.lyric("kg", "ABC", undefined, a),
    question: { kind: "lyric", form: "lyric", source: "kg", id: "abc" },
  },
  {
    name: "cover",
    put: (c, a) => c.cover("kg", "ABC", undefined, a),
    question: { kind: "pic", form: "text", source: "kg", id: "abc" },
  },
  {
    name: "search",
    put: (c, a) => c.searchSongs("kg", { query: "Q", ...PAGE }, a),
    question: { kind: "search", form: "songs", source: "kg", id: "Q", options: { type: "song", ...PAGE } },
  },
  {
    name: "search of albums",
    put: (c, a) => c.searchCollections("kg", "album", { query: "Q", ...PAGE }, a),
    question: { kind: "search", form: "collections", source: "kg", id: "Q", options: { type: "album", ...PAGE } },
  },
  {
    name: "suggest",
    put: (c, a) => c.suggest("kg", "Q", a),
    question: { kind: "suggest", form: "texts", source: "kg", id: "Q" },
  },
  { name: "hot", put: (c, a) => c.hot("kg", a), question: { kind: "hot", form: "texts", source: "kg", id: "" } },
  {
    name: "playlist",
    put: (c, a) => c.playlist("kg", "P1", PAGE, a),
    question: { kind: "playlist", form: "content", source: "kg", id: "P1", options: PAGE },
  },
  {
    name: "album",
    put: (c, a) => c.album("kg", "A1", PAGE, a),
    question: { kind: "album", form: "content", source: "kg", id: "A1", options: PAGE },
  },
  {
    name: "boards",
    put: (c, a) => c.boards("kg", a),
    question: { kind: "board", form: "boards", source: "kg", id: "" },
  },
  {
    name: "board",
    put: (c, a) => c.board("kg", "B1", PAGE, a),
    question: { kind: "board", form: "songs", source: "kg", id: "B1", options: PAGE },
  },
  {
    name: "comments",
    put: (c, a) => c.comments("kg", { songId: "ABC", sort: "new", ...PAGE }, a),
    question: { kind: "comment", form: "comments", source: "kg", id: "abc", options: { sort: "new", ...PAGE } },
  },
  { name: "mv", put: (c, a) => c.mv("kg", "M1", a), question: { kind: "mv", form: "mv", source: "kg", id: "M1" } },
];

describe.each(QUESTIONS)("$name", ({ put, question }) => {
  test("is kept under its meaning", async () => {
    const { catalog, questions } = build(all);
    await put(catalog, ask);
    expect(questions).toEqual([question]);
  });

  test("bypass is passed on", async () => {
    expect(await put(build(all).catalog, { bypass: true })).toMatchObject({ status: "bypass" });
  });

  test("an ability that is not there", async () => {
    expect(put(build({}).catalog, ask)).rejects.toMatchObject({ kind: "unsupported" });
  });

  test("a platform that is off, with or without the ability", async () => {
    for (const abilities of [all, {}]) {
      expect(put(build(abilities, { enabled: false }).catalog, ask)).rejects.toMatchObject({ kind: "source_disabled" });
    }
  });
});

describe("scripts in place of the platform", () => {
  const info: MusicInfo = musicInfoOf(SONG);
  const other: Lyric = { ...LYRIC, lyric: "[00:02.00]script" };
  const refusing: Partial<Source> = {
    ...all,
    lyric: () => Promise.reject(new AppError("upstream_not_found", "没有歌词")),
    cover: () => Promise.reject(new AppError("upstream_not_found", "没有封面")),
  };
  const scripts: ScriptExtras = { lyric: async () => other, pic: async () => "http://script/a.jpg" };
  const none: ScriptExtras = { lyric: async () => undefined, pic: async () => undefined };
  const failing: ScriptExtras = {
    lyric: () => Promise.reject(new Error("x")),
    pic: () => Promise.reject(new Error("x")),
  };

  test.each<{
    name: string;
    abilities: Partial<Source>;
    extras: ScriptExtras | undefined;
    info?: MusicInfo;
    lyric: string;
  }>([
    { name: "the platform has it", abilities: all, extras: scripts, info, lyric: LYRIC.lyric },
    { name: "the platform has none", abilities: refusing, extras: scripts, info, lyric: other.lyric },
    { name: "the client knows nothing", abilities: refusing, extras: scripts, lyric: "没有歌词" },
    {
      name: "the client speaks of another song",
      abilities: refusing,
      extras: scripts,
      info: { ...info, hash: "x", songmid: "x" },
      lyric: "没有歌词",
    },
    { name: "scripts have none", abilities: refusing, extras: none, info, lyric: "没有歌词" },
    { name: "scripts fail", abilities: refusing, extras: failing, info, lyric: "没有歌词" },
    { name: "no scripts", abilities: refusing, extras: undefined, info, lyric: "没有歌词" },
  ])("$name", async ({ abilities, extras, info: known, lyric }) => {
    const { catalog } = build(abilities, extras === undefined ? {} : { scripts: extras });
    const got = await catalog.lyric("kg", "abc", known, ask).then(
      ({ value }) => value.lyric,
      (error) => error.message,
    );
    expect(got).toBe(lyric);
    const cover = await catalog.cover("kg", "abc", known, ask).then(
      ({ value }) => value,
      (error) => error.message,
    );
    expect(cover).toBe(
      lyric === LYRIC.lyric ? "http://c/a.jpg" : lyric === other.lyric ? "http://script/a.jpg" : "没有封面",
    );
  });
});

describe("with a real cache", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lx-catalog-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("asked once for all who wait, then answered from memory; what differs is asked for itself", async () => {
    const config = parseConfig("").common.cache;
    const cache = createCache({ config: () => config, databasePath: join(folder, "cache.db"), log: silentLogger });
    let asked = 0;
    const catalog = createCatalog({
      sources: new Map([
        [
          "kg",
          fakeSource({
            ...all,
            async info(songId) {
              asked++;
              await Bun.sleep(5);
              return { ...SONG, songId };
            },
          }),
        ],
      ]),
      enabled: () => true,
      run: asGuest,
      cache: createCatalogCache(cache),
      totalDeadlineMs: () => 1000,
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => catalog.info("kg", "ABC", ask)));
    expect(asked).toBe(1);
    expect(answers.every(({ value }) => value.songId === "abc")).toBe(true);
    expect(await catalog.info("kg", "abc", ask)).toMatchObject({ status: "hit", tier: "memory" });
    await catalog.info("kg", "def", ask);
    expect(asked).toBe(2);
    expect((await catalog.info("kg", "abc", { bypass: true })).status).toBe("bypass");
    expect(asked).toBe(3);
    await cache.close();
  });
});

describe("stored forms", () => {
  const samples: Record<StoredForm, unknown> = {
    song: { ...SONG, variants: [SONG], artists: [{ name: "a", type: 2 }] },
    lyric: LYRIC,
    text: "http://c/a.jpg",
    texts: ["a"],
    songs: { ...page, list: [SONG] },
    collections: { ...page, list: [{ source: "kg", type: "album", id: "1", name: "n" }] },
    content: { info: { source: "tx", type: "playlist", id: "1", name: "n" }, songs: page },
    boards: [{ source: "wy", id: "1", name: "n", updateText: "今天" }],
    comments: {
      ...page,
      list: [{ id: "1", text: "t", user: { name: "u" }, replies: [{ id: "2", text: "t", user: { name: "u" } }] }],
    },
    mv: { source: "kg", id: "1", name: "n", artists: [], files: { "720p": { url: "http://a" } }, ids: {} },
  };
  const forms = Object.keys(samples) as StoredForm[];

  test.each(forms)("%s comes back as it was", (form) => {
    const back: unknown = JSON.parse(JSON.stringify(samples[form]));
    expect(CODECS[form].decode(back)).toEqual(samples[form] as never);
  });

  test.each(forms)("%s: anything else is no value of ours", (form) => {
    const wrong: unknown[] = [undefined, null, 1, {}, [1], { list: [] }, "x".repeat(3)];
    for (const value of [...wrong, ...forms.filter((other) => other !== form).map((other) => samples[other])]) {
      const decoded = CODECS[form].decode(value);
      if (form === "text" && typeof value === "string") expect(decoded).toBe(value);
      else if (decoded !== undefined) expect(JSON.stringify(value)).toBe(JSON.stringify(samples[form]));
    }
  });

  test("a song with a field of another type is asked for anew", () => {
    expect(CODECS.song.decode({ ...SONG, name: 1 })).toBeUndefined();
    expect(CODECS.song.decode({ ...SONG, qualities: { "128k": { size: "4M" } } })).toBeUndefined();
    expect(CODECS.song.decode({ ...SONG, source: "xx" })).toBeUndefined();
  });
});
