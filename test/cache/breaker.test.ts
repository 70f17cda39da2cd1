import { describe, expect, test } from "bun:test";
import { createBreaker, within } from "../../src/cache/breaker.ts";
import { manualClock } from "./settings.ts";

describe("within", () => {
  test.each([
    { name: "an answer in time", work: () => Bun.sleep(1).then(() => "yes"), ms: 5000, result: "yes" },
    { name: "no answer", work: () => new Promise<string>(() => undefined), ms: 20, result: "no answer in 20 ms" },
    { name: "a failure", work: () => Promise.reject<string>(new Error("refused")), ms: 5000, result: "refused" },
  ])("$name -> $result", async ({ work, ms, result }) => {
    expect(await within(work(), ms).catch((error: Error) => error.message)).toBe(result);
  });

  test("while this process was busy itself, the other side is not blamed", async () => {
    const echo = Bun.spawn(["cat"], { stdin: "pipe", stdout: "pipe" });
    const reader = echo.stdout.getReader();
    echo.stdin.write("ready");
    await echo.stdin.flush();
    await reader.read();
    echo.stdin.write("answer");
    await echo.stdin.flush();
    const answer = within(reader.read(), 30);
    // The answer lies in the pipe long before the deadline, but nobody reads it.
    Bun.sleepSync(300);
    expect(new TextDecoder().decode((await answer).value)).toBe("answer");
    echo.kill();
    await echo.exited;
  });
});

describe("breaker", () => {
  const make = (failures: number) => {
    const clock = manualClock();
    const events: string[] = [];
    const breaker = createBreaker({
      failures,
      baseMs: 100,
      maxMs: 400,
      now: clock.now,
      random: () => 0,
      onOpen: () => void events.push("open"),
      onClose: () => void events.push("close"),
    });
    return { clock, events, breaker };
  };

  test("opens after so many failures in a row; a success between them starts the count anew", () => {
    const { breaker, events } = make(3);
    for (const outcome of ["bad", "bad", "good", "bad", "bad"]) {
      if (outcome === "good") breaker.succeeded();
      else breaker.failed(new Error("bad"));
      expect(breaker.isOpen()).toBe(false);
    }
    breaker.failed(new Error("bad"));
    breaker.failed(new Error("bad"));
    expect(breaker.isOpen()).toBe(true);
    expect(events).toEqual(["open"]);
  });

  test("one probe per pause, pauses double up to the longest, a success closes it and resets the pause", () => {
    const { breaker, clock, events } = make(1);
    breaker.failed(new Error("bad"));
    const probes: number[] = [];
    const start = clock.now();
    for (let ms = 0; ms < 2000; ms += 10) {
      if (breaker.claimProbe()) {
        probes.push(clock.now() - start);
        expect(breaker.claimProbe()).toBe(false);
        breaker.failed(new Error("still bad"));
      }
      clock.advance(10);
    }
    expect(probes).toEqual([100, 300, 700, 1100, 1500, 1900]);
    breaker.succeeded();
    expect(breaker.isOpen()).toBe(false);
    expect(breaker.claimProbe()).toBe(false);
    breaker.failed(new Error("bad"));
    clock.advance(100);
    expect(breaker.claimProbe()).toBe(true);
    expect(events).toEqual(["open", "close", "open"]);
  });
});
