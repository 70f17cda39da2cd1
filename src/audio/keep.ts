import { rm } from "node:fs/promises";
import { toAppError } from "../core/errors.ts";
import type { Quality, SourceId } from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import type { Bandwidth } from "./bandwidth.ts";
import type { AudioConfig } from "./config.ts";
import { isDiskFull } from "./disk.ts";
import type { Measurement } from "./measure.ts";
import type { Placer } from "./place.ts";
import { type Fault, judge, type Refused, refuse } from "./proof.ts";
import type { Refusals } from "./refusals.ts";
import type { AudioStore, StoredFile } from "./store.ts";
import type { TrackTags } from "./track-tags.ts";
import { diskFull, type FetchStream, type Transferred, transfer } from "./transfer.ts";
import type { AudioWork } from "./work.ts";

/** A resolved address whose bytes are to be kept. */
export interface FetchJob {
  source: SourceId;
  songId: string;
  /** What the address serves, not what was asked for. */
  quality: Quality;
  url: string;
  headers?: Record<string, string>;
  /** Who named the address: a source's id, `script:<id>`, … A fake is remembered against it. */
  route: string;
  /** The song's length as the platform says. */
  durationSeconds?: number | undefined;
  /** Title and artists as the platform says: they tell one recording under two ids from a decoy. */
  title?: string | undefined;
  artist?: string | undefined;
  /** The three above, asked for when the download starts; what the job itself says comes first. */
  about?: (() => Promise<About | undefined>) | undefined;
  /** Asked for only when the audio has proved good; what comes later is added by `retag`. */
  tags?: (() => Promise<TrackTags | undefined>) | undefined;
}

export type About = Pick<FetchJob, "durationSeconds" | "title" | "artist">;

export type Outcome =
  /** Downloaded now, or it was there already. */
  | { kind: "stored" | "present"; file: StoredFile }
  /** A fake: not kept, and its route is marked. */
  | { kind: "refused"; fault: Fault; message: string }
  | { kind: "failed"; message: string; diskFull: boolean }
  | { kind: "skipped"; reason: "off" | "queue_full" | "disk_full" | "refused_before" | "closed" };

export interface KeeperDeps {
  store: AudioStore;
  placer: Placer;
  refusals: Refusals;
  work: AudioWork;
  bandwidth: Bandwidth;
  fetchStream: FetchStream;
  config: () => AudioConfig;
  log: Logger;
  now: () => number;
  /** A fake has come: the address should not be handed out again. */
  onRefused?: ((job: FetchJob, fault: Fault) => void) | undefined;
}

type Proof = { ok: true; facts: Measurement } | Refused;

const ASK_DEADLINE_MS = 20_000;

