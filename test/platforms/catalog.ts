import type { CatalogSong, LyricLine } from "./world.ts";

const LINES: LyricLine[] = [
  line(0, 2000, ["测", "试", " - ", "歌手"]),
  line(2000, 3000, ["故事", "的", "小黄花"], "The little yellow flower of the story", "gu shi de xiao huang hua"),
  line(
    5500,
    2500,
    ["从", "出生", "那年", "就", "飘着"],
    "It has been drifting since the year I was born",
    "cong chu sheng na nian jiu piao zhe",
  ),
  line(61_005, 1500, ["♪ ", "Rock", "&", "Roll "], "摇滚", ""),
];

function line(
  startMs: number,
  durationMs: number,
  words: string[],
  translation?: string,
  romanised?: string,
): LyricLine {
  const step = Math.floor(durationMs / words.length);
  return {
    startMs,
    durationMs,
    words: words.map((text, index) => ({ offsetMs: index * step, durationMs: step, text })),
    ...(translation === undefined ? {} : { translation }),
    ...(romanised === undefined ? {} : { romanised }),
  };
}

const hex = (digit: string, seed: number) => (seed.toString(16).padStart(4, "0") + digit.repeat(32)).slice(0, 32);

/** Songs that every test may lean on. Ids are regular, so that a test can name them without looking. */
function song(
  index: number,
  part: Pick<CatalogSong, "key" | "name" | "right" | "qualities"> & Partial<CatalogSong>,
): CatalogSong {
  const n = String(index).padStart(4, "0");
  return {
    artists: [{ id: `35${n}`, mid: `0025NhlN2y${n}`, name: "测试歌手" }],
    album: { id: `82${n}`, mid: `000MkMni19${n}`, name: "测试专辑" },
    durationSeconds: 12,
    publishDate: "2003-07-31",
    ids: {
      kg: { hash: hex("a", index), audioId: `1234${n}`, albumAudioId: `4529${n}`, mvHash: hex("d", index) },
      tx: { mid: `0039MnYb0q${n}`, id: `97${n}`, mediaMid: `M039MnYb0q${n}`, vid: `g0010vl${n}` },
      wy: { id: `3389${n}`, mv: `5501${n}` },
      mg: { songId: `110${n}`, copyrightId: `6005970${n}`, contentId: `60059700000${n}` },
      kw: { id: `228${n}` },
    },
    ...part,
  };
}

export const SONGS: CatalogSong[] = [
  song(1, {
    key: "plain",
    name: "晴天",
    right: "free",
    qualities: ["128k", "192k", "320k", "flac", "flac24bit", "hires"],
    lyric: LINES,
  }),
  song(2, {
    key: "member",
    name: "会员歌",
    nameExtra: "(Live)",
    right: "member",
    qualities: ["128k", "320k", "flac"],
    lyric: LINES,
  }),
  song(3, { key: "gone", name: "下架歌", right: "none", qualities: ["128k"] }),
  song(4, { key: "low", name: "只有低音质", right: "free", qualities: ["128k"], lyric: LINES }),
  song(5, { key: "instrumental", name: "纯音乐", right: "free", qualities: ["128k", "320k", "flac"] }),
  song(6, {
    key: "odd",
    name: "Rock&Roll=Life “引号” </script>",
    right: "free",
    qualities: ["128k", "320k", "flac"],
    lyric: LINES,
    artists: [
      { id: "350006", mid: "0025NhlN2y0006", name: "AC/DC" },
      { id: "350007", mid: "0025NhlN2y0007", name: "甲、乙" },
    ],
  }),
];

export function songByKey(key: string): CatalogSong {
  const found = SONGS.find((item) => item.key === key);
  if (found === undefined) throw new Error(`no song "${key}" in the catalogue`);
  return found;
}
