import { createSqliteTier } from "../../src/cache/sqlite.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { sealed } from "./sealed.ts";

/** Writes without end into the file that it is given, until it is killed. */
const [path = ""] = process.argv.slice(2);
const tier = createSqliteTier({
  path,
  maxRows: 3000,
  maxBytes: 64 << 20,
  flushMs: 2,
  now: Date.now,
  log: silentLogger,
});

for (let round = 0; ; round++) {
  for (let index = 0; index < 20; index++) {
    const number = Math.floor(Math.random() * 5000);
    const key = `v1:url:kg:${number}`;
    if (number % 7 === 0) await tier.delete(key);
    else
      await tier.set(key, { value: sealed(key, Math.floor(Math.random() * 6000)), expiresAt: Date.now() + 3_600_000 });
  }
  await Bun.sleep(1);
  if (round === 10) console.log("writing");
}
