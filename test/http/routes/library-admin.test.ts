import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Elysia } from "elysia";
import { type Role, setContext } from "../../../src/http/context.ts";
import { errorBody } from "../../../src/http/errors.ts";
import { libraryAdminRoutes } from "../../../src/http/routes/library-admin.ts";
import { safeName } from "../../../src/library/upload.ts";
import { openLibrary, type TestLibrary, temporaryFolder, writeGoldenShelf } from "../../library/shelf.ts";
import { makeAudio } from "../../platforms/audio.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let own: TestLibrary;
let role: Role = "admin";
const MAX_UPLOAD = 200_000;

function ask(target: string, init?: RequestInit): Promise<Response> {
  const app = new Elysia({ strictPath: true })
    .onRequest(({ request }) => {
      const peer = { address: "127.0.0.1", loopback: true, forwarded: false };
      setContext(request, { id: "t", peer, startedAt: 0, role, authorised: true });
    })
    .onError(({ error, code }) => {
      if (code === "VALIDATION") return new Response("validation", { status: 400 });
      const { status, body } = errorBody(error, "api");
      return Response.json(body, { status });
    })
    .use(libraryAdminRoutes({ library: own.library }));
  return app.handle(new Request(`http://localhost/api/v1/library${target}`, init));
}

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeGoldenShelf(join(folder.path, "audio"));
  own = await openLibrary(folder.path, { upload: { max_bytes: MAX_UPLOAD } });
  await own.library.scan();
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function as<T>(who: Role, work: () => Promise<T>): Promise<T> {
  role = who;
  try {
    return await work();
  } finally {
    role = "admin";
  }
}

describe("lists", () => {
  test.each([
    ["by title", "", ["b", "desc", "Test Song", "untagged.mp3", "中文 歌曲"]],
    ["descending", "?order=desc&pageSize=2", ["中文 歌曲", "untagged.mp3"]],
    ["second page", "?page=2&pageSize=2", ["Test Song", "untagged.mp3"]],
    ["search, any case", "?search=TEST", ["Test Song"]],
    ["search in other script and width", `?search=${encodeURIComponent("歌曲　某人")}`, ["中文 歌曲"]],
    ["search without result", "?search=nothing-here", []],
    ["a percent sign is a letter", "?search=%25", []],
    ["by path", "?sort=path&pageSize=1", ["Test Song"]],
  ])("%s", async (_name, query, expected) => {
    const answer = await (await ask(query)).json();
    expect(answer.data.map((track: { title: string; path: string }) => track.title || track.path)).toEqual(expected);
  });

  test("pagination counts everything", async () => {
    const { pagination } = await (await ask("?pageSize=2&page=3")).json();
    expect(pagination).toEqual({ page: 3, pageSize: 2, total: 5, totalPages: 3 });
  });

  test.each(["?page=0", "?pageSize=9999", "?sort=id;drop", "?order=up"])("%s is refused", async (query) => {
    expect((await ask(query)).status).toBe(400);
  });

  test("status, bad files, one song, its cover", async () => {
    const status = await (await ask("/status")).json();
    expect(status.data).toMatchObject({ tracks: 5, bad: 0, scanning: null, lastScan: { added: 5 } });
    expect((await (await ask("/bad")).json()).pagination.total).toBe(0);
    const id = own.library.match({ path: "b.flac" })?.track.id;
    expect((await (await ask(`/${id}`)).json()).data).toMatchObject({ title: "b", codec: "FLAC", year: null });
    expect((await ask(`/${id}/cover?size=64`)).headers.get("content-type")).toBe("image/jpeg");
    expect((await ask("/999999")).status).toBe(404);
  });
});

