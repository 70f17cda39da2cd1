import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { dialectOf, errorBody } from "../../src/http/errors.ts";
import golden from "../fixtures/access/golden.json";
import { createRig, PUBLIC, type Rig } from "./rig.ts";

/** What our gate answers where the original's answer is wrong, or is the loopback's and must not be. `open` = it lets through. */
const OURS: Record<string, { status: number; code: number; msg: string } | "open"> = {
  // The header is believed from trusted proxies only, and loopback is the only peer for whom whitelist_host counts.
  "key/06-whitelist-host-bypass": { status: 403, code: 1, msg: "key验证失败" },
  "key/07-rce-through-key": { status: 403, code: 1, msg: "key验证失败" },
  "key/13-local-no-key": { status: 403, code: 1, msg: "key验证失败" },
  "key/14-cache-no-key": { status: 403, code: 1, msg: "key验证失败" },
  "key-ban/05-banned-evade": { status: 403, code: 1, msg: "您的IP已被封禁" },
  "key-ban/06-ban-a-victim": { status: 403, code: 1, msg: "您的IP已被封禁" },
  // Asked as the victim itself, who has done nothing.
  "key-ban/07-victim": "open",
  "rate-ip/03-other-ip": { status: 403, code: 1, msg: "不允许的公网ip转发" },
  "rate-ip/04-other-ip-2": { status: 403, code: 1, msg: "不允许的公网ip转发" },
  "rate-ip/05-ip-named-global": { status: 403, code: 1, msg: "不允许的公网ip转发" },
  "basic/25-method-is-module": "open",
};

type Row = (typeof golden)[number];

/** The routes answer these; the gate has only to let them through. */
const ANSWERED_BY_THE_GATE = new Set(["key验证失败", "您的IP已被封禁", "全局限速", "IP限速"]);

function expected(row: Row): (typeof OURS)[string] {
  const ours = OURS[row.id];
  if (ours !== undefined) return ours;
  const hostRefused = row.scenario.startsWith("allowed-host") && row.status === 404;
  const byGate = ANSWERED_BY_THE_GATE.has(row.msg ?? "") && !row.request.target.startsWith("/script");
  if (!hostRefused && !byGate) return "open";
  return { status: row.status ?? 0, code: row.code ?? 0, msg: row.msg ?? "" };
}

const scenarios = [...new Set(golden.map((row) => row.scenario))];

describe.each(scenarios)("%s", (scenario) => {
  const rows = golden.filter((row) => row.scenario === scenario);
  let rig: Rig;
  beforeAll(async () => {
    rig = await createRig(rows[0]?.config);
  });
  afterAll(async () => rig[Symbol.asyncDispose]());

  test.each(rows.map((row) => [row.id, row] as const))("%s", async (_, row) => {
    if ("sleep_before" in row) rig.pass(Number(row.sleep_before));
    const { method, target, host, headers } = row.request;
    const victim = row.id === "key-ban/07-victim";
    const decision = await rig.ask(target, {
      method,
      host,
      headers: victim ? {} : (headers as Record<string, string>),
      peer: victim ? "1.2.3.4" : PUBLIC,
    });
    const wanted = expected(row);
    if (wanted === "open") {
      expect(decision.error).toBeUndefined();
      return;
    }
    const { status, body } = errorBody(decision.error, dialectOf(target));
    expect({ status, body }).toEqual({
      status: wanted.status,
      body: { code: wanted.code, msg: wanted.msg, data: null },
    });
  });
});

test("every row that is wrong in the original has an answer of ours", () => {
  const wrong = golden.filter((row) => "defect" in row).map((row) => row.id);
  expect(wrong.filter((id) => OURS[id] === undefined)).toEqual([]);
});

test.each([
  ["key-ban/05-banned-evade", "8.8.4.4"],
  ["rate-ip/03-other-ip", "9.9.9.9"],
])("%s: behind a trusted proxy the named address is asked for, and only there", async (_, named) => {
  await using rig = await createRig({ "security.key.enable": true, "security.key.ban": true });
  await rig.ask("/url/kg/x/128k", { headers: { "X-Real-IP": named }, peer: "192.168.1.1" });
  expect((await rig.ask("/", { headers: { "X-Real-IP": named }, peer: "192.168.1.1" })).error?.kind).toBe("banned");
  expect((await rig.ask("/", { headers: { "X-Real-IP": "7.7.7.7" }, peer: "192.168.1.1" })).error).toBeUndefined();
  expect((await rig.ask("/", { peer: named })).error?.kind).toBe("banned");
});

test("an address that is none, named by a trusted proxy, counts as the proxy itself", async () => {
  await using rig = await createRig({ "security.rate_limit.ip": 1 });
  const from = { headers: { "X-Real-IP": "global" }, peer: "192.168.1.1" };
  expect((await rig.ask("/", from)).peer.address).toBe("192.168.1.1");
  expect((await rig.ask("/", from)).error?.message).toBe("IP限速");
  expect((await rig.ask("/", { peer: PUBLIC })).error).toBeUndefined();
});
