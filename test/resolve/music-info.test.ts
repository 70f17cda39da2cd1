import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Quality, SOURCE_IDS, type Song } from "../../src/core/types.ts";
import { decodeMusicInfo, isInfoOf, musicInfoOf } from "../../src/resolve/music-info.ts";

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("decodeMusicInfo", () => {
  test("what LX Music sends of a Kugou song", () => {
    const info = {
      name: "晴天",
      singer: "周杰伦",
      source: "kg",
      songmid: 32218351,
      interval: "04:29",
      albumName: "叶惠美",
      img: null,
      typeUrl: {},
      albumId: "960399",
      types: [
        { type: "128k", size: "4.11M", hash: "AA" },
        { type: "flac", size: null },
      ],
      _types: { "128k": { size: "4.11M", hash: "AA" }, flac: { size: null } },
      hash: "AA",
      unknown: { deep: true },
    };
    expect(decodeMusicInfo(encode(info), "kg")).toEqual({
      name: "晴天",
      singer: "周杰伦",
      source: "kg",
      songmid: "32218351",
      interval: "04:29",
      albumName: "叶惠美",
      img: null,
      typeUrl: {},
      albumId: "960399",
      types: [
        { type: "128k", size: "4.11M", hash: "AA" },
        { type: "flac", size: null },
      ],
      _types: { "128k": { size: "4.11M", hash: "AA" }, flac: { size: null } },
      hash: "AA",
    });
  });

  test("the least: a name. The source is that of the request", () => {
    expect(decodeMusicInfo(encode({ name: "n", source: "tx" }), "kg")).toMatchObject({
      name: "n",
      singer: "",
      source: "kg",
      songmid: "",
      interval: null,
    });
  });

  test("ordinary base64 with padding is read as well", () => {
    const text = Buffer.from('{"name":"晴天?>~"}').toString("base64");
    expect(decodeMusicInfo(text, "kg")?.name).toBe("晴天?>~");
  });

  test.each([
    ["nothing", undefined],
    ["null", null],
    ["empty", ""],
    ["no base64", "!!!!"],
    ["no JSON", encode("{").slice(1)],
    ["a list", encode([])],
    ["null inside", encode(null)],
    ["no name", encode({ singer: "a" })],
    ["a name that is none", encode({ name: 1 })],
    ["a hash that is none", encode({ name: "n", hash: {} })],
    ["a name of 5,000", encode({ name: "n".repeat(5000) })],
    ["more than 16 KiB", encode({ name: "n", types: Array.from({ length: 2000 }, () => "xxxxxxxxxx") })],
    ["broken UTF-8 that is no JSON", Buffer.from([0xff, 0xfe]).toString("base64url")],
    ["deep nesting", Buffer.from("[".repeat(10_000)).toString("base64url")],
  ])("%s is as if it were not there", (_name, text) => {
    expect(decodeMusicInfo(text, "kg")).toBeUndefined();
  });

  test("odd rows of qualities are left out, the rest stays", () => {
    const info = decodeMusicInfo(
      encode({
        name: "n",
        types: [null, 1, "x", { type: 1 }, { type: "x".repeat(21) }, { type: "128k", size: 5 }, { type: "flac" }],
      }),
      "kg",
    );
    expect(info?.types).toEqual([{ type: "flac", size: null }]);
  });

  test("no name of a quality reaches a prototype", () => {
    const text = Buffer.from('{"name":"n","_types":{"__proto__":{"size":"1M"},"constructor":{"size":null}}}').toString(
      "base64url",
    );
    const info = decodeMusicInfo(text, "kg");
    expect(Object.getPrototypeOf(info?._types)).toBe(Object.prototype);
    expect(Object.keys(info?._types ?? {}).sort()).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>)["size"]).toBeUndefined();
  });

  test("never throws, whatever it is given", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void decodeMusicInfo(text, "kg")));
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => void decodeMusicInfo(Buffer.from(bytes).toString("base64url"), "tx")),
    );
    const field = fc.oneof(fc.jsonValue(), fc.string(), fc.integer(), fc.constant(null));
    const names = [
      "singer",
      "songmid",
      "interval",
      "albumName",
      "img",
      "albumId",
      "types",
      "_types",
      "hash",
      "songId",
      "copyrightId",
    ];
    const odd = fc.record(Object.fromEntries(names.map((name) => [name, field])), { requiredKeys: [] });
    fc.assert(
      fc.property(odd, (fields) => {
        const info = decodeMusicInfo(encode({ name: "n", ...fields }), "kg");
        if (info === undefined) return;
        expect(info.types.every((row) => typeof row.type === "string")).toBe(true);
        expect(typeof info.songmid).toBe("string");
      }),
    );
  });
});

describe("isInfoOf", () => {
  const info = decodeMusicInfo(encode({ name: "n", songmid: 77, hash: "ABC", copyrightId: "C1" }), "kg");
  test.each([
    ["abc", true],
    ["ABC", true],
    ["77", true],
    ["c1", true],
    ["78", false],
    ["", false],
    ["n", false],
  ])("%p: %p", (songId, expected) => {
    expect(isInfoOf(info, songId)).toBe(expected);
  });
  test("of nothing", () => expect(isInfoOf(undefined, "")).toBe(false));
});