/** Downloads, proves, tags and places one file. @throws only on the signal. */
export function createKeeper(deps: KeeperDeps): (job: FetchJob, signal: AbortSignal) => Promise<Outcome> {
  const { store, placer, refusals, work, log, now } = deps;

  function refused(job: FetchJob, verdict: Refused): Outcome {
    refusals.add(job, job.route, verdict.fault);
    deps.onRefused?.(job, verdict.fault);
    const { source, songId, quality, route, url } = job;
    log.warn("audio refused", {
      source,
      songId,
      quality,
      route,
      host: hostOf(url),
      fault: verdict.fault,
      ...verdict.detail,
    });
    return { kind: "refused", fault: verdict.fault, message: verdict.message };
  }

  function failed(job: FetchJob, error: unknown): Outcome {
    const known = isDiskFull(error) ? diskFull(error) : toAppError(error);
    const { source, songId, quality, route, url } = job;
    const fields = { source, songId, quality, route, host: hostOf(url), error: known.message, detail: known.detail };
    const fault = detailOf(known.detail, "fault");
    if (fault === "not_audio" || fault === "encrypted") {
      return refused(job, {
        ok: false,
        fault,
        message: known.message,
        detail: { what: detailOf(known.detail, "what") },
      });
    }
    const full = known.kind === "storage_failed";
    if (full) log.error("disk is full: audio is not cached, playing goes on from the platform", fields);
    else log.warn("audio not downloaded", fields);
    return { kind: "failed", message: known.message, diskFull: full };
  }

  async function download(job: FetchJob, path: string, signal: AbortSignal): Promise<Transferred> {
    const { retries, stall, max_file, min_free } = deps.config();
    return transfer({
      fetchStream: deps.fetchStream,
      url: job.url,
      headers: job.headers ?? {},
      path,
      bandwidth: deps.bandwidth,
      stallMs: stall * 1000,
      retries,
      maxBytes: max_file,
      minFree: min_free,
      signal,
    });
  }

  async function prove(job: FetchJob, path: string, hash: string): Promise<Proof> {
    const { tolerance, spectrum } = deps.config();
    const measured = await work.measure(path);
    const verdict = judge(measured, job, { toleranceSeconds: tolerance, spectrum });
    if (!verdict.ok) return verdict;
    if (measured.kind !== "audio") return refuse("broken");
    return (await judgeDecoy(job, hash)) ?? { ok: true, facts: measured.facts };
  }

  /** The same bytes for two songs: an announcement, unless both are one recording. */
  async function judgeDecoy(job: FetchJob, hash: string): Promise<Refused | undefined> {
    if (refusals.isDecoy(hash)) return refuse("decoy", { known: true });
    const other = store.byHash(hash, job);
    if (other === undefined || sameRecording(job, other)) return undefined;
    // When the bytes had the right length for the other song, they are probably that song: this one is wrong.
    if (!other.lengthProven) refusals.addDecoy(hash);
    if (!other.lengthProven && !other.pinned) {
      refusals.add(other, job.route, "decoy");
      log.warn("cached audio was a decoy and has been removed", { name: other.name });
      await store.remove(other);
    }
    return refuse("decoy", { other: other.name });
  }

  /** What others are asked for must not hold the download for ever, nor end it. */
  async function bounded<T>(what: string, job: FetchJob, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("deadline")), ASK_DEADLINE_MS);
    try {
      return await Promise.race([ask(), promise]);
    } catch (error) {
      log.warn("song data for the audio cache not to be had", { what, source: job.source, songId: job.songId, error });
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  async function withAbout(job: FetchJob): Promise<FetchJob> {
    if (job.about === undefined) return job;
    const { durationSeconds, title, artist } = (await bounded("info", job, job.about)) ?? {};
    return {
      ...job,
      durationSeconds: job.durationSeconds ?? durationSeconds,
      title: job.title ?? title,
      artist: job.artist ?? artist,
    };
  }

  const tagsOf = async (job: FetchJob): Promise<TrackTags | undefined> =>
    deps.config().tag && job.tags !== undefined ? bounded("tags", job, job.tags) : undefined;

  return async function keep(bare, signal) {
    const { source, songId, quality } = bare;
    let job = bare;
    const temporary = placer.temporary(`${source}_${quality}`);
    try {
      job = await withAbout(bare);
      const got = await download(job, temporary, signal);
      const proof = await prove(job, temporary, got.hash);
      if (!proof.ok) return refused(job, proof);
      const { facts } = proof;
      const name = store.nameFor(job, facts.extension);
      if (name === undefined) return failed(job, new Error("the id is too long for a file name"));
      const { quota } = deps.config();
      await store.prune({ quota, maxAge: 0 }, got.bytes);
      const tags = await tagsOf(job);
      signal.throwIfAborted();
      const title = job.title ?? tags?.title;
      const artist = job.artist ?? tags?.artists?.join("/");
      const file = await placer.place(
        temporary,
        {
          source,
          songId,
          quality,
          name,
          extension: facts.extension,
          addedAt: now(),
          playedAt: now(),
          plays: 0,
          pinned: false,
          state: "good",
          hash: got.hash,
          lengthProven: job.durationSeconds !== undefined,
          ...(facts.seconds === undefined ? {} : { seconds: facts.seconds }),
          bitrate: Math.round(facts.bitrate),
          ...(title === undefined ? {} : { title }),
          ...(artist === undefined ? {} : { artist }),
        },
        tags,
      );
      log.info("audio cached", {
        name,
        bytes: file.size,
        seconds: facts.seconds,
        tagged: file.tagged,
        resumed: got.resumed,
      });
      return { kind: "stored", file };
    } catch (error) {
      if (signal.aborted) return { kind: "skipped", reason: "closed" };
      return failed(job, error);
    } finally {
      await rm(temporary, { force: true });
    }
  };
}

/**
 * Titles decide when both are known; one may hold the other ("晴天", "晴天 (Live)"). Without them: both lengths were
 * right for their songs, which an announcement's cannot be.
 */
function sameRecording(job: FetchJob, other: StoredFile): boolean {
  if (job.title === undefined || other.title === undefined) {
    return other.lengthProven && job.durationSeconds !== undefined;
  }
  const [mine, its] = [plainTitle(job.title), plainTitle(other.title)];
  return mine === its || (mine !== "" && its !== "" && (mine.includes(its) || its.includes(mine)));
}

const plainTitle = (text: string) =>
  text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, "");

function detailOf(detail: unknown, name: string): unknown {
  return typeof detail === "object" && detail !== null && name in detail ? Reflect.get(detail, name) : undefined;
}

export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "";
}
