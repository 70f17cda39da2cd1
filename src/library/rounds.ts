import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import type { LibraryConfig, LibraryStatus } from "./index.ts";
import type { ScanProgress, ScanSummary } from "./scan.ts";
import { watchFolders } from "./watch.ts";

const MAX_PATIENCE_MS = 60_000;

export interface Scans {
  scan(onProgress?: (progress: ScanProgress) => void): Promise<ScanSummary>;
  idle(): Promise<void>;
}

/** One scan at a time; requests during a scan share the one that follows it. */
export function createScans(
  run: (onProgress: (progress: ScanProgress) => void) => Promise<ScanSummary>,
  state: Pick<LibraryStatus, "scanning" | "lastScan" | "lastError">,
  log: Logger,
): Scans {
  let current: Promise<ScanSummary> | undefined;
  let following: Promise<ScanSummary> | undefined;

  async function once(onProgress?: (progress: ScanProgress) => void): Promise<ScanSummary> {
    state.scanning = { files: 0, read: 0, bad: 0 };
    try {
      const summary = await run((progress) => {
        state.scanning = progress;
        onProgress?.(progress);
      });
      state.lastScan = { ...summary, at: Date.now() };
      state.lastError = undefined;
      const { problems, ...counts } = summary;
      log.info("library scanned", { ...counts, problems: problems.length });
      return summary;
    } catch (error) {
      state.lastError = error instanceof Error ? error.message : String(error);
      throw new AppError("internal", `扫描失败：${state.lastError}`, { cause: error });
    } finally {
      state.scanning = undefined;
      current = undefined;
    }
  }

  return {
    scan(onProgress) {
      if (current === undefined) {
        current = once(onProgress);
        return current;
      }
      following ??= current
        .catch(() => undefined)
        .then(() => {
          following = undefined;
          current = once(onProgress);
          return current;
        });
      return following;
    },
    async idle() {
      while (current !== undefined || following !== undefined) await (following ?? current)?.catch(() => undefined);
    },
  };
}

/** Scan at start, periodic scans and watching, as configured. @returns what stops them */
export function startBackground(
  config: LibraryConfig,
  folders: readonly string[],
  scan: () => Promise<unknown>,
  log: Logger,
): () => void {
  let stopped = false;
  const quietly = () => {
    scan().catch((error: unknown) => {
      // A scan that a stop cuts short has not failed: the next start goes on with it.
      if (!stopped) log.error("library scan failed", { error });
    });
  };
  if (config.scan_on_startup) quietly();
  const timer = config.scan_interval > 0 ? setInterval(quietly, config.scan_interval * 1000) : undefined;
  timer?.unref();
  const quietMs = config.watch_delay * 1000;
  const watcher = config.watch
    ? watchFolders({
        log,
        folders,
        quietMs,
        patienceMs: Math.max(MAX_PATIENCE_MS, quietMs),
        onChange: quietly,
      })
    : undefined;
  return () => {
    stopped = true;
    clearInterval(timer);
    watcher?.close();
  };
}
