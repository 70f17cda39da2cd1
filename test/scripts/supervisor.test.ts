import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { isAppError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { startProcess } from "../../src/scripts/process.ts";
import { createSupervisor } from "../../src/scripts/supervisor.ts";
import { answering, type Bed, COMMAND, loadMessage, makeBed } from "./bed.ts";

setDefaultTimeout(30_000);

const info = JSON.stringify({ type: "128k", musicInfo: { songmid: "7" } });
let bed: Bed;
beforeAll(() => {
  bed = makeBed();
});
afterAll(() => bed.close());

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error("waited too long");
    await Bun.sleep(5);
  }
}

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test("a script starts, answers, and ends with its process", async () => {
  const run = await bed.start(answering("return 'https://example.test/' + info.musicInfo.songmid + '.' + info.type"));
  expect(run.state).toMatchObject({
    state: "ready",
    sources: { kw: { actions: ["musicUrl"], qualitys: ["128k", "320k"] } },
  });
  expect(await run.call("kw", "musicUrl", info, { deadlineMs: 2_000 })).toBe("https://example.test/7.128k");
  const pid = run.state.pid ?? 0;
  await run.stop();
  await until(() => !alive(pid));
  expect(run.state.state).toBe("stopped");
});

test("calls beyond the limit wait, and beyond that are turned away as busy", async () => {
  const script = answering("await new Promise((done) => setTimeout(done, 200)); return 'done'");
  const load = loadMessage(script, { limits: { concurrentCalls: 2 } });
  const run = bed.supervisor.run(load, "Test", 3, () => {});
  await run.started;
  const outcomes = await Promise.all(
    Array.from({ length: 8 }, () =>
      run
        .call("kw", "musicUrl", info, { deadlineMs: 5_000 })
        .catch((error: unknown) => isAppError(error) && error.kind),
    ),
  );
  expect(outcomes.filter((item) => item === "done").length).toBe(5);
  expect(outcomes.filter((item) => item === "busy").length).toBe(3);
  expect(run.state.pending).toBe(0);
  await run.stop();
});

test("a caller that gives up leaves nothing pending", async () => {
  const run = await bed.start(answering("return new Promise(() => {})"));
  const call = run.call("kw", "musicUrl", info, { deadlineMs: 5_000, signal: AbortSignal.timeout(30) });
  expect(await call.catch((error: unknown) => isAppError(error) && error.message)).toBe("请求已取消");
  expect(run.state.pending).toBe(0);
  await run.stop();
});

test("a process that is killed from outside is replaced, and its calls fail at once", async () => {
  const run = await bed.start(answering("if (info.type === 'slow') return new Promise(() => {}); return 'here'"));
  const waiting = run.call("kw", "musicUrl", '{"type":"slow"}', { deadlineMs: 20_000 });
  const pid = run.state.pid ?? 0;
  process.kill(pid, "SIGKILL");
  expect(await waiting.catch((error: unknown) => isAppError(error) && error.kind)).toBe("upstream_unreachable");
  await until(() => run.state.state === "ready");
  expect(run.state.pid).not.toBe(pid);
  expect(await run.call("kw", "musicUrl", info, { deadlineMs: 5_000 })).toBe("here");
  await run.stop();
});

test("a process that does not answer any more is killed after the deadline", async () => {
  const run = await bed.start(answering("return 'x'"));
  process.kill(run.state.pid ?? 0, "SIGSTOP");
  const call = run.call("kw", "musicUrl", info, { deadlineMs: 200 });
  expect(await call.catch((error: unknown) => isAppError(error) && error.kind)).toBe("upstream_unreachable");
  expect(run.state.offences).toMatchObject([{ offence: "stalled" }]);
  await until(() => run.state.state === "ready");
  await run.stop();
});

test("a command that is no script process does not hold anything up", async () => {
  const supervisor = createSupervisor({
    command: [process.execPath, "-e", "process.exit(3)"],
    spares: () => 0,
    log: silentLogger,
  });
  const run = supervisor.run(loadMessage(answering("return 1")), "Test", 1, () => {});
  await run.started;
  expect(run.state).toMatchObject({ state: "blocked", offences: [{ offence: "crash" }] });
  await supervisor.close();
});

test("script processes end when the server is killed, even one that spins", async () => {
  const program = `
    import { startProcess } from ${JSON.stringify(join(import.meta.dir, "../../src/scripts/process.ts"))};
    const child = startProcess(${JSON.stringify(COMMAND)});
    await child.ready;
    child.listen(() => {}, () => {});
    child.send(${JSON.stringify(loadMessage("/* */\nfor (;;);", { limits: { initSliceMs: 60_000 } }))});
    console.log(child.pid);
    await Bun.sleep(60_000);`;
  const server = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
  const { value } = await server.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  expect(alive(pid)).toBe(true);
  server.kill("SIGKILL");
  await until(() => !alive(pid));
});

test("what a process says is checked", async () => {
  const program = `
    for (const message of [null, 7, { type: "result" }, { type: "inited", sources: { kw: 1 }, ms: 1 }, { type: "x" }]) process.send(message);
    process.send({ type: "ready" });
    process.send({ type: "result", id: "one", value: 1 });
    process.send({ type: "host", host: "x".repeat(1e6) });
    process.send({ type: "limit", name: "last" });
    setInterval(() => {}, 1000);`;
  const child = startProcess([process.execPath, "-e", program]);
  const seen: unknown[] = [];
  const last = new Promise<void>((resolve) =>
    child.listen(
      (message) => {
        seen.push(message);
        if (message.type === "limit") resolve();
      },
      () => {},
    ),
  );
  await child.ready;
  await last;
  expect(seen).toEqual([{ type: "limit", name: "last" }]);
  child.kill();
  await child.ended;
});
