import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { SOURCE_IDS } from "../../src/core/types.ts";
import { songByKey } from "../platforms/catalog.ts";
import type { Emulator } from "../platforms/emulator.ts";
import { startAllPlatforms } from "../platforms/index.ts";
import { type RunningServer, startServer } from "./server.ts";

const KEY = "listener-key";
const withKey = { headers: { "x-request-key": KEY } };

let emulator: Emulator;
let server: RunningServer;

beforeAll(async () => {
  emulator = startAllPlatforms();
  server = await startServer({
    config: {
      common: { upstream_gateway: emulator.origin },
      module: { tx: { cdnaddr: `${emulator.origin}/http/ws.stream.qqmusic.qq.com/` } },
      security: { whitelist_host: [], key: { enable: true, ban: false, values: [KEY] } },
    },
  });
});

afterAll(async () => {
  await server?.remove();
  await emulator?.stop();
});

const song = songByKey("plain");
const IDS = {
  kg: song.ids.kg.hash,
  tx: song.ids.tx.mid,
  wy: song.ids.wy.id,
  mg: song.ids.mg.copyrightId,
  kw: song.ids.kw.id,
};

async function ask(path: string) {
  return (await (await server.get(path, withKey)).json()) as {
    code: number;
    data: string;
    extra: { cache: boolean; localfile: boolean };
  };
}

/** The answer once it is an address of ours. */
async function ownAddress(path: string): Promise<string> {
  for (let tries = 0; tries < 200; tries++) {
    const answer = await ask(path);
    if (answer.data?.startsWith("/cache/")) return answer.data;
    await Bun.sleep(50);
  }
  throw new Error(`${path} never came from the audio cache:\n${server.output()}`);
}

describe("what has been asked for is kept, and comes from us the next time", () => {
  test.each(SOURCE_IDS.map((source) => ({ source })))("$source", async ({ source }) => {
    const path = `/url/${source}/${IDS[source]}/128k`;
    const first = await ask(path);
    expect(first).toMatchObject({ code: 0, extra: { localfile: false } });
    const address = await ownAddress(path);
    expect(await ask(path)).toMatchObject({ code: 0, extra: { cache: true, localfile: true } });
    const reply = await server.get(address, { headers: { range: "bytes=0-2" } });
    expect(reply.status).toBe(206);
    expect(reply.headers.get("content-type")).toBe("audio/mpeg");
  });

  test("the file carries the song's tags", async () => {
    await ownAddress(`/url/wy/${IDS.wy}/128k`);
    const folder = join(server.dataDir, "cache_audio");
    const name = (await readdir(folder)).find((file) => file.startsWith(`wy_${IDS.wy}_128k.`));
    const mutagen = Bun.spawn(
      [
        "/usr/bin/python3",
        "-c",
        "import mutagen,sys;print(mutagen.File(sys.argv[1]).tags.getall('TIT2')[0].text[0])",
        join(folder, name ?? ""),
      ],
      { stdout: "pipe" },
    );
    expect((await new Response(mutagen.stdout).text()).trim()).toBe(song.name);
  });
});

describe("the address is signed, because players send no headers", () => {
  test("without signature or key: refused", async () => {
    const address = await ownAddress(`/url/kw/${IDS.kw}/128k`);
    const bare = address.split("?")[0] ?? "";
    expect((await server.get(bare)).status).toBe(403);
    expect((await server.get(bare, withKey)).status).toBe(200);
    expect((await server.get(address)).status).toBe(200);
  });

  test("a signature opens no other file", async () => {
    const address = await ownAddress(`/url/kw/${IDS.kw}/128k`);
    const other = (await ownAddress(`/url/wy/${IDS.wy}/128k`)).split("?")[0];
    expect((await server.get(`${other}?${address.split("?")[1]}`)).status).toBe(403);
  });
});

test("a second server on the folder after kill -9 serves the same files", async () => {
  const address = await ownAddress(`/url/kg/${IDS.kg}/128k`);
  const bytes = await (await server.get(address)).arrayBuffer();
  await server.stop("SIGKILL");
  const again = await startServer({ dataDir: server.dataDir });
  try {
    const name = address.split("?")[0] ?? "";
    const reply = await again.get(name, withKey);
    expect(reply.status).toBe(200);
    expect(Bun.hash(await reply.arrayBuffer())).toBe(Bun.hash(bytes));
  } finally {
    await again.stop();
  }
});
