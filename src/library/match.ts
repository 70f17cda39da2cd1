import { type Identity, type NameForms, nameForms, storedSong, tagIdentity } from "./identity.ts";
import { fold, lastSegment, parentFolders } from "./normalise.ts";

/** What a client knows of the song it wants; at least one of `path`, `songmid`, `name`. */
export interface MatchQuery {
  /** File name, or a path on another device, in whatever encoding the client used. */
  path?: string;
  /** "<source>_<songId>", lower case. */
  songmid?: string;
  name?: string;
  /** One text ("A、B") or a list. */
  artist?: string | readonly string[];
  album?: string;
  durationSeconds?: number;
}

export type MatchRule = "name" | "songmid" | "folded" | "stem" | "loose" | "tags" | "part" | "typo";

export interface Match {
  id: number;
  /** 0…1; 1 = the very name. */
  score: number;
  rule: MatchRule;
}

/** What the matcher keeps of one file. */
export interface Candidate {
  id: number;
  path: string;
  title: string;
  artists: readonly string[];
  album: string;
  durationSeconds: number | undefined;
  bitrate: number | undefined;
  lossless: boolean;
}

export interface Matcher {
  readonly size: number;
  put(candidate: Candidate): void;
  remove(id: number): void;
  has(id: number): boolean;
  find(query: MatchQuery): Match | undefined;
}

export interface MatcherOptions {
  /** Least score of an answer. */
  threshold: number;
  /** Lower-case extensions that a file name may end in. */
  extensions: ReadonlySet<string>;
}

/** A candidate with what its names say; made anew for each question, because 50,000 of them would fill the memory. */
interface Entry {
  id: number;
  path: string;
  identities: Identity[];
  tagged: boolean;
  stemLetters: string;
  album: string;
  durationSeconds: number | undefined;
  rank: number;
}

const SCORE = { name: 1, songmid: 1, folded: 0.98, stem: 0.9, loose: 0.88, part: 0.8, typo: 0.82 } as const;
/** Candidates looked at for one key; more of one name means that the name says nothing. */
const MAX_CANDIDATES = 200;

/**
 * Finds the file that a client means: exact before fuzzy, and rather nothing than a wrong song. Several files that
 * fit equally well and are different songs are no answer.
 * Rules and scores: name 1 · stored song id 1 · folded name 0.98 · same name, other extension 0.9 · same letters 0.88
 * · title and artist 0.75–0.97 · name contained at a boundary, nothing against it 0.8 · one slip in a long Latin
 * title of the same artist 0.82.
 * @see test/library/match.test.ts, the table of cases
 */
export function createMatcher(options: MatcherOptions): Matcher {
  const known = new Map<number, { candidate: Candidate; keys: number[] }>();
  const ids = new Map<number, number | number[]>();

  function link(key: number, id: number): void {
    const found = ids.get(key);
    if (found === undefined) ids.set(key, id);
    else if (typeof found === "number") ids.set(key, [found, id]);
    else found.push(id);
  }

  function unlink(key: number, id: number): void {
    const found = ids.get(key);
    if (found === id) ids.delete(key);
    else if (Array.isArray(found)) {
      const at = found.indexOf(id);
      if (at >= 0) found.splice(at, 1);
      if (found.length === 0) ids.delete(key);
    }
  }

  const at = (key: string): Entry[] => {
    const found = ids.get(hashOf(key));
    if (found === undefined) return [];
    const list = typeof found === "number" ? [found] : found;
    if (list.length > MAX_CANDIDATES) return [];
    return list.flatMap((id) => {
      const one = known.get(id);
      return one === undefined ? [] : [made(one.candidate)];
    });
  };

  /** The same entry object for one question, so that sets of entries work. */
  let question = new Map<number, Entry>();
  function made(candidate: Candidate): Entry {
    let entry = question.get(candidate.id);
    if (entry === undefined) {
      entry = makeEntry(candidate, options.extensions).entry;
      question.set(candidate.id, entry);
    }
    return entry;
  }

  const matcher: Matcher = {
    get size() {
      return known.size;
    },
    put(candidate) {
      matcher.remove(candidate.id);
      const keys = makeEntry(candidate, options.extensions).keys.map(hashOf);
      known.set(candidate.id, { candidate: slim(candidate), keys });
      for (const key of keys) link(key, candidate.id);
    },
    remove(id) {
      const one = known.get(id);
      if (one === undefined) return;
      for (const key of one.keys) unlink(key, id);
      known.delete(id);
    },
    has: (id) => known.has(id),
    find(query) {
      question = new Map();
      try {
        for (const match of search(query, at, options)) {
          if (match.score >= options.threshold) return match;
        }
        return undefined;
      } finally {
        question = new Map();
      }
    },
  };
  return matcher;
}

