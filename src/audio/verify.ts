import type { Logger } from "../ops/log.ts";
import type { AudioConfig } from "./config.ts";
import { judge, refuse, type Verdict } from "./proof.ts";
import type { AudioStore, StoredFile } from "./store.ts";
import type { AudioWork } from "./work.ts";

export interface Verified {
  name: string;
  ok: boolean;
  fault?: string;
  message?: string;
  removed: boolean;
}

export interface Verifier {
  verifyAll(options: {
    remove?: boolean;
    onResult?: (result: Verified, done: number, total: number) => void;
  }): Promise<Verified[]>;
  /** Looks into files that were found in the folder; a broken one is no longer served, but stays where it is. */
  checkFound(signal: AbortSignal): Promise<void>;
}

export interface VerifierDeps {
  store: AudioStore;
  work: AudioWork;
  log: Logger;
  config: () => AudioConfig;
}

export function createVerifier({ store, work, log, config }: VerifierDeps): Verifier {
  async function check(file: StoredFile): Promise<Verdict> {
    const { tolerance, spectrum } = config();
    const measured = await work.measure(file.path).catch(() => undefined);
    if (measured === undefined) return refuse("broken");
    if (file.quality === "cover") {
      return measured.kind === "not_audio" && measured.what === "image" ? { ok: true } : refuse("broken");
    }
    // The song's length is not known here; that of the file itself keeps a song of 60 s from being called a trial.
    const durationSeconds = file.seconds ?? (measured.kind === "audio" ? measured.facts.seconds : undefined);
    return judge(measured, { quality: file.quality, durationSeconds }, { toleranceSeconds: tolerance, spectrum });
  }

  /** Notes the outcome, unless the file has been replaced meanwhile. */
  function note(file: StoredFile, verdict: Verdict): void {
    if (store.byName(file.name) !== file) return;
    const state = verdict.ok ? "good" : "bad";
    if (file.state === state) return;
    store.put({ ...file, state });
    if (!verdict.ok) log.warn("a cached file is not served any more", { name: file.name, fault: verdict.fault });
  }

  return {
    async verifyAll({ remove = false, onResult }) {
      const files = store.all();
      const results: Verified[] = [];
      for (const file of files) {
        const verdict = await check(file);
        const removed = !verdict.ok && remove;
        if (removed) await store.remove(file);
        else note(file, verdict);
        const result: Verified = {
          name: file.name,
          ok: verdict.ok,
          removed,
          ...(verdict.ok ? {} : { fault: verdict.fault, message: verdict.message }),
        };
        results.push(result);
        onResult?.(result, results.length, files.length);
      }
      return results;
    },
    async checkFound(signal) {
      for (const file of store.all().filter((item) => item.state === "found")) {
        if (signal.aborted) return;
        if (store.byName(file.name) === file) note(file, await check(file));
      }
    },
  };
}
