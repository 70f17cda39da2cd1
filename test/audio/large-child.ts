/** Tags the file of the first argument with a cover and lyrics; prints the peak of its memory (bytes) and the time (ms). */
import { readFileSync } from "node:fs";
import { writeTags } from "../../src/audio/tags.ts";
import { TAGS } from "./rig.ts";

const [path = "", coverPath = ""] = process.argv.slice(2);
const cover = await Bun.file(coverPath).bytes();
const started = performance.now();
writeTags(path, "flac", { ...TAGS, lyric: "[00:01.00]故事的小黄花\n".repeat(4000), cover }, { id3Version: "2.4" });
const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
process.stdout.write(JSON.stringify({ peak: Number(peak) * 1024, ms: performance.now() - started }));