/** 53 bits of a key: of a million keys, two alike are a matter of 1 in 18,000, and a wrong song takes more than that. */
function hashOf(key: string): number {
  const high = Bun.hash.murmur32v3(key, 1);
  return high * 2 ** 21 + (Bun.hash.murmur32v3(key, 2) >>> 11);
}

function slim({ id, path, title, artists, album, durationSeconds, bitrate, lossless }: Candidate): Candidate {
  return { id, path, title, artists, album, durationSeconds, bitrate, lossless };
}

function makeEntry(candidate: Candidate, extensions: ReadonlySet<string>): { entry: Entry; keys: string[] } {
  const forms = nameForms(lastSegment(candidate.path), extensions);
  const tagged = candidate.title.trim() !== "";
  const known = tagged && candidate.artists.length > 0;
  const identities = identitiesOf(candidate, forms);
  const keys = new Set([
    `n:${forms.exact}`,
    `f:${forms.folded}`,
    `s:${forms.stem}`,
    `l:${forms.loose}`,
    `c:${forms.letters}`,
  ]);
  const stored = storedSong(forms.stem);
  if (stored !== undefined) keys.add(`i:${stored}`);
  for (const tail of forms.tails) keys.add(`${tail.firm ? "p" : "q"}:${tail.key}`);
  for (const { title, artists } of identities) {
    keys.add(`t:${title.key}`);
    if (known) for (const artist of artists) keys.add(`a:${artist}`);
  }
  const entry: Entry = {
    id: candidate.id,
    path: candidate.path,
    identities,
    tagged,
    stemLetters: forms.letters,
    album: fold(candidate.album),
    durationSeconds: candidate.durationSeconds,
    rank: (candidate.lossless ? 100_000 : 0) + (candidate.bitrate ?? 0),
  };
  return { entry, keys: [...keys] };
}

function identitiesOf({ title, artists }: Candidate, { readings }: NameForms): Identity[] {
  if (title.trim() === "") return readings;
  const tags = tagIdentity(title, artists);
  if (artists.length > 0) return [tags];
  // The tags name no artist: the file's name may.
  const named = readings.filter((own) => own.title.key === tags.title.key && sameVersion(own, tags));
  return named.length > 0 ? named : [tags, ...readings];
}

type Lookup = (key: string) => Entry[];

/** Candidate answers, best rule first; each is decided before the next is computed. */
function* search(query: MatchQuery, at: Lookup, options: MatcherOptions): Generator<Match> {
  const asked = askedIdentity(query);
  const pick = (found: Entry[], rule: keyof typeof SCORE, folders: string[] = []): Match | undefined => {
    const fitting = found.filter((entry) => !contradicts(entry, asked, query));
    const best = choose(fitting, folders, query);
    return best === undefined ? undefined : { id: best.id, score: SCORE[rule], rule };
  };
  if (query.songmid !== undefined) {
    const hit = pick(at(`i:${query.songmid.toLowerCase()}`), "songmid");
    if (hit) yield hit;
  }
  if (query.path !== undefined && query.path !== "") {
    for (const path of variants(query.path)) {
      yield* byPath(path, pick, at, options, asked, query);
    }
  }
  if (asked !== undefined) {
    const tags = byTags([asked], at, query);
    if (tags) yield tags;
    const slip = bySlip([asked], at, query);
    if (slip) yield slip;
  }
}

/** The script of the original puts "server_" before a local song's id. */
function variants(path: string): string[] {
  return path.startsWith("server_") ? [path, path.slice("server_".length)] : [path];
}

type Pick = (found: Entry[], rule: keyof typeof SCORE, folders?: string[]) => Match | undefined;

function* byPath(
  path: string,
  pick: Pick,
  at: Lookup,
  options: MatcherOptions,
  asked: Identity | undefined,
  query: MatchQuery,
): Generator<Match> {
  // An encoded separator shows only after decoding: the name is cut again.
  const forms = nameForms(lastSegment(nameForms(path, options.extensions).exact), options.extensions);
  if (forms.exact === "") return;
  const folders = parentFolders(path);
  const steps: [rule: keyof typeof SCORE, key: string][] = [
    ["name", `n:${forms.exact}`],
    ["folded", `f:${forms.folded}`],
    ["stem", `s:${forms.stem}`],
    ["loose", `l:${forms.loose}`],
    ["loose", `c:${forms.letters}`],
  ];
  for (const [rule, key] of steps) {
    const hit = pick(at(key), rule, folders);
    if (hit) yield hit;
  }
  const stored = storedSong(forms.stem);
  if (stored !== undefined) {
    // Another quality of the same stored song; its readings as "artist_title" would be nonsense.
    const hit = pick(at(`i:${stored}`), "stem", folders);
    if (hit) yield hit;
    return;
  }
  const named = [...forms.readings, ...forms.numberTitle];
  const identities = asked === undefined ? named : [asked, ...named];
  const tags = byTags(identities, at, query);
  if (tags) yield tags;
  const part = byPart(forms, at, folders, query, asked);
  if (part) yield part;
  const slip = bySlip(forms.readings, at, query);
  if (slip) yield slip;
}

