import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";

export interface ConfigWatcher {
  close(): void;
}

const SETTLE_MS = 200;

/**
 * Calls `changed` once the file has rested after a change. The folder is watched, because editors replace the file.
 */
export function watchConfig(file: string, changed: () => void): ConfigWatcher {
  let timer: Timer | undefined;
  let watcher: FSWatcher | undefined;
  const name = basename(file);
  try {
    watcher = watch(dirname(file), (_event, changedName) => {
      if (changedName !== null && changedName !== name) return;
      clearTimeout(timer);
      timer = setTimeout(changed, SETTLE_MS);
      timer.unref();
    });
    watcher.unref?.();
  } catch {
    // A file system without change notices: a restart applies the change.
  }
  return {
    close() {
      clearTimeout(timer);
      watcher?.close();
    },
  };
}
