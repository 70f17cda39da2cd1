import { compact } from "./normalise.ts";

/** What a title says besides its name. Two titles are the same recording only when `versions` agree. */
export interface Title {
  /** Compact name without additions. */
  key: string;
  /** Kinds of version, sorted: "live", "remix", "instrumental", or the compact text of "(… Version)". */
  versions: string[];
  /** Compact text that narrows a version ("at wembley 1986"); empty when nothing does. */
  detail: string;
  /** Bracketed texts that are neither version nor known to be without meaning, compact. */
  extras: string[];
  /** Guests named in the title. */
  guests: string[];
}

/** First match wins. What is left of the bracket's text becomes the detail. */
const VERSIONS: [kind: string, pattern: RegExp][] = [
  [
    "instrumental",
    /instrumental|inst\.|karaoke|off ?vocal|backing track|伴奏|纯音乐|无人声|卡拉ok|カラオケ|オフボーカル/u,
  ],
  ["live", /\blive\b|\bunplugged\b|现场|演唱会|音乐会|ライブ|라이브/u],
  ["remix", /\bremix(?:ed)?\b|\bbootleg\b|\bmashup\b|\brework\b|\bvip mix\b|混音|リミックス/u],
  ["dj", /\bdj\b|电音|车载|越鼓|抖音版/u],
  ["cover", /\bcover(?:ed)?\b|翻唱|翻自|カバー/u],
  ["acoustic", /\bacoustic\b|不插电|木吉他/u],
  ["demo", /\bdemo\b|小样|试听/u],
  ["piano", /\bpiano\b|钢琴/u],
  ["guitar", /\bguitar\b|吉他/u],
  ["sped up", /\bsped ?up\b|\bnightcore\b|加速|倍速/u],
  ["slowed", /\bslowed\b|减速|降调|慢速/u],
  ["radio", /\bradio (?:edit|version|mix)\b/u],
  ["extended", /\bextended\b|加长/u],
  ["clean", /^clean(?: version)?$/u],
  ["cantonese", /粤语|广东话|\bcantonese\b/u],
  ["mandarin", /国语|普通话|中文版|\bmandarin\b|\bchinese ver/u],
  ["english", /英文版|英语|\benglish\b/u],
  ["japanese", /日文版|日语|\bjapanese\b/u],
  ["korean", /韩文版|韩语|\bkorean\b/u],
  ["male", /男声|男版/u],
  ["female", /女声|女版/u],
  ["chorus", /合唱版|童声/u],
  ["part", /\b(?:part|pt|vol|volume|disc|cd|chapter|act|no)\b\.? ?[\divx]+|^[\divx]+$|第.{1,3}[部章集首]/u],
];

/** "(… Version)": the whole text names the version ("Taylor's Version", "2012版"). */
const NAMED_VERSION = /(?:\bver(?:sion|\.)?|\bmix|\bedit|\btake(?: \d+)?|\bsession|版|バージョン)\s*$/u;

const NEUTRAL = new RegExp(
  [
    "^(?:the )?official(?: .*)?$",
    "^(?:lyrics?|lyric video|audio|video|mv|m/v|hd|hq|sq|4k|explicit|bonus track|single|album|original)(?: version| video)?$",
    "^(?:flac|mp3|ape|wav|m4a|\\d{2,4} ?k(?:bps)?|hi-?res|24bit|无损|无损音质|高品质|高音质|完整版|原版|原唱|正式版|歌词版|动态歌词)$",
    "^(?:\\d{4} )?(?:digital(?:ly)? )?remaster(?:ed)?(?: \\d{4}| version)*$",
    "^\\d{4}(?:年)? ?(?:重制|重制版|修复版)?$",
    "(?:主题曲|片尾曲|片头曲|插曲|推广曲|宣传曲|原声带|主打歌|广告曲|角色曲)$",
    // A word of its own: "unplugged", "slowed" and "hip hop" end in these letters too.
    "(?:^|[^a-z])(?:op|ed|ost|soundtrack)$",
    "^《.+》",
    "^(?:电影|电视剧|动画|动漫|游戏|综艺)",
    "^from (?:the )?.+$",
    "^album version$",
  ].join("|"),
  "u",
);

