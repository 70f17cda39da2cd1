import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SOURCE_IDS, SOURCE_NAMES } from "../src/core/types.ts";
import { startServer } from "./e2e/server.ts";
import { songByKey } from "./platforms/catalog.ts";
import { startAllPlatforms } from "./platforms/index.ts";

// `make demo`: the built server and the emulated platforms on this machine. With `--once` it plays each source and ends.
const once = process.argv.includes("--once");
const port = once ? 0 : 9763;
const emulator = startAllPlatforms();
const dataDir = await mkdtemp(join(tmpdir(), "lx-demo-"));
const server = await startServer({
  dataDir,
  config: {
    module: { tx: { cdnaddr: `${emulator.origin}/http/ws.stream.qqmusic.qq.com/` } },
    common: {
      ports: [port],
      upstream_gateway: emulator.origin,
      download_config: {
        name: "LX demo",
        quality: { kg: ["128k", "flac"], tx: ["128k"], wy: ["128k"], mg: ["128k"], kw: ["128k"] },
      },
    },
  },
});

console.log(`Paste this into LX Music (Settings -> Custom source -> Import online):\n  ${server.url}/script\n`);
const song = songByKey("plain");
const ids = {
  kg: song.ids.kg.hash,
  tx: song.ids.tx.mid,
  wy: song.ids.wy.id,
  mg: song.ids.mg.copyrightId,
  kw: song.ids.kw.id,
};
let failures = 0;
for (const source of SOURCE_IDS) {
  const path = `/url/${source}/${ids[source]}/128k`;
  const answer = (await (await server.get(path)).json()) as { code: number; msg: string; data: string };
  const verdict = answer.code === 0 ? await probe(answer.data) : answer.msg;
  if (answer.code !== 0 || !verdict.includes("s of")) failures++;
  console.log(
    `${SOURCE_NAMES[source].padEnd(6)} curl ${server.url}${path}\n       -> ${answer.data ?? "-"}\n       ffprobe: ${verdict}`,
  );
}

async function probe(address: string): Promise<string> {
  const url = address.startsWith("/") ? `${server.url}${address}` : address;
  const ffprobe = Bun.spawn(
    ["ffprobe", "-v", "error", "-show_entries", "format=duration,format_name", "-of", "csv=p=0", url],
    { stdout: "pipe", stderr: "pipe" },
  );
  const [name, seconds] = (await new Response(ffprobe.stdout).text()).trim().split(",").slice(-2);
  return seconds === undefined
    ? (await new Response(ffprobe.stderr).text()).trim()
    : `${Number(seconds).toFixed(1)} s of ${name}`;
}

async function end(code: number): Promise<never> {
  await server.remove();
  await emulator.stop();
  await rm(dataDir, { recursive: true, force: true });
  process.exit(code);
}
if (once) await end(failures === 0 ? 0 : 1);
console.log("\nCtrl-C ends the demo.");
process.on("SIGINT", () => void end(0));
process.on("SIGTERM", () => void end(0));
