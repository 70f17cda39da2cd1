import { expect, test } from "bun:test";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

/** Rooms by layer, lowest first. A file imports its own room and lower layers, nothing else. */
const LAYERS: string[][] = [
  ["core"],
  ["config", "net", "ops"],
  ["cache", "sources", "scripts", "audio", "library", "webdav", "tls", "access", "domains", "client-script"],
  ["resolve"],
  ["http", "dashboard"],
  ["app-routes.ts", "app-metrics.ts", "app-listen.ts"],
  ["app.ts"],
  ["cli"],
  ["main.ts"],
];

const root = join(import.meta.dir, "../src");
const layerOf = (room: string) => LAYERS.findIndex((rooms) => rooms.includes(room));
const roomOf = (path: string) => path.split("/")[0] ?? "";

/** Every `[file, imported file]` below src, with paths relative to it. */
async function imports(): Promise<[string, string][]> {
  const found: [string, string][] = [];
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  for await (const file of new Glob("**/*.ts").scan(root)) {
    const text = await Bun.file(join(root, file)).text();
    // scanImports leaves type-only imports out; they couple rooms just as well.
    const typeOnly = [...text.matchAll(/^(?:import|export) type [^;]*? from "(\.[^"]+)"/gms)].map(
      (match) => match[1] ?? "",
    );
    const named = transpiler.scanImports(text).map((item) => item.path);
    for (const path of new Set([...named, ...typeOnly])) {
      if (path.startsWith(".")) found.push([file, normalize(join(dirname(file), path))]);
    }
  }
  return found;
}

test("imports go downwards only, and never sideways", async () => {
  const wrong: string[] = [];
  for (const [file, target] of await imports()) {
    if (target.startsWith("..")) continue; // assets outside src, such as config/default.yml
    const from = roomOf(file);
    const to = roomOf(target);
    if (from === to) continue;
    const [upper, lower] = [layerOf(from), layerOf(to)];
    if (upper === -1 || lower === -1) wrong.push(`${file} -> ${target}: a room that no layer names`);
    else if (lower >= upper) wrong.push(`${file} -> ${target}`);
  }
  expect(wrong).toEqual([]);
});

test("no room is called utils, common or helpers", async () => {
  const wrong: string[] = [];
  for await (const file of new Glob("**/*.ts").scan(root)) {
    if (/(^|\/)(utils?|common|helpers?)(\/|\.ts$)/.test(file) && !file.startsWith("config/sections/")) wrong.push(file);
  }
  expect(wrong).toEqual([]);
});