function askedIdentity(query: MatchQuery): Identity | undefined {
  if (query.name === undefined || query.name.trim() === "") return undefined;
  const artists = query.artist === undefined ? [] : typeof query.artist === "string" ? [query.artist] : query.artist;
  return tagIdentity(query.name, artists);
}

/** The file's tags name another song than the request does, or its length is far off. */
function contradicts(entry: Entry, asked: Identity | undefined, query: MatchQuery): boolean {
  if (durationDistance(entry, query) > 15) return true;
  if (asked === undefined || !entry.tagged) return false;
  return !entry.identities.some(
    (own) =>
      own.title.key === asked.title.key &&
      sameVersion(own, asked) &&
      (own.artists.length === 0 || asked.artists.length === 0 || overlap(own.artists, asked.artists)),
  );
}

/** Seconds between the lengths; 0 when one of them is not known. */
function durationDistance(entry: Entry, query: MatchQuery): number {
  if (entry.durationSeconds === undefined || query.durationSeconds === undefined) return 0;
  return Math.abs(entry.durationSeconds - query.durationSeconds);
}

const overlap = (a: readonly string[], b: readonly string[]) => a.some((name) => b.includes(name));

function sameVersion(a: Identity, b: Identity): boolean {
  const [left, right] = [a.title, b.title];
  if (left.versions.join("|") !== right.versions.join("|")) return false;
  return left.detail === "" || right.detail === "" || left.detail === right.detail;
}

/** One of several that fit: nearest folders, then nearest length; different songs that tie are no answer. */
function choose(found: Entry[], folders: string[], query: MatchQuery): Entry | undefined {
  if (found.length < 2) return found[0];
  const weigh = (entry: Entry) => {
    const own = parentFolders(entry.path);
    let agreeing = 0;
    while (agreeing < own.length && own[agreeing] === folders[agreeing] && own[agreeing] !== undefined) agreeing++;
    const sameAlbum = query.album !== undefined && query.album !== "" && fold(query.album) === entry.album ? 1 : 0;
    return agreeing * 4 + sameAlbum * 2 - Math.min(durationDistance(entry, query), 15) / 10;
  };
  const weighed = found.map((entry) => ({ entry, weight: weigh(entry) }));
  const top = Math.max(...weighed.map((item) => item.weight));
  const tied = weighed.filter((item) => item.weight >= top - 0.1).map((item) => item.entry);
  const [first, ...others] = tied;
  if (first === undefined || others.some((other) => !sameSong(first, other))) return undefined;
  return tied.sort((a, b) => b.rank - a.rank || (a.path < b.path ? -1 : 1))[0];
}

function sameSong(a: Entry, b: Entry): boolean {
  const apart =
    a.durationSeconds === undefined || b.durationSeconds === undefined
      ? undefined
      : Math.abs(a.durationSeconds - b.durationSeconds);
  if (apart !== undefined && apart > 7) return false;
  const shared = a.identities.some((left) =>
    b.identities.some(
      (right) =>
        left.title.key === right.title.key &&
        sameVersion(left, right) &&
        (left.artists.length === 0 || right.artists.length === 0 || overlap(left.artists, right.artists)),
    ),
  );
  if (shared) return true;
  // "Track 01.mp3" in two folders is the same only when it is as long.
  return (!a.tagged || !b.tagged) && a.stemLetters === b.stemLetters && apart !== undefined && apart <= 1;
}

/** Title and artist, as tags or file names give them. */
function byTags(asked: Identity[], at: Lookup, query: MatchQuery): Match | undefined {
  let best: { score: number; found: Entry[] } = { score: 0, found: [] };
  for (const identity of asked) {
    for (const entry of new Set(at(`t:${identity.title.key}`))) {
      const score = Math.max(...entry.identities.map((own) => tagScore(own, identity, entry, query)));
      if (score > best.score) best = { score, found: [entry] };
      else if (score === best.score && score > 0 && !best.found.includes(entry)) best.found.push(entry);
    }
  }
  const chosen = choose(best.found, [], query);
  return chosen === undefined ? undefined : { id: chosen.id, score: best.score, rule: "tags" };
}

