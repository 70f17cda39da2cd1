import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import JavaScriptObfuscator, { type ObfuscatorOptions } from "javascript-obfuscator";
import { type Bed, HEADER, makeBed } from "./bed.ts";

setDefaultTimeout(120_000);

const FUNCTIONS = 30;
/** Clients give up after this long. */
const DEADLINE_MS = 20_000;

/** A script of the usual kind: its own little ciphers, md5 of the client, an address at the end. */
function plainScript(): string {
  const helpers = Array.from(
    { length: FUNCTIONS },
    (_, index) => `function helper${index}(text, key) {
  const parts = [];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i) ^ (key + ${index}) % 251;
    if (code % 3 === 0) parts.push(String.fromCharCode(code));
    else if (code % 3 === 1) parts.unshift("salt-${index}-" + code);
    else parts.push("pepper" + code * ${index + 7});
  }
  return lx.utils.crypto.md5(parts.join("|"));
}`,
  );
  return `${helpers.join("\n")}
const helpers = [${Array.from({ length: FUNCTIONS }, (_, index) => `helper${index}`).join(", ")}];
lx.on(lx.EVENT_NAMES.request, ({ source, action, info }) => {
  let sign = info.musicInfo.songmid;
  for (const helper of helpers) sign = helper(sign, sign.length);
  return new Promise((resolve) => setTimeout(() => resolve("https://example.test/" + info.type + "?sign=" + sign), 1));
});
lx.send(lx.EVENT_NAMES.inited, {
  sources: { kw: { name: "kw", type: "music", actions: ["musicUrl"], qualitys: ["128k"] } },
});`;
}

const heaviest: ObfuscatorOptions = { optionsPreset: "high-obfuscation", target: "browser-no-eval", seed: 1 };
const cases: { name: string; env: "desktop" | "mobile"; options: ObfuscatorOptions; least: number }[] = [
  { name: "the heaviest preset", env: "desktop", options: heaviest, least: 250_000 },
  // Mobile has no setInterval, on which the debugger trap relies; nobody publishes such a script for it.
  {
    name: "the heaviest preset on mobile",
    env: "mobile",
    options: { ...heaviest, debugProtection: false, debugProtectionInterval: 0 },
    least: 200_000,
  },
  {
    name: "the heaviest preset for pages with eval",
    env: "desktop",
    options: { ...heaviest, target: "browser", debugProtection: false },
    least: 250_000,
  },
  {
    name: "unicode escapes and split strings",
    env: "desktop",
    options: {
      optionsPreset: "medium-obfuscation",
      seed: 2,
      unicodeEscapeSequence: true,
      splitStrings: true,
      splitStringsChunkLength: 3,
      selfDefending: true,
      numbersToExpressions: true,
    },
    least: 20_000,
  },
];

/** Made once and kept: it takes seconds. */
async function obfuscated(options: ObfuscatorOptions): Promise<string> {
  const folder = join(import.meta.dir, "../../.cache/obfuscated");
  mkdirSync(folder, { recursive: true });
  const source = plainScript();
  const file = join(folder, `${Bun.hash(source + JSON.stringify(options)).toString(36)}.js`);
  if (!existsSync(file)) await Bun.write(file, JavaScriptObfuscator.obfuscate(source, options).getObfuscatedCode());
  return HEADER + (await Bun.file(file).text());
}

let bed: Bed;
let expected: unknown;
const info = JSON.stringify({ type: "128k", musicInfo: { songmid: "a song" } });

beforeAll(async () => {
  bed = makeBed(0);
  const run = await bed.start(HEADER + plainScript());
  expected = await run.call("kw", "musicUrl", info, { deadlineMs: DEADLINE_MS });
  await run.stop();
});
afterAll(() => bed.close());

test.each(cases)("$name", async ({ env, options, least }) => {
  const script = await obfuscated(options);
  expect(script.length).toBeGreaterThan(least);
  const run = await bed.start(script, { env });
  expect(run.state).toMatchObject({ state: "ready", problem: undefined, offences: [] });
  expect(await run.call("kw", "musicUrl", info, { deadlineMs: DEADLINE_MS })).toBe(expected);
  await run.stop();
});
