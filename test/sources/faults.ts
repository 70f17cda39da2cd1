import { beforeEach, expect, test } from "bun:test";
import type { ErrorKind } from "../../src/core/errors.ts";
import type { SourceId } from "../../src/core/types.ts";
import type { Emulator } from "../platforms/emulator.ts";
import type { Fault } from "../platforms/world.ts";
import { failureOf } from "./start.ts";

/** What each way of breaking must become, whatever was asked. */
const FAULTS: { fault: Fault["kind"]; kind: ErrorKind }[] = [
  { fault: "slow", kind: "upstream_unreachable" },
  { fault: "reset", kind: "upstream_unreachable" },
  { fault: "http500", kind: "upstream_unreachable" },
  { fault: "html", kind: "upstream_changed" },
  { fault: "garbage", kind: "upstream_changed" },
  { fault: "reshaped", kind: "upstream_changed" },
  { fault: "empty", kind: "upstream_changed" },
  { fault: "verify", kind: "upstream_verify" },
];

/** Breaks every ability in every way. The source's deadline must lie well below 400 ms. */
export function testFaults(
  emulator: Emulator,
  source: SourceId,
  abilities: Record<string, () => Promise<unknown>>,
  except: (name: string, fault: Fault["kind"]) => boolean = () => false,
): void {
  beforeEach(() => emulator.reset());
  const rows = Object.entries(abilities).flatMap(([name, run]) =>
    FAULTS.filter(({ fault }) => !except(name, fault)).map((row) => ({ name, run, ...row })),
  );
  test.each(rows)("$name when broken: $fault", async ({ run, fault, kind }) => {
    emulator.world.faults.push({ source, kind: fault, delayMs: 400 });
    expect((await failureOf(run())).kind).toBe(kind);
  });
}
