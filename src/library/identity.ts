import { compact, fold, normaliseFilename, stemOf } from "./normalise.ts";
import { isAddition, parseTitle, splitArtists, type Title } from "./title.ts";

/** One reading of what a song is called and by whom. */
export interface Identity {
  title: Title;
  /** Compact names; empty = not known. */
  artists: string[];
}

/** Everything that a file name alone tells, in the forms under which it is compared. */
export interface NameForms {
  /** As the original compares it. */
  exact: string;
  /** The same without regard to width, case, script. */
  folded: string;
  /** Folded, without extension. */
  stem: string;
  /** Letters and digits of the stem. */
  letters: string;
  /** Letters of name, versions and extras: equal for "Song [Live]" and "song (live)". */
  loose: string;
  /** "Artist - Title" and "Title - Artist" readings. */
  readings: Identity[];
  /** "22 - Taylor Swift": the song of that number, if it is no track number. Only for what is asked. */
  numberTitle: Identity[];
  /** Begins with a track number. */
  numbered: boolean;
  /** Compact ends of the stem at a boundary: "周杰伦 - 晴天" ends in "晴天". `firm`: the boundary is " - ", "_" or a number. */
  tails: { key: string; firm: boolean }[];
}

/**
 * A track number before the name. After a blank alone it is one before Han and kana, with a leading zero, or with the
 * disc: "21 Guns" is a title.
 */
const LEADING_NUMBER =
  /^(?:(?:0\d{1,2}|\d{1,2}-\d{1,3})\s+|\d{1,3}\s+(?=[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}])|(?:\d{1,2}-)?\d{1,3}(?:\s*[.、)\]-]\s*|_))(?=\S)/u;
/** "<source>_<songId>_<quality>": files that this server or the original stored. */
const STORED_NAME = /^(kg|tx|wy|mg|kw)_(.+)_([a-z0-9]+(?:_plus)?)$/u;

export function nameForms(name: string, extensions: ReadonlySet<string>): NameForms {
  const exact = normaliseFilename(name);
  const folded = fold(exact);
  const stem = stemOf(folded, extensions);
  const whole = parseTitle(stem);
  return {
    exact,
    folded,
    stem,
    letters: compact(stem),
    loose: [whole.key, ...whole.versions, whole.detail, ...whole.extras].join("|"),
    readings: readings(stem),
    numberTitle: numberTitle(stem),
    numbered: LEADING_NUMBER.test(stem),
    tails: tails(stem),
  };
}

/** `source_songId` of a stored file's stem (lower case), or nothing. */
export function storedSong(stem: string): string | undefined {
  const match = STORED_NAME.exec(stem);
  return match === null ? undefined : `${match[1]}_${match[2]}`;
}

export function tagIdentity(title: string, artists: readonly string[]): Identity {
  const parsed = parseTitle(fold(title));
  const names = new Set(artists.flatMap((artist) => splitArtists(fold(artist))));
  for (const guest of parsed.guests) names.add(guest);
  return { title: parsed, artists: [...names] };
}

/** @param stem folded */
function readings(stem: string): Identity[] {
  const bare = stem.replace(LEADING_NUMBER, "");
  let parts = bare.split(/\s+-\s+|\s*_\s*/u).filter((part) => part !== "");
  if (parts.length === 1) {
    // "周杰伦-晴天"; a hyphen inside a Latin word ("t-ara") is no separator.
    const tight = bare.split(/(?<=\p{Script=Han}[)）]?)-|-(?=\p{Script=Han})/u);
    if (tight.length === 2) parts = tight.map((part) => part.trim());
  }
  if (parts.length > 2 && /^\d{1,3}$/u.test(parts[0] ?? "")) parts = parts.slice(1);
  let suffix = "";
  const last = parts.at(-1);
  if (parts.length > 2 && last !== undefined && isAddition(last)) {
    suffix = ` (${last})`;
    parts = parts.slice(0, -1);
  }
  const found: Identity[] = [];
  for (let cut = 1; cut < Math.min(parts.length, 4); cut++) {
    const left = parts.slice(0, cut).join(" - ");
    const right = parts.slice(cut).join(" - ");
    found.push(reading(right + suffix, left), reading(left + suffix, right));
  }
  return found;
}

function numberTitle(stem: string): Identity[] {
  const [, number, artist] = /^(\d{1,3})\s+-\s+(.+)$/u.exec(stem) ?? [];
  return number === undefined || artist === undefined || artist.includes(" - ") ? [] : [reading(number, artist)];
}

function reading(titleText: string, artistText: string): Identity {
  const title = parseTitle(titleText);
  const artist = parseTitle(artistText);
  // A mark beside the artist's name ("孙燕姿 (Live) - 遇见") belongs to the song.
  const versions = [...new Set([...title.versions, ...artist.versions])].sort();
  const artists = [...new Set([...splitArtists(artistText), ...title.guests])];
  return { title: { ...title, versions, detail: title.detail || artist.detail }, artists };
}

const MAX_TAILS = 6;

function tails(stem: string): NameForms["tails"] {
  const found: NameForms["tails"] = [];
  const numberLength = LEADING_NUMBER.exec(stem)?.[0].length ?? 0;
  const boundary = /\s+-\s+|\s*_\s*|[.、]\s*|\s+|(?<=\p{Script=Han})-|-(?=\p{Script=Han})/gu;
  for (const match of stem.matchAll(boundary)) {
    const rest = stem.slice(match.index + match[0].length);
    const firm = /[-_]/u.test(match[0]) || match.index + match[0].length === numberLength;
    const key = compact(rest);
    // Elsewhere a blank stands between any two words: "Light" is no name for "Red Light".
    const apart = firm || /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}]/u.test(key);
    if (apart && /[\p{L}\p{N}]/u.test(key)) found.push({ key: looseTail(rest), firm });
    if (found.length === MAX_TAILS) break;
  }
  return found;
}

function looseTail(text: string): string {
  const title = parseTitle(text);
  return [title.key, ...title.versions, title.detail, ...title.extras].join("|");
}
