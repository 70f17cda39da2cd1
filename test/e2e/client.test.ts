import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SOURCE_IDS, type SourceId } from "../../src/core/types.ts";
import { importScript, type LxClient } from "../client/lx-client.ts";
import { songByKey } from "../platforms/catalog.ts";
import type { Emulator } from "../platforms/emulator.ts";
import { startAllPlatforms } from "../platforms/index.ts";
import { type RunningServer, startServer } from "./server.ts";

const KEY = "k'\"</script>*/";
const QUALITIES = ["128k", "320k", "flac", "flac24bit"];

let emulator: Emulator;
let server: RunningServer;

beforeAll(async () => {
  emulator = startAllPlatforms();
  server = await startServer({
    config: {
      common: {
        upstream_gateway: emulator.origin,
        remote_cache: { enable: false },
        download_config: {
          name: "名称 */ alert(1) /* with a very long tail",
          intro: "first\nsecond",
          quality: Object.fromEntries(SOURCE_IDS.map((id) => [id, QUALITIES])),
        },
      },
      module: { tx: { cdnaddr: `${emulator.origin}/http/ws.stream.qqmusic.qq.com/` } },
      security: { key: { enable: true, ban: false, values: [KEY] } },
    },
  });
});

afterAll(async () => {
  await server?.remove();
  await emulator?.stop();
});

const scriptUrl = (path = "") => `/script?key=${encodeURIComponent(KEY)}${path}`;

/** What LX Music knows of the song when it asks. */
function musicInfo(source: SourceId) {
  const { ids, name, artists, album } = songByKey("plain");
  const base = {
    name,
    singer: artists.map((artist) => artist.name).join("、"),
    source,
    interval: "00:12",
    albumName: album.name,
    img: null,
    typeUrl: {},
    types: [],
    _types: {},
  };
  switch (source) {
    case "kg":
      return { ...base, songmid: ids.kg.audioId, hash: ids.kg.hash, albumId: "" };
    case "tx":
      return {
        ...base,
        songmid: ids.tx.mid,
        strMediaMid: ids.tx.mediaMid,
        songId: Number(ids.tx.id),
        albumId: album.mid,
        albumMid: album.mid,
      };
    case "wy":
      return { ...base, songmid: ids.wy.id, albumId: 1 };
    case "mg":
      return { ...base, songmid: ids.mg.songId, copyrightId: ids.mg.copyrightId, albumId: "1" };
    case "kw":
      return { ...base, songmid: ids.kw.id, albumId: "1" };
  }
}

async function probe(url: string): Promise<{ codec: string; seconds: number }> {
  const ffprobe = Bun.spawn(
    ["ffprobe", "-v", "error", "-of", "json", "-show_entries", "stream=codec_name:format=duration", url],
    { stdout: "pipe" },
  );
  const facts = (await new Response(ffprobe.stdout).json()) as {
    streams: { codec_name: string }[];
    format: { duration: string };
  };
  return { codec: facts.streams[0]?.codec_name ?? "", seconds: Number(facts.format.duration) };
}

describe.each(["desktop", "mobile"] as const)("LX Music %s", (env) => {
  let client: LxClient;

  beforeAll(async () => {
    client = await importScript(await (await server.get(scriptUrl())).text(), env);
  });
  afterAll(() => client?.close());

  test("imports the script and reads its header", () => {
    expect(client.header["name"]).toStartWith("名称 * / alert(1)");
    expect(client.header["description"]).toBe("first second");
  });

  test("offers every platform with the configured qualities, and local files", () => {
    expect(Object.keys(client.sources).sort()).toEqual([...SOURCE_IDS, "local"].sort());
    expect(client.sources["wy"]).toEqual({ actions: ["musicUrl"], qualitys: QUALITIES });
    expect(client.sources["local"]).toEqual({ actions: ["musicUrl", "lyric", "pic"], qualitys: [] });
  });

  test.each(SOURCE_IDS.map((source) => ({ source })))("plays a song of $source", async ({ source }) => {
    const url = await client.musicUrl(source, "128k", musicInfo(source));
    const audio = await probe(url);
    expect(audio.codec).toBe("mp3");
    expect(audio.seconds).toBeCloseTo(12, 0);
  });

  test("a failure reaches the user as the server's short reason", async () => {
    const gone = { ...musicInfo("kg"), hash: songByKey("gone").ids.kg.hash };
    expect(client.musicUrl("kg", "128k", gone)).rejects.toThrow("版权");
  });
});

test("checkUpdate: nothing new for the current script, an alert for an older one", async () => {
  const text = await (await server.get(scriptUrl())).text();
  const md5 = /"md5": "([0-9a-f]{32})"/.exec(text)?.[1];
  expect(await (await server.get(scriptUrl(`&checkUpdate=${md5}`))).json()).toEqual({
    code: 0,
    msg: "success",
    data: null,
  });
  const older = await importScript(
    text.replace(`"md5": "${md5}"`, '"md5": "0123456789abcdef0123456789abcdef"'),
    "desktop",
  );
  for (let tries = 0; older.updateAlert === undefined && tries < 100; tries++) await Bun.sleep(20);
  expect(older.updateAlert?.log).toContain("源脚本有更新啦");
  expect(older.updateAlert?.updateUrl).toStartWith(`${server.url}/script?key=`);
});