const GUEST = /^(?:feat|ft|featuring|with)\b\.?\s*(.+)$/u;
const TRAILING_GUEST = /\s(?:feat|ft|featuring)\b\.?\s+(.+)$/u;
const BRACKETS = /[([{【〔［]([^()[\]{}【】〔〕［］]*)[)\]}】〕］]/gu;
const QUOTES = /[《「『<〈]([^《》「」『』<>〈〉]*)[》」』>〉]/gu;
/** Words that stand for a version without brackets; Latin ones are left alone ("Long Live" is a title). */
const TRAILING_VERSION =
  /(?<=.)(?:伴奏|纯音乐|现场版?|live版?|dj版|翻唱|翻自.*|粤语版|国语版|钢琴版|吉他版|女声版|男声版|remix版?)$/u;
const NO_ARTIST = /^(?:unknown(?: artist)?|various(?: artists)?|va|群星|未知|未知歌手|未知艺术家|佚名|华语群星|\?+)$/u;

/** @param text folded */
export function parseTitle(text: string): Title {
  const found: Found = { versions: new Set(), details: [], extras: [], guests: [] };
  const cut = (whole: string, inner: string, offset: number, all: string) => {
    // A name that is all brackets ("(sic)", "【未来】") is a name, and so is one in quotes at the start.
    if (offset === 0 && (whole.length === all.length || /^[《「『<〈]/u.test(whole))) return ` ${inner} `;
    classify(inner.trim(), found);
    return " ";
  };
  let rest = text.replace(BRACKETS, cut).trim().replace(QUOTES, cut);
  const guest = TRAILING_GUEST.exec(rest);
  if (guest !== null) {
    found.guests.push(...splitArtists(guest[1] ?? ""));
    rest = rest.slice(0, guest.index);
  }
  // "Song - Live at X", "Song - Remastered 2011"
  const dash = /^(.+?)\s+-\s+([^-]+)$/u.exec(rest.trim());
  if (dash !== null && isAddition(dash[2] ?? "")) {
    classify((dash[2] ?? "").trim(), found);
    rest = dash[1] ?? "";
  }
  rest = rest.trim();
  const tail = TRAILING_VERSION.exec(rest);
  if (tail !== null && /\p{Script=Han}\s*$/u.test(rest.slice(0, tail.index))) {
    classify(tail[0], found);
    rest = rest.slice(0, tail.index);
  }
  const key = compact(rest.trim() === "" ? text : rest);
  return {
    key,
    versions: [...found.versions].sort(),
    detail: found.details.join(""),
    extras: found.extras.sort(),
    guests: found.guests,
  };
}

interface Found {
  versions: Set<string>;
  details: string[];
  extras: string[];
  guests: string[];
}

function classify(text: string, found: Found): void {
  if (text === "") return;
  const guest = GUEST.exec(text);
  if (guest !== null) {
    found.guests.push(...splitArtists(guest[1] ?? ""));
    return;
  }
  // Versions first: "official remix" and "《歌手》现场" are no mere notes. What stands in quotes is another work's name.
  const spoken = text.replace(QUOTES, " ");
  const neutral = NEUTRAL.test(text);
  for (const [kind, pattern] of VERSIONS) {
    if (neutral && kind === "part") continue;
    const match = pattern.exec(neutral ? spoken : text);
    if (match === null) continue;
    found.versions.add(kind);
    const left = compact(
      text.replace(match[0], kind === "part" ? match[0] : "").replace(/版本?$|ver(?:sion)?\.?$/u, ""),
    );
    if (/[\p{L}\p{N}]/u.test(left)) found.details.push(left);
    return;
  }
  if (neutral) return;
  if (NAMED_VERSION.test(text)) found.versions.add(compact(text));
  else found.extras.push(compact(text));
}

/** Folded text after " - " that says which version it is, not who sings. */
export function isAddition(text: string): boolean {
  if (NEUTRAL.test(text) || NAMED_VERSION.test(text)) return true;
  // A single word could be an artist ("- Live" the band is rarer than "- Live" the version).
  return VERSIONS.some(([kind, pattern]) => kind !== "part" && kind !== "dj" && pattern.test(text));
}

/** @param text folded. @returns compact names; empty when the text names nobody in particular. */
export function splitArtists(text: string): string[] {
  const parts = text.split(/[、;,，/&|+]|\s+(?:feat|ft|featuring|with|vs|and|x|×)\b\.?\s+/u);
  const names = new Set<string>();
  for (const part of parts) {
    const named = part.replace(BRACKETS, " ").trim() || part.trim();
    const plain = named.replace(/^the (?=\S)/u, "");
    if (plain !== "" && !NO_ARTIST.test(plain)) names.add(compact(plain));
  }
  return [...names];
}