describe("musicInfoOf: every field that published scripts look for", () => {
  const base = {
    name: "晴天",
    artists: [{ name: "甲" }, { name: "乙" }],
    album: { id: "960399", mid: "000MkMni19ClKG", name: "叶惠美" },
    durationSeconds: 269.4,
    cover: "http://c/a.jpg",
  };
  const common = {
    name: "晴天",
    singer: "甲、乙",
    interval: "04:29",
    albumName: "叶惠美",
    img: "http://c/a.jpg",
    typeUrl: {},
  };
  const sized = { "128k": { size: 4_312_345 } };
  const types = { types: [{ type: "128k", size: "4.11M" }], _types: { "128k": { size: "4.11M" } } };
  const rows: { source: Song["source"]; song: Partial<Song>; info: object }[] = [
    {
      source: "kg",
      song: {
        songId: "aa11",
        ids: { hash: "aa11", audioId: "32218351" },
        qualities: { "128k": { size: 4_312_345, hash: "aa11" }, flac: { hash: "bb22" } },
      },
      info: {
        songmid: "32218351",
        hash: "aa11",
        albumId: "960399",
        types: [
          { type: "128k", size: "4.11M", hash: "aa11" },
          { type: "flac", size: null, hash: "bb22" },
        ],
        _types: { "128k": { size: "4.11M", hash: "aa11" }, flac: { size: null, hash: "bb22" } },
      },
    },
    {
      source: "tx",
      song: { songId: "0039MnYb0qxYhV", ids: { id: "97773", mediaMid: "002Neh8l0uciQZ" }, qualities: sized },
      info: {
        songmid: "0039MnYb0qxYhV",
        songId: 97773,
        strMediaMid: "002Neh8l0uciQZ",
        albumMid: "000MkMni19ClKG",
        albumId: "000MkMni19ClKG",
        ...types,
      },
    },
    {
      source: "wy",
      song: { songId: "186016", ids: {}, qualities: sized },
      info: { songmid: "186016", albumId: "960399", ...types },
    },
    {
      source: "mg",
      song: {
        songId: "1108",
        ids: { copyrightId: "60054701923", lrcUrl: "http://l", mrcUrl: "http://m", trcUrl: "http://t" },
        qualities: sized,
      },
      info: {
        songmid: "1108",
        copyrightId: "60054701923",
        lrcUrl: "http://l",
        mrcUrl: "http://m",
        trcUrl: "http://t",
        albumId: "960399",
        ...types,
      },
    },
    {
      source: "kw",
      song: { songId: "228908", ids: {}, qualities: sized },
      info: { songmid: "228908", albumId: "960399", ...types },
    },
  ];
  test.each(rows)("$source", ({ source, song, info }) => {
    const made = musicInfoOf({ source, songId: "", qualities: {}, ids: {}, ...base, ...song });
    expect(JSON.parse(JSON.stringify(made))).toEqual({ source, ...common, ...info });
  });

  test("a song of which little is known", () => {
    expect(musicInfoOf({ source: "kg", songId: "aa", name: "n", artists: [], qualities: {}, ids: {} })).toEqual({
      name: "n",
      singer: "",
      source: "kg",
      songmid: "aa",
      hash: "aa",
      interval: null,
      albumName: "",
      img: null,
      typeUrl: {},
      albumId: undefined,
      types: [],
      _types: {},
    });
  });

  test.each([
    [0, "00:00"],
    [59.6, "01:00"],
    [3601, "60:01"],
    [6000, "100:00"],
  ])("%d seconds are %s", (durationSeconds, interval) => {
    const song: Song = { source: "wy", songId: "1", name: "n", artists: [], qualities: {}, ids: {}, durationSeconds };
    expect(musicInfoOf(song).interval).toBe(interval);
  });

  test("what we make of a song, we read again as of that song", () => {
    const quality = fc.constantFrom<Quality>("128k", "320k", "flac");
    const song = fc.record({
      source: fc.constantFrom(...SOURCE_IDS),
      songId: fc.stringMatching(/^[a-z0-9]{1,32}$/),
      name: fc.string(),
      artists: fc.array(fc.record({ name: fc.string() }), { maxLength: 3 }),
      qualities: fc.dictionary(quality, fc.record({ size: fc.nat(), hash: fc.string() }, { requiredKeys: [] })),
      ids: fc.constant({}),
      durationSeconds: fc.nat({ max: 7200 }),
    });
    fc.assert(
      fc.property(song, (made) => {
        const info = musicInfoOf(made);
        const read = decodeMusicInfo(encode(info), made.source);
        expect(isInfoOf(read, made.songId)).toBe(true);
        expect(read?._types).toEqual(info._types);
        expect(read?.interval).toBe(info.interval);
      }),
    );
  });
});
