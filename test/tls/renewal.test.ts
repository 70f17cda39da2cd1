import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import fc from "fast-check";
import { DAY_MS } from "../../src/tls/certificate.ts";
import { alarmBeforeMs, backoffMs, dueAt, momentIn } from "../../src/tls/renewal.ts";
import { fetchRenewalWindow, renewalId } from "../../src/tls/renewal-info.ts";
import { makeChain } from "./openssl.ts";

const life = (days: number) => ({ notBefore: 0, notAfter: days * DAY_MS });

describe("when a certificate is due", () => {
  test.each([
    { name: "90 days: 30 before the end", days: 90, share: 1 / 3, due: 60 },
    { name: "6 days: 2 before the end", days: 6, share: 1 / 3, due: 4 },
    { name: "a year, at a tenth", days: 400, share: 0.1, due: 360 },
  ])("$name", ({ days, share, due }) => {
    expect(Math.round(dueAt(life(days), share) / DAY_MS)).toBe(due);
  });
});

describe("when its end is an alarm", () => {
  test.each([
    { name: "90 days: a week", days: 90, alarm: 7 },
    { name: "47 days: a week", days: 47, alarm: 7 },
    { name: "6 days: half of what renewal has", days: 6, alarm: 1 },
  ])("$name", ({ days, alarm }) => {
    expect(Math.round(alarmBeforeMs(life(days), 1 / 3) / DAY_MS)).toBe(alarm);
  });

  test("never before renewal has had its chance", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4000 }), fc.double({ min: 0.05, max: 0.9, noNaN: true }), (days, share) => {
        const { notAfter } = life(days);
        expect(notAfter - alarmBeforeMs(life(days), share)).toBeGreaterThan(dueAt(life(days), share));
      }),
    );
  });
});

describe("attempts after failures", () => {
  test("five minutes, doubled, a day at most, a quarter up or down", () => {
    const middle = (failures: number) => Math.round(backoffMs(failures, 300_000, () => 0.5) / 60_000);
    expect([1, 2, 3, 4, 9, 10, 100].map(middle)).toEqual([5, 10, 20, 40, 1280, 1440, 1440]);
  });

  test("always within those bounds", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 1000, max: DAY_MS }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (failures, first, random) => {
          const wait = backoffMs(failures, first, () => random);
          expect(wait).toBeGreaterThanOrEqual(first * 0.75);
          expect(wait).toBeLessThanOrEqual(DAY_MS * 1.25);
        },
      ),
    );
  });
});

test("the moment in a window is within it, and the same each time", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0 }),
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.string(),
      (start, length, serial) => {
        const window = { start, end: start + length };
        const moment = momentIn(window, serial);
        expect(moment).toBeGreaterThanOrEqual(window.start);
        expect(moment).toBeLessThanOrEqual(window.end);
        expect(momentIn(window, serial)).toBe(moment);
      },
    ),
  );
});

describe("renewal information of the server", () => {
  let folder: string;
  let leaf: string;
  let id: string;
  let server: ReturnType<typeof Bun.serve>;
  let answer: () => Response;
  const asked: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lx-ari-"));
    leaf = (await makeChain(folder)).leaf;
    await Bun.write(join(folder, "leaf.pem"), leaf);
    const text =
      await $`openssl x509 -in ${join(folder, "leaf.pem")} -noout -serial -ext authorityKeyIdentifier`.text();
    const part = (hex: string) => Buffer.from(hex.replaceAll(":", ""), "hex").toString("base64url");
    const serial = /serial=([0-9A-F]+)/.exec(text)?.[1] ?? "";
    // A number whose first bit is set has a zero byte before it in the certificate.
    const padded = Number.parseInt(serial.slice(0, 2), 16) >= 0x80 ? `00${serial}` : serial;
    id = `${part(/Identifier:\s+([0-9A-F:]{59})/.exec(text)?.[1] ?? "")}.${part(padded)}`;
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        const { pathname, origin } = new URL(request.url);
        asked.push(pathname);
        if (pathname === "/dir") return Response.json({ newOrder: `${origin}/order`, renewalInfo: `${origin}/ari` });
        return pathname === "/plain-dir" ? Response.json({ newOrder: `${origin}/order` }) : answer();
      },
    });
  });
  afterAll(async () => {
    await server.stop(true);
    await rm(folder, { recursive: true, force: true });
  });

  test("the certificate's name is made of what openssl shows", () => {
    expect(renewalId(leaf)).toBe(id);
  });

  const start = "2026-12-01T00:00:00Z";
  const end = "2026-12-03T00:00:00Z";
  const good = { suggestedWindow: { start, end }, explanationURL: "https://example.com/why" };
  const window = { start: Date.parse(start), end: Date.parse(end) };
  test.each([
    { name: "window", path: "/dir", answer: () => Response.json(good), window },
    { name: "service absent", path: "/plain-dir", answer: () => Response.json(good), window: undefined },
    { name: "certificate unknown", path: "/dir", answer: () => new Response("no", { status: 404 }), window: undefined },
    { name: "no JSON", path: "/dir", answer: () => new Response("<html>"), window: undefined },
    { name: "another form", path: "/dir", answer: () => Response.json({ suggestedWindow: [] }), window: undefined },
    {
      name: "no dates",
      path: "/dir",
      answer: () => Response.json({ suggestedWindow: { start: "x", end: "y" } }),
      window: undefined,
    },
    {
      name: "end before start",
      path: "/dir",
      answer: () => Response.json({ suggestedWindow: { start: end, end: start } }),
      window: undefined,
    },
    {
      name: "endless answer",
      path: "/dir",
      answer: () => new Response(JSON.stringify({ ...good, more: "x".repeat(100_000) })),
      window: undefined,
    },
  ])("$name", async (row) => {
    answer = row.answer;
    asked.length = 0;
    expect(await fetchRenewalWindow(`${server.url.origin}${row.path}`, leaf, undefined)).toEqual(
      row.window as typeof window,
    );
    expect(asked).toEqual(row.path === "/dir" ? ["/dir", `/ari/${id}`] : ["/plain-dir"]);
  });

  test("server away", async () => {
    expect(await fetchRenewalWindow("http://127.0.0.1:1/dir", leaf, undefined)).toBeUndefined();
  });
});
