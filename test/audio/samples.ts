import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

const folder = join(import.meta.dir, "../../.cache/samples");

/** A file made once by ffmpeg and kept in the checkout's cache. `arguments_` stand between ffmpeg and the file's name. */
export async function sample(name: string, arguments_: string[]): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  if (existsSync(path)) return path;
  const temporary = join(folder, `${crypto.randomUUID()}.${name}`);
  await run(["ffmpeg", "-v", "error", "-y", ...arguments_, temporary]);
  renameSync(temporary, path);
  return path;
}

/** Loud pink noise: it fills the spectrum as music does, only more evenly. */
export const noise = (seconds: number, rate = 44_100, seed = 3) => [
  "-f",
  "lavfi",
  "-i",
  `anoisesrc=d=${seconds}:c=pink:r=${rate}:a=0.5:seed=${seed}`,
  "-ac",
  "2",
];

export const silence = (seconds: number) => ["-f", "lavfi", "-i", "anullsrc=r=44100", "-t", String(seconds)];
