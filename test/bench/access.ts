/**
 * What the gate costs a request, and whether the time of a key check tells right from wrong.
 * `bun test/bench/access.ts`
 */
import { createAnswerHeaders } from "../../src/http/plugins/answer-headers.ts";
import { targetOf } from "../../src/http/target.ts";
import { createRig, type Rig } from "../access/rig.ts";

const ROUNDS = 200_000;

function report(name: string, value: number, unit: string): void {
  console.log(`${name.padEnd(64)} ${value.toFixed(value < 10 ? 3 : 0).padStart(8)} ${unit}`);
}

/** Mean ns of one turn, best of five series: the others were disturbed. */
function nanoseconds(turn: (i: number) => unknown, rounds = ROUNDS): number {
  let best = Number.POSITIVE_INFINITY;
  for (let series = 0; series < 5; series++) {
    const started = Bun.nanoseconds();
    for (let i = 0; i < rounds; i++) turn(i);
    best = Math.min(best, (Bun.nanoseconds() - started) / rounds);
  }
  return best;
}

const request = (headers: Record<string, string> = {}) =>
  new Request("http://localhost/url/kg/41f45664e8235b786990cbf213cd4725/128k", {
    headers: { host: "a.example", ...headers },
  });
const target = targetOf(request().url);
const peerOf = (i: number) => `${(i * 7) & 127}.${(i >>> 14) & 255}.${(i >>> 7) & 255}.${i & 127}`;
const peers = Array.from({ length: 1 << 20 }, (_, i) => peerOf(i + 1));

async function gate(
  name: string,
  keys: Record<string, unknown>,
  headers: Record<string, string>,
  prepare?: (rig: Rig) => void,
) {
  await using rig = await createRig({ "security.rate_limit.addresses": 1_000_000, ...keys }, { realTime: true });
  prepare?.(rig);
  const asked = request(headers);
  const check = (i: number) => rig.gate.check(asked, target, { address: peers[i & (peers.length - 1)] ?? "1.1.1.1" });
  for (let i = 0; i < peers.length; i++) check(i);
  report(name, nanoseconds(check), "ns");
}

await gate("gate, default config, a million addresses", {}, {});
await gate("gate, with 10,000 bans", {}, {}, (rig) => {
  for (let i = 0; i < 10_000; i++)
    rig.access.bans.strike({ family: 4, text: "", words: [0, 0, 0, 0xc0000000 + i * 7] }, "key");
});
await gate("gate, least gap per address (all refused)", { "security.rate_limit.ip": 3600 }, {});
await gate(
  "gate, rate per address",
  { "security.rate_limit.rules": [{ scope: "ip", requests: 1000, seconds: 1 }] },
  {},
);
await gate("gate, request key", { "security.key.enable": true }, { "X-Request-Key": "114514" });

const headers = createAnswerHeaders({ enable: true, origins: ["*"], max_age: 1 }, { hsts: 0, pages: [""] });
const plain = request();
report(
  "headers of an answer",
  nanoseconds(() => headers.forAnswer(plain, target)),
  "ns",
);

/** Welch's t of two samples without the slowest tenth of each; beyond ±4.5 the difference would be usable. */
function welch(a: number[], b: number[]) {
  const trim = (list: number[]) => list.toSorted((x, y) => x - y).slice(0, Math.floor(list.length * 0.9));
  const stats = (list: number[]) => {
    const mean = list.reduce((sum, x) => sum + x, 0) / list.length;
    return { mean, error: list.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (list.length - 1) / list.length };
  };
  const [left, right] = [stats(trim(a)), stats(trim(b))];
  const difference = left.mean - right.mean;
  return { difference, t: difference / Math.sqrt(left.error + right.error) };
}

{
  await using rig = await createRig({ "security.key.enable": true, "security.banlist.enable": false });
  const { secret } = rig.access.keys.add("bench", {});
  const flat = (text: string) => Buffer.from(text).toString();
  const near = flat(secret.slice(0, -1) + (secret.endsWith("A") ? "B" : "A"));
  const far = flat(`lx_${"A".repeat(secret.length - 3)}`);
  const samples: Record<string, number[]> = { right: [], near: [], far: [] };
  const tries: [string, string][] = [
    ["right", secret],
    ["near", near],
    ["far", far],
  ];
  for (let round = 0; round < 6000; round++) {
    // In turns and in changing order, so that whatever disturbs one disturbs all.
    for (let turn = 0; turn < 3; turn++) {
      const [name, key] = tries[(turn + round) % 3] ?? ["far", far];
      const started = Bun.nanoseconds();
      rig.access.keys.find(key);
      const spent = Bun.nanoseconds() - started;
      if (round >= 5000) samples[name]?.push(spent);
    }
  }
  const { right = [], near: close = [], far: distant = [] } = samples;
  const pairs: [string, number[], number[]][] = [
    ["right against nearly right", right, close],
    ["right against wrong", right, distant],
    ["nearly right against wrong", close, distant],
  ];
  for (const [name, one, other] of pairs) {
    const { difference, t } = welch(one, other);
    report(`key check: ${name}, t = ${t.toFixed(2)}`, Math.abs(difference), "ns");
  }
}
