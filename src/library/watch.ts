import { type FSWatcher, watch } from "node:fs";
import type { Logger } from "../ops/log.ts";

export interface WatchOptions {
  log: Logger;
  folders: readonly string[];
  /** Milliseconds of quiet before `onChange`. */
  quietMs: number;
  /** Milliseconds after which a change is reported though there is no quiet (a long copy). */
  patienceMs: number;
  onChange(): void;
}

/**
 * Tells when something below the folders changed, once things are quiet. A folder that cannot be watched (a network
 * mount, too many watches) is left to the periodic scan.
 */
export function watchFolders(options: WatchOptions): { close(): void } {
  const watchers: FSWatcher[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let firstAt = 0;

  function touched(): void {
    const now = Date.now();
    if (timer === undefined) firstAt = now;
    clearTimeout(timer);
    const wait = Math.min(options.quietMs, Math.max(0, firstAt + options.patienceMs - now));
    timer = setTimeout(() => {
      timer = undefined;
      options.onChange();
    }, wait);
    timer.unref();
  }

  for (const folder of options.folders) {
    try {
      const watcher = watch(folder, { recursive: true, persistent: false }, touched);
      watcher.on("error", (error) => {
        options.log.warn("folder can no longer be watched", { folder, error });
        watcher.close();
      });
      watchers.push(watcher);
    } catch (error) {
      options.log.warn("folder cannot be watched, periodic scans find its changes", { folder, error });
    }
  }

  return {
    close() {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}
