import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { AppError } from "../../src/core/errors.ts";
import type { Quality, SourceId } from "../../src/core/types.ts";
import { scriptAsker, scriptExtras } from "../../src/resolve/scripts.ts";
import { defaultConfig } from "./bed.ts";
import { type HostBed, makeHostBed, scriptText, song, until } from "./host-bed.ts";

/** What the resolver sees of third-party scripts, and what is learnt from how they did. */
// Real processes on a machine that may be busy.
setDefaultTimeout(60_000);
let bed: HostBed;
const BREAKER = { failures: 3, rest: 60 };
beforeAll(async () => {
  bed = await makeHostBed((config) => {
    config.breaker = BREAKER;
  });
  await bed.host.start();
});
afterEach(async () => {
  for (const { id } of bed.host.list()) await bed.host.remove(id);
  const { allow_private, spare } = bed.config;
  Object.assign(bed.config, defaultConfig(), { allow_private, spare, breaker: BREAKER });
});
afterAll(() => bed.close());

const NONE: ReadonlySet<string> = new Set();
const audio = (name: string) => `${bed.upstream.origin}/audio/${name}`;

/** One question with the scripts that failed and answered, in order. */
async function ask(source: SourceId = "kw", quality: Quality = "128k", avoid = NONE, signal?: AbortSignal) {
  const steps: string[] = [];
  const step = (name: string, fields: Record<string, unknown> = {}) => {
    if (name !== "script asked") steps.push(`${fields["script"]}: ${name.split(" ")[1]}`);
  };
  const answer = await scriptAsker(bed.host)
    .musicUrl(source, quality, song(source), { avoid, step, signal })
    .then(
      ({ url }) => ({ url, error: undefined }),
      (error: AppError) => ({ url: undefined, error }),
    );
  return { ...answer, steps };
}

describe("what the script is asked and what becomes of its answer", () => {
  test("the script gets the whole musicInfo, and its address comes back with its id", async () => {
    const id = await bed.ready(
      scriptText(
        `return "${audio("")}" + [source, action, info.type, info.musicInfo.name, info.musicInfo.songmid].join("-")`,
      ),
    );
    const found = await scriptAsker(bed.host).musicUrl("kw", "320k", song("kw"), { avoid: NONE });
    expect(found).toEqual({ url: `${audio("")}kw-musicUrl-320k-晴天-7`, script: id });
    const [health] = bed.host.health();
    expect(health).toMatchObject({ id, state: "ready", calls: 1, failures: 0 });
    expect(health?.rssBytes).toBeGreaterThan(1 << 20);
  });

  test("without the probe a page is handed on", async () => {
    await bed.ready(scriptText(`return "${bed.upstream.origin}/page"`));
    expect((await ask()).error?.kind).toBe("upstream_changed");
    bed.config.probe = false;
    expect((await ask()).url).toBe(`${bed.upstream.origin}/page`);
  });

  test("an avoided script is asked last, but is asked", async () => {
    const id = await bed.ready(scriptText(`return "${audio("a")}"`, { name: "A" }));
    await bed.ready(scriptText(`return "${audio("b")}"`, { name: "B" }));
    bed.config.order.kw = ["A", "B"];
    const avoid = new Set([`script:${id}`]);
    expect((await ask()).url).toBe(audio("a"));
    expect((await ask("kw", "128k", avoid)).url).toBe(audio("b"));
    await bed.host.change("B", { enabled: false });
    expect((await ask("kw", "128k", avoid)).url).toBe(audio("a"));
  });

  test("a busy script is busy to the client, too", async () => {
    await bed.ready(scriptText("throw new Error('服务器繁忙')"));
    expect((await ask()).error).toMatchObject({ kind: "busy", message: "服务器繁忙" });
  });
});

