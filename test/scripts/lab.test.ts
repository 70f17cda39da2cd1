import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type HostBed, makeHostBed, scriptText, song } from "./host-bed.ts";

// Real processes on a machine that may be busy.
setDefaultTimeout(60_000);
let bed: HostBed;
beforeAll(async () => {
  bed = await makeHostBed();
});
afterAll(() => bed.close());

test("the report says what a script declares, calls, answers and where it breaks", async () => {
  const text = scriptText(
    `if (source === "wy") {
      await get("${bed.upstream.origin}/gone");
      throw new Error("no rights");
    }
    if (action === "lyric") return { lyric: "[00:01.00]a" };
    if (info.type === "flac") return "${bed.upstream.origin}/page";
    console.log("asked for " + info.type);
    return "${bed.upstream.origin}/audio/" + info.musicInfo.songmid;`,
    {
      name: "Lab",
      sources: { kw: { actions: ["musicUrl", "lyric"], qualitys: ["128k", "flac"] }, wy: { qualitys: ["128k"] } },
    },
  );
  const report = await bed.host.test(text, { songs: [song("kw", "42"), song("wy"), song("tx")] });
  expect(report).toMatchObject({ header: { name: "Lab" }, env: "desktop", started: true, ok: false, limits: [] });
  expect(report.initMs).toBeGreaterThanOrEqual(0);
  expect(report.sources.kw).toEqual({ actions: ["musicUrl", "lyric"], qualitys: ["128k", "flac"] });
  const result = `${bed.upstream.origin}/audio/42`;
  expect(report.actions).toMatchObject([
    { source: "kw", action: "musicUrl", quality: "128k", ok: true, result, contentType: "audio/mpeg" },
    { source: "kw", action: "musicUrl", quality: "flac", ok: false, problem: "脚本给出的地址不是音频" },
    { source: "kw", action: "lyric", ok: true, result: "[00:01.00]a" },
    { source: "wy", action: "musicUrl", quality: "128k", ok: false, problem: "Lab：no rights" },
  ]);
  const line = text.split("\n").findIndex((one) => one.includes("no rights")) + 1;
  expect(report.actions[3]?.line).toBe(line);
  expect(report.hosts).toEqual([new URL(bed.upstream.origin).host]);
  expect(report.console).toContain("info: asked for 128k");
  expect(bed.host.list()).toEqual([]);
});

test.each<{ name: string; text: string; report: object }>([
  {
    name: "one that breaks names the line",
    text: "/*\n * @name A\n */\n\nnobody.here();",
    report: { started: false, ok: false, problem: { line: 5 }, actions: [] },
  },
  {
    name: "one that never sends inited",
    text: "/*\n * @name A\n */\nlx.on('request', () => {})",
    report: { started: false, problem: { message: "脚本已执行完毕，但没有发送 inited" } },
  },
  {
    name: "one that loops for ever is killed",
    text: scriptText("for (;;);", { sources: { kw: { qualitys: ["128k"] } } }),
    report: { started: true, ok: false, limits: [expect.stringContaining("cpu")], actions: [{ ok: false }] },
  },
])("$name", async ({ text, report }) => {
  bed.config.limits.slice_ms = 500;
  expect(await bed.host.test(text)).toMatchObject(report);
});