describe("scan and match", () => {
  test("scan waits when asked to", async () => {
    expect((await (await ask("/scan?wait=true", { method: "POST" })).json()).data).toMatchObject({ unchanged: 5 });
    expect((await ask("/scan", { method: "POST" })).status).toBe(202);
    await own.library.scan();
  });

  test.each([
    ["hit", { path: "TEST SONG.flac" }, { score: 0.9, rule: "stem" }],
    ["by tags", { name: "b", artist: "X" }, { rule: "tags" }],
  ])("match: %s", async (_name, body, expected) => {
    const init = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    expect((await (await ask("/match", init)).json()).data).toMatchObject(expected);
  });

  test("match: miss and nothing asked", async () => {
    const send = (body: unknown) =>
      ask("/match", { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
    expect(await (await send({ path: "x.mp3" })).json()).toEqual({ data: null });
    expect((await send({})).status).toBe(400);
  });
});

describe("who may", () => {
  test.each<[string, string, Role, number]>([
    ["GET", "", "none", 401],
    ["GET", "/status", "none", 401],
    ["GET", "/bad", "none", 401],
    ["POST", "/scan", "none", 401],
    ["POST", "/scan", "viewer", 403],
    ["POST", "/upload?name=a.mp3", "viewer", 403],
    ["POST", "/upload?name=a.mp3", "none", 401],
    ["GET", "", "viewer", 200],
  ])("%s %s as %s: %d", async (method, target, who, expected) => {
    const body = target.startsWith("/upload") ? { body: "x" } : {};
    expect((await as(who, () => ask(target, { method, ...body }))).status).toBe(expected);
  });
});

describe("upload", () => {
  const uploads = () => readdir(own.library.uploadFolder).catch(() => []);
  const send = (name: string, body: BodyInit) =>
    ask(`/upload?name=${encodeURIComponent(name)}`, { method: "POST", body });

  test("is stored under a safe name by its content, and found at once", async () => {
    const audio = await makeAudio({ seconds: 1, format: "ogg", tone: 500 });
    const response = await send("../../../etc/新 歌?.mp3", await Bun.file(audio.path).bytes());
    expect(response.status).toBe(201);
    expect((await response.json()).data).toMatchObject({ path: "upload/新 歌_.ogg", codec: "Vorbis I" });
    expect(own.library.match({ path: "新 歌_.ogg" })?.score).toBe(1);
    const again = await send("新 歌_.ogg", await Bun.file(audio.path).bytes());
    expect((await again.json()).data.path).toBe("upload/新 歌_ (2).ogg");
    expect((await own.library.scan()).unchanged).toBe(7);
  });

  test.each([
    ["text called MP3", "a.mp3", "not audio, but long enough to look at: ".repeat(9), 400],
    ["an MP3 head and nothing behind", "a.mp3", `ID3${"\0".repeat(200)}`, 400],
    ["a script with a picture's head", "a.mp3", `GIF89a<script>${" ".repeat(200)}`, 400],
    ["empty", "a.mp3", "", 400],
  ])("%s is refused and leaves nothing", async (_name, name, body, expected) => {
    const before = await uploads();
    expect((await send(name, body)).status).toBe(expected);
    expect(await uploads()).toEqual(before);
  });

  test("a stream that grows too large is cut off", async () => {
    const before = await uploads();
    const head = await Bun.file((await makeAudio({ seconds: 1, format: "flac", tone: 500 })).path).bytes();
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += head.length;
        controller.enqueue(head);
      },
    });
    const response = await send("big.flac", endless);
    expect(response.status).toBe(413);
    expect(sent).toBeLessThan(MAX_UPLOAD + 10 * head.length);
    expect(await uploads()).toEqual(before);
  });
});

test.each([
  ["a/b\\c.mp3", "c.flac"],
  ["..", "audio_.flac"],
  ["CON.mp3", "audio_CON.flac"],
  ["\u202egpj.mp3", "_gpj.flac"],
  [".hidden.mp3", "hidden.flac"],
  ["a\0b\n.mp3", "a_b_.flac"],
  ["长".repeat(100), `${"长".repeat(60)}.flac`],
])("safeName(%j) is %j", (name, expected) => {
  expect(safeName(name, "flac")).toBe(expected);
});