describe("what is learnt", () => {
  test("one that never answers in time rests like one that says no", async () => {
    bed.config.deadline = 0.2;
    await bed.ready(scriptText("await wait(60000)"));
    for (let round = 0; round < BREAKER.failures; round++) {
      expect((await ask()).error).toMatchObject({ kind: "upstream_unreachable" });
      // The call is given up right after the answer.
      await until(() => bed.host.health()[0]?.failures === round + 1, "the failure to be counted");
    }
    const [script] = bed.host.list();
    expect(script?.records["kw"]).toMatchObject({ breaker: "open", asked: 3, answered: 0 });
    bed.clock.skewMs += 61_000;
    expect(bed.host.list()[0]?.records["kw"]?.breaker).toBe("half-open");
  });

  test("one that was overtaken counts as slow, not as broken, and goes behind", async () => {
    Object.assign(bed.config.hedge, { least_ms: 1, most_ms: 30 });
    await bed.ready(scriptText(`await wait(10000); return "${audio("a")}"`, { name: "Slow" }));
    await bed.ready(scriptText(`return "${audio("b")}"`, { name: "Quick" }));
    bed.config.order.kw = ["Slow", "Quick"];
    expect(await ask()).toMatchObject({ url: audio("b"), steps: ["Quick: answered"] });
    await until(() => bed.host.health().every(({ calls }) => calls === 1), "both to be counted");
    expect(bed.host.health()).toMatchObject([
      { name: "Slow", calls: 1, failures: 0 },
      { name: "Quick", calls: 1, failures: 0 },
    ]);
    bed.config.order.kw = [];
    bed.config.hedge.enable = false;
    expect((await ask()).url).toBe(audio("b"));
  });

  test("somebody who leaves says nothing about the script", async () => {
    await bed.ready(scriptText("await wait(60000)"));
    const leaver = new AbortController();
    const answer = ask("kw", "128k", NONE, leaver.signal);
    await until(() => bed.host.list()[0]?.records["kw"] !== undefined, "the question");
    leaver.abort();
    expect((await answer).error).toMatchObject({ message: "请求已取消" });
    expect(bed.host.health()).toMatchObject([{ calls: 0, failures: 0 }]);
  });

  test("a new version is not judged by the old one", async () => {
    bed.upstream.files.set("/s.js", scriptText("throw new Error('no')"));
    const { id } = await bed.host.addUrl(`${bed.upstream.origin}/s.js`);
    await until(() => bed.host.get(id).state === "ready", "the script");
    for (let round = 0; round < BREAKER.failures; round++) await ask();
    expect((await ask()).error?.message).toBe("第三方脚本连续失败，暂停使用中");
    bed.upstream.files.set("/s.js", scriptText(`return "${audio("new")}"`, { version: "2" }));
    await bed.host.update(id);
    expect((await ask()).url).toBe(audio("new"));
  });
});

describe("a script that starts", () => {
  test("is waited for when it has run before", async () => {
    const id = await bed.ready(scriptText(`return "${audio("x")}"`, { before: "" }));
    await bed.host.change(id, { enabled: false });
    expect(scriptAsker(bed.host).wants("after", "kw", "128k")).toBe(false);
    void bed.host.change(id, { enabled: true });
    await until(() => scriptAsker(bed.host).wants("after", "kw", "128k"), "the start to begin");
    expect(bed.host.get(id).state).toBe("starting");
    expect((await ask()).url).toBe(audio("x"));
  });

  test("also after it was killed, while the next one answers this question", async () => {
    bed.config.limits.slice_ms = 1_500;
    const first = "if (info.musicInfo.songmid === 'loop') for (;;);";
    const id = await bed.ready(scriptText(`${first} return "${audio("a")}"`, { name: "Loop" }));
    await bed.ready(scriptText(`return "${audio("b")}"`, { name: "Good" }));
    bed.config.order.kw = ["Loop", "Good"];
    const loop = await scriptAsker(bed.host).musicUrl("kw", "128k", song("kw", "loop"), { avoid: NONE });
    expect(loop.url).toBe(audio("b"));
    expect((await ask()).url).toBe(audio("a"));
    expect(bed.host.get(id)).toMatchObject({ state: "ready", lastProblem: { message: "脚本进程被终止：cpu" } });
  });
});

describe("wants", () => {
  test.each<{ name: string; change: Partial<HostBed["config"]>; quality: Quality; source?: SourceId; when: string }>([
    { name: "by default after", change: {}, quality: "128k", when: "after" },
    { name: "the platform", change: { before: ["kw"] }, quality: "320k", when: "before" },
    {
      name: "the quality over the platform",
      change: { before: ["kw"], never: ["kw/320k"] },
      quality: "320k",
      when: "never",
    },
    { name: "after over when", change: { when: "never", after: ["kw"] }, quality: "128k", when: "after" },
    { name: "a quality that it does not declare", change: {}, quality: "master", when: "never" },
    { name: "a platform that it does not declare", change: {}, source: "wy", quality: "128k", when: "never" },
    { name: "switched off", change: { enable: false }, quality: "128k", when: "never" },
  ])("$name -> $when", async ({ change, quality, source = "kw", when }) => {
    await bed.ready(scriptText("return 1"));
    Object.assign(bed.config, change);
    const asker = scriptAsker(bed.host);
    const turns: string[] = (["before", "after"] as const).filter((turn) => asker.wants(turn, source, quality));
    expect(turns).toEqual(when === "never" ? [] : [when]);
  });
});

test("lyric and cover, where the platform is not switched off", async () => {
  await bed.ready(
    scriptText(
      'return action === "pic" ? "http://a.test/cover.jpg" : { lyric: "[00:01.00]a", tlyric: "x".repeat(5120) }',
      {
        sources: { kw: { actions: ["lyric", "pic"] } },
      },
    ),
  );
  const extras = scriptExtras(bed.host);
  const lyric = { lyric: "[00:01.00]a", tlyric: "", rlyric: "", lxlyric: "" };
  expect(await extras.lyric("kw", song("kw"), { bypass: false })).toEqual(lyric);
  expect(await extras.pic("kw", song("kw"), { bypass: false })).toBe("http://a.test/cover.jpg");
  expect(await extras.pic("wy", song("wy"), { bypass: false })).toBeUndefined();
  bed.config.never = ["kw"];
  expect(await extras.lyric("kw", song("kw"), { bypass: false })).toBeUndefined();
});
