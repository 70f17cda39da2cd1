import { afterEach, describe, expect, test } from "bun:test";
import { silentLogger } from "../../src/ops/log.ts";
import { stopOnSignals, within } from "../../src/ops/shutdown.ts";

describe("within", () => {
  test.each([
    { name: "in time", work: Promise.resolve(1), ended: true },
    { name: "too late", work: new Promise(() => {}), ended: false },
  ])("$name", async ({ work, ended }) => {
    expect(await within(20, work)).toBe(ended);
  });

  test("a failure in time is the caller's", async () => {
    expect(within(1000, Promise.reject(new Error("no")))).rejects.toThrow("no");
  });
});

describe("signals", () => {
  afterEach(() => {
    process.removeAllListeners("SIGTERM");
    process.removeAllListeners("SIGINT");
    process.removeAllListeners("SIGHUP");
  });

  function start(stop: () => Promise<void>, deadlineMs = 5000, reload?: () => void) {
    const exits: number[] = [];
    const code = stopOnSignals({
      stop,
      reload,
      deadlineMs: () => deadlineMs,
      log: silentLogger,
      exit: (value) => void exits.push(value),
    });
    return { exits, code };
  }

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("%s stops once, in order", async (signal) => {
    let stops = 0;
    const { code, exits } = start(async () => void stops++);
    process.emit(signal);
    expect(await code).toBe(0);
    expect(stops).toBe(1);
    expect(exits).toEqual([]);
  });

  test("SIGHUP of a service reads its config again, each time, and stops nothing", () => {
    let [stops, reloads] = [0, 0];
    const { exits } = start(
      async () => void stops++,
      5000,
      () => void reloads++,
    );
    process.emit("SIGHUP");
    process.emit("SIGHUP");
    expect([stops, reloads, exits]).toEqual([0, 2, []]);
  });

  test("a stop that fails ends with 1", async () => {
    const { code } = start(() => Promise.reject(new Error("no")));
    process.emit("SIGTERM");
    expect(await code).toBe(1);
  });

  test("a second signal does not wait", async () => {
    const { exits } = start(() => new Promise(() => {}));
    process.emit("SIGTERM");
    expect(exits).toEqual([]);
    process.emit("SIGINT");
    expect(exits).toEqual([1]);
  });

  test("a stop that hangs is given up", async () => {
    const exits: number[] = [];
    const gone = Promise.withResolvers<number>();
    void stopOnSignals({
      stop: () => new Promise(() => {}),
      deadlineMs: () => 20,
      log: silentLogger,
      exit: (code) => {
        exits.push(code);
        gone.resolve(code);
      },
    });
    process.emit("SIGTERM");
    expect(await gone.promise).toBe(1);
  });
});
