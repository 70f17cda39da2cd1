import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * What a killed process has left half-written, ours and the original's. Another living process's files (the command
 * line beside the server) stay.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const owner = /\.(\d+)-[0-9a-f]{8}\.tmp$/.exec(name)?.[1];
    const ours = owner !== undefined && Number(owner) !== process.pid && isAlive(Number(owner));
    if (/\.(?:tmp|part)$/i.test(name) && !ours) await rm(join(folder, name), { force: true, recursive: false });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
