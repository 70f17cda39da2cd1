import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { Elysia } from "elysia";
import type { AuditEntry } from "../../../src/access/audit.ts";
import { type Role, setContext } from "../../../src/http/context.ts";
import { errorBody } from "../../../src/http/errors.ts";
import { audioAdminRoutes } from "../../../src/http/routes/audio-admin.ts";
import { job, type Rig, startRig, TAGS } from "../../audio/rig.ts";
import { makeAudio } from "../../platforms/audio.ts";

let rig: Rig;
let role: Role = "admin";
const audited: Pick<AuditEntry, "action" | "target">[] = [];

beforeAll(async () => {
  rig = await startRig();
  for (const [index, songId] of ["a", "b", "c"].entries()) {
    const audio = await makeAudio({ format: "mp3", seconds: 4, tone: 440 + 110 * index, bitrate: 128 });
    rig.clock.now += 1000;
    const tags = { ...TAGS, title: `歌 ${songId}` };
    await rig.cache.fetch(
      job(rig.origin.put(`/${songId}`, await Bun.file(audio.path).bytes()), { songId, tags: async () => tags }),
    );
  }
});
afterAll(() => rig.close());

function ask(target: string, init?: RequestInit): Promise<Response> {
  const app = new Elysia({ strictPath: true })
    .onRequest(({ request }) => {
      const peer = { address: "127.0.0.1", loopback: true, forwarded: false };
      setContext(request, { id: "t", peer, startedAt: 0, role, user: "me", authorised: true });
    })
    .onError(({ error, code }) => {
      if (code === "VALIDATION") return new Response("validation", { status: 400 });
      const { status, body } = errorBody(error, "api");
      return Response.json(body, { status });
    })
    .use(audioAdminRoutes({ audio: rig.cache, audit: { record: (entry) => void audited.push(entry) } }));
  return app.handle(new Request(`http://localhost/api/v1/audio${target}`, init));
}

const names = async (target: string) =>
  (await (await ask(target)).json()).data.map((item: { songId: string }) => item.songId).join("");

test.each([
  ["newest play first", "", "cba"],
  ["by name", "?sort=name", "abc"],
  ["second page", "?sort=name&page=2&pageSize=2", "c"],
  ["by title", `?q=${encodeURIComponent("歌 B")}`, "b"],
  ["by source", "?source=kw", ""],
  ["by state", "?state=good&sort=added", "cba"],
])("list: %s", async (_name, target, expected) => expect(await names(target)).toBe(expected));

test("an item tells neither paths of the machine nor hashes", async () => {
  const [item] = (await (await ask("?sort=name")).json()).data;
  expect(Object.keys(item).toSorted().join(" ")).toBe(
    "addedAt artist bitrate name pinned playedAt plays quality seconds size songId source state tagged title",
  );
});

test.each(["?page=0", "?pageSize=9999", "?sort=hash", "?state=x"])("%s is refused", async (target) => {
  expect((await ask(target)).status).toBe(400);
});

describe("roles", () => {
  test.each([
    ["none", "", "GET", 401],
    ["viewer", "", "GET", 200],
    ["viewer", "/stats", "GET", 200],
    ["viewer", "/verify", "POST", 403],
    ["viewer", "/prune", "POST", 403],
    ["viewer", "/tx_a_128k.mp3/pin", "PUT", 403],
    ["viewer", "/tx_a_128k.mp3", "DELETE", 403],
  ] as const)("%s %s %s -> %d", async (who, target, method, status) => {
    role = who;
    const reply = await ask(target, { method });
    role = "admin";
    expect(reply.status).toBe(status);
  });
});

test("pin, verify, prune, delete; each is written down", async () => {
  audited.length = 0;
  const json = async (target: string, method: string, body?: unknown) =>
    (
      await ask(target, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      })
    ).json();
  expect((await json("/tx_a_128k.mp3/pin", "PUT")).data.pinned).toBe(true);
  expect((await json("/stats", "GET")).data).toMatchObject({ files: 3, pinned: 1, downloading: 0 });
  await writeFile(rig.cache.find("tx", "b", "128k")?.path ?? "", "<html>");
  expect((await json("/verify", "POST", { remove: true })).data).toMatchObject({
    checked: 3,
    bad: [{ name: "tx_b_128k.mp3", fault: "not_audio", removed: true }],
  });
  rig.config.quota = 1;
  expect((await json("/prune", "POST")).data.removed).toEqual(["tx_c_128k.mp3"]);
  expect((await json("/tx_a_128k.mp3/pin", "DELETE")).data.pinned).toBe(false);
  expect(await json("/tx_a_128k.mp3", "DELETE")).toEqual({ data: { name: "tx_a_128k.mp3" } });
  expect((await json("/tx_a_128k.mp3", "DELETE")).error.code).toBe("NOT_FOUND");
  expect(audited.map(({ action, target }) => `${action} ${target}`)).toEqual([
    "audio.pin tx_a_128k.mp3",
    "audio.verify *",
    "audio.prune *",
    "audio.unpin tx_a_128k.mp3",
    "audio.delete tx_a_128k.mp3",
    "audio.delete tx_a_128k.mp3",
  ]);
});
