import { isQuality, isSourceId } from "../core/types.ts";
import type { TrackAnswer, TrackPlace } from "../resolve/track.ts";
import type { RequestContext } from "./context.ts";
import { type HotAnswer, JSON_HEADERS } from "./hot-answer.ts";
import { type MusicDeps, urlBody } from "./routes/music.ts";
import { queryUrlBody } from "./routes/query.ts";
import type { Target } from "./target.ts";

type Lane = (request: Request, target: Target, context: RequestContext) => HotAnswer | undefined;

/**
 * `/url` from memory, by path or by query, without the router: nine of ten requests of a busy server are these.
 * Anything unusual (escapes, `no-cache`, other words for a quality, not in memory) is the router's.
 */
export function createFastLane(deps: Pick<MusicDeps, "track" | "normalizeId" | "mayAsk" | "ownLink">): Lane {
  const byPath = createHotUrls(deps, urlBody);
  const byQuery = createHotUrls(deps, queryUrlBody);
  /** What a target asks for; null = nothing that could be hot. */
  const questions = new WeakMap<Target, Question | null>();

  function read(target: Target): Question | null {
    if (target.path === "/url") return questionOf(target.query, placeOfQuery, byQuery);
    return target.path.startsWith("/url/") ? questionOf(target.path, placeOfPath, byPath) : null;
  }

  function questionOf(text: string, read: (text: string) => Words | undefined, answer: Answerer): Question | null {
    if (/[%+]/.test(text)) return null;
    const [source, songId, quality] = read(text) ?? ["", "", ""];
    if (songId === "" || !isSourceId(source) || !isQuality(quality)) return null;
    return { place: deps.track.placeOf(source, deps.normalizeId(source, songId), quality), answer, last: undefined };
  }

  return (request, target, context) => {
    // First of all: what is wrong with a song's id is nothing to a preflight.
    if (request.method !== "GET" || request.headers.get("cache-control") !== null) return undefined;
    let question = questions.get(target);
    if (question === undefined) {
      question = read(target);
      questions.set(target, question);
    }
    return question === null ? undefined : question.answer(question, context);
  };
}

type Answerer = (question: Question, context: RequestContext) => HotAnswer | undefined;

interface Question {
  readonly place: TrackPlace;
  readonly answer: Answerer;
  /** The answer that was given to it before, as it goes out. */
  last: { answer: TrackAnswer; hot: HotAnswer } | undefined;
}

type Words = [source: string, songId: string, quality: string];

function placeOfPath(path: string): Words | undefined {
  const [, , source = "", songId = "", quality = "", more] = path.split("/");
  return more === undefined ? [source, songId, quality] : undefined;
}

function placeOfQuery(query: string): Words | undefined {
  const pairs = query
    .slice(1)
    .split("&")
    .map((pair) => pair.split("="));
  const value = (name: string) => pairs.find(([key]) => key === name)?.[1] ?? "";
  return pairs.length === 3 && pairs.every(({ length }) => length === 2)
    ? [value("source"), value("songId"), value("quality")]
    : undefined;
}

function createHotUrls(
  deps: Pick<MusicDeps, "track" | "mayAsk" | "ownLink">,
  bodyOf: (deps: Pick<MusicDeps, "ownLink">, answer: TrackAnswer, quality: string) => object,
): Answerer {
  const headers = new Map<string, HotAnswer["headers"]>();

  /** There are as many statuses as tiers. */
  function headersOf(cacheStatus: string): HotAnswer["headers"] {
    let record = headers.get(cacheStatus);
    if (record === undefined) {
      record = Object.freeze({ ...JSON_HEADERS, "cache-status": cacheStatus });
      headers.set(cacheStatus, record);
    }
    return record;
  }

  const make = (answer: TrackAnswer, quality: string): HotAnswer => ({
    body: JSON.stringify(bodyOf(deps, answer, quality)),
    headers: headersOf(answer.cacheStatus),
  });

  return (question, context) => {
    const { place, last } = question;
    deps.mayAsk(context, place.source, place.quality);
    const answer = deps.track.peek(place, context);
    if (answer === undefined) return undefined;
    // An address of ours may need a signature of its own; the platforms' are the same for all.
    if (answer.nearby !== undefined) return make(answer, place.quality);
    if (last?.answer === answer) return last.hot;
    const hot = make(answer, place.quality);
    question.last = { answer, hot };
    return hot;
  };
}
