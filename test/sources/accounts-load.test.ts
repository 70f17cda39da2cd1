import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { moduleSection } from "../../src/config/sections/sources.ts";
import { isAppError } from "../../src/core/errors.ts";
import type { Quality } from "../../src/core/types.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createSqliteAccountStore } from "../../src/sources/account-store.ts";
import { createAccountPool } from "../../src/sources/accounts.ts";
import { songByKey } from "../platforms/catalog.ts";
import type { CatalogSong, EmulatedAccount } from "../platforms/world.ts";
import { startKg } from "./kg/harness.ts";

const SONGS = process.env["LX_TEST_HEAVY"] === "1" ? 10_000 : 1_500;
const WORKERS = 8;
const DIES = "1002";

/** Of ten songs, three are free, six for members, one is gone. */
function bulkSong(index: number): CatalogSong {
  const model = songByKey("plain");
  const n = String(index).padStart(6, "0");
  const right = index % 10 < 3 ? "free" : index % 10 < 9 ? "member" : "none";
  const hash = `${index.toString(16).padStart(8, "0")}${"c".repeat(24)}`;
  const ids = { ...model.ids, kg: { ...model.ids.kg, hash, audioId: `9${n}`, albumAudioId: `8${n}` } };
  return { ...model, key: `bulk${index}`, name: `第${index}首`, right, ids };
}

const songs = Array.from({ length: SONGS }, (_, index) => bulkSong(index));
const wantedQuality = (song: CatalogSong): Quality => (song.right === "free" ? "128k" : "320k");
const { kg, emulator, world } = startKg({ songs });
const db = new Database(":memory:", { strict: true });
afterAll(async () => {
  await emulator.stop();
  db.close();
});

test(`${SONGS} songs with three accounts, one expiring midway`, async () => {
  const accounts: EmulatedAccount[] = ["1001", DIES, "1003"].map((id) => ({
    source: "kg",
    id,
    token: `token-${id}`,
    state: "member",
    requests: 0,
  }));
  world.accounts.push(...accounts);
  const forMembers = songs.filter((song) => song.right !== "free").length;
  // A sixth before the death of one, a quarter after it, for the other two: a little more than they need.
  const budget = Math.ceil(forMembers * (1 / 6 + 1 / 4)) + 2 * WORKERS;
  const pool = createAccountPool({
    sources: new Map([["kg", kg]]),
    store: createSqliteAccountStore(db),
    settings: () => ({
      guestFirst: true,
      coolDownMs: 900_000,
      dailyBudget: budget,
      minimumGapMs: 0,
      writeBack: false,
      warnBeforeMs: 0,
    }),
    log: silentLogger,
    now: Date.now,
  });
  const module = Value.Create(moduleSection);
  module.cookiepool.kg = accounts.map(({ id, token }) => ({ ...structuredClone(module.kg.user), userid: id, token }));
  pool.configure(module, true);

  let knownDead = false;
  const startedAfterDeath: string[] = [];
  const resolve = (song: CatalogSong) =>
    pool.run(kg, { quality: wantedQuality(song) }, async (call) => {
      if (knownDead && call.account?.id === `kg:${DIES}`) startedAfterDeath.push(song.key);
      try {
        return await kg.url({ songId: song.ids.kg.hash, quality: wantedQuality(song) }, call);
      } catch (error) {
        if (isAppError(error) && error.kind === "upstream_needs_login") knownDead = true;
        throw error;
      }
    });

  const outcomes = new Map<string, string>();
  let next = 0;
  let requestsAtDeath = -1;
  async function worker(): Promise<void> {
    for (let song = songs[next++]; song !== undefined; song = songs[next++]) {
      if (next >= SONGS / 2 && requestsAtDeath < 0) {
        const dying = accounts.find((account) => account.id === DIES);
        if (dying !== undefined) dying.state = "expired";
        requestsAtDeath = dying?.requests ?? -1;
      }
      const outcome = await resolve(song).then(
        (found) => (found.quality === wantedQuality(song) ? "resolved" : `wrong quality ${found.quality}`),
        (error: unknown) => (isAppError(error) ? error.kind : String(error)),
      );
      outcomes.set(song.key, outcome);
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, worker));

  const wrong = songs.filter(
    (song) => outcomes.get(song.key) !== (song.right === "none" ? "upstream_no_copyright" : "resolved"),
  );
  expect(wrong.map((song) => `${song.key} ${outcomes.get(song.key)}`)).toEqual([]);
  const requests = Object.fromEntries(accounts.map((account) => [account.id, account.requests]));
  for (const account of accounts) expect(account.requests).toBeLessThanOrEqual(budget);
  // What was on its way when the account died arrives; nothing is sent once its death is known.
  expect(startedAfterDeath).toEqual([]);
  expect((requests[DIES] ?? 0) - requestsAtDeath).toBeGreaterThanOrEqual(1);
  expect((requests[DIES] ?? 0) - requestsAtDeath).toBeLessThanOrEqual(WORKERS);
  expect(pool.list().find((view) => view.label === "账号 2")?.state).toBe("expired");
  // The work was shared evenly before and after.
  expect(Math.abs((requests["1001"] ?? 0) - (requests["1003"] ?? 0))).toBeLessThanOrEqual(2 * WORKERS);

  // The living ones are used up to their budget, and not once beyond it.
  const member = songs.find((song) => song.right === "member");
  let refused = "";
  for (let turn = 0; member !== undefined && refused === "" && turn < 2 * budget + 1; turn++) {
    refused = await resolve(member).then(
      () => "",
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  }
  expect(refused).toBe("酷狗: 需要会员 (账号 1 今日次数已用完，账号 2 已过期，账号 3 今日次数已用完)");
  expect(accounts.filter((account) => account.id !== DIES).map((account) => account.requests)).toEqual([
    budget,
    budget,
  ]);
}, 120_000);