function tagScore(own: Identity, asked: Identity, entry: Entry, query: MatchQuery): number {
  if (own.title.key !== asked.title.key || !sameVersion(own, asked)) return 0;
  const distance = durationDistance(entry, query);
  const timed = entry.durationSeconds !== undefined && query.durationSeconds !== undefined;
  if (distance > 15) return 0;
  let score: number;
  if (own.artists.length === 0 || asked.artists.length === 0) score = timed && distance <= 2 ? 0.84 : 0.7;
  else if (!overlap(own.artists, asked.artists)) return 0;
  else {
    const all =
      own.artists.length === asked.artists.length && own.artists.every((name) => asked.artists.includes(name));
    score = all ? 0.95 : 0.9;
  }
  if (timed) score += distance <= 3 ? 0.02 : distance <= 7 ? 0 : -0.08;
  if (own.title.detail !== asked.title.detail) score -= 0.06;
  const extras = own.title.extras.join("|") === asked.title.extras.join("|");
  // "Song (2 Unknown Words)" may be another recording: only the length can vouch for it.
  if (!extras) score -= timed && distance <= 2 ? 0.06 : 0.2;
  return Math.round(score * 100) / 100;
}

/**
 * The original's rule that a contained name is 0.8, with limits: at a boundary, the only such file, and nothing that
 * the tags say may speak against it.
 */
function byPart(
  forms: NameForms,
  at: Lookup,
  folders: string[],
  query: MatchQuery,
  asked: Identity | undefined,
): Match | undefined {
  if (!longEnough(forms.letters)) return undefined;
  const found = new Set<Entry>();
  // The file's name ends in what was asked for.
  for (const entry of at(`p:${forms.loose}`)) if (explains(entry, forms)) found.add(entry);
  for (const entry of at(`q:${forms.loose}`)) {
    if (explains(entry, forms) && forms.letters.length * 2 >= entry.stemLetters.length) found.add(entry);
  }
  // What was asked for ends in the file's name: "周杰伦 - 晴天" and a file "晴天" that names no other artist.
  for (const tail of forms.tails) {
    if (!tail.firm || !longEnough(tail.key)) continue;
    for (const entry of at(`l:${tail.key}`)) if (agrees(entry, forms)) found.add(entry);
  }
  const fitting = [...found].filter((entry) => !contradicts(entry, asked, query));
  const chosen = choose(fitting, folders, query);
  return chosen === undefined ? undefined : { id: chosen.id, score: SCORE.part, rule: "part" };
}

/** Two Han characters, or four letters: less is contained in anything. */
function longEnough(letters: string): boolean {
  return letters.length >= (/[\u2e80-\uffff]/u.test(letters) ? 2 : 4);
}

/** A tagged file must bear the asked name as its title; an untagged one may. */
function explains(entry: Entry, forms: NameForms): boolean {
  if (!entry.tagged) return true;
  return entry.identities.some((own) => looseOf(own) === forms.loose);
}

/** The longer request names the file's own artist, or the file names none. */
function agrees(entry: Entry, forms: NameForms): boolean {
  if (!entry.tagged) return true;
  const { numbered, readings } = forms;
  return entry.identities.some((own) => (own.artists.length === 0 ? numbered : readings.length === 0 && numbered));
}

function looseOf({ title }: Identity): string {
  return [title.key, ...title.versions, title.detail, ...title.extras].join("|");
}

const MIN_SLIP_LENGTH = 8;

/** One wrong, missing, added or swapped Latin letter in a long title, when the artist is the same beyond doubt. */
function bySlip(asked: Identity[], at: Lookup, query: MatchQuery): Match | undefined {
  const found = new Set<Entry>();
  for (const identity of asked) {
    if (!slippable(identity.title.key) || identity.artists.length === 0) continue;
    for (const entry of identity.artists.flatMap((artist) => at(`a:${artist}`))) {
      if (durationDistance(entry, query) > 3) continue;
      const fits = entry.identities.some(
        (own) =>
          slippable(own.title.key) &&
          own.title.extras.join("|") === identity.title.extras.join("|") &&
          sameVersion(own, identity) &&
          numeralOf(own.title.key) === numeralOf(identity.title.key) &&
          oneSlip(own.title.key, identity.title.key),
      );
      if (fits) found.add(entry);
    }
  }
  const chosen = choose([...found], [], query);
  return chosen === undefined ? undefined : { id: chosen.id, score: SCORE.typo, rule: "typo" };
}

const slippable = (key: string) => key.length >= MIN_SLIP_LENGTH && /^[a-z]+$/.test(key);

/** "Unforgiven III" is no slip of "Unforgiven II". */
const numeralOf = (key: string) => /[ivx]*$/.exec(key)?.[0];

/** Damerau distance of exactly one; the first letter must agree. */
export function oneSlip(a: string, b: string): boolean {
  if (a === b || a[0] !== b[0] || Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  if (left.length <= 1 && right.length <= 1) return true;
  return left.length === 2 && right.length === 2 && left[0] === right[1] && left[1] === right[0];
}
