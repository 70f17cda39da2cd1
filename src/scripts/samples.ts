import type { MusicInfo } from "../core/types.ts";

const common = {
  name: "晴天",
  singer: "周杰伦",
  interval: "04:29",
  albumName: "叶惠美",
  img: null,
  typeUrl: {},
  albumId: "",
  types: [{ type: "128k", size: null }],
  _types: { "128k": { size: null } },
};

/**
 * One well-known song on the platforms whose songs have lasting ids, for trial runs when nothing better is at hand.
 * Kugou's are hashes of files and Migu's change with the licence: there a song comes from a search or from the operator.
 */
export const SAMPLE_SONGS: readonly MusicInfo[] = [
  { ...common, source: "kw", songmid: "228908" },
  { ...common, source: "tx", songmid: "0039MnYb0qxYhV", strMediaMid: "0039MnYb0qxYhV", albumMid: "000MkMni19ClKG" },
  { ...common, source: "wy", songmid: "186016" },
];
