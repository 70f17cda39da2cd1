import { afterAll, beforeAll, expect, test } from "bun:test";
import { type RunningServer, startServer } from "./server.ts";

let server: RunningServer;
let cookie: string;

beforeAll(async () => {
  server = await startServer();
  const made = await server.get("/api/v1/auth/setup", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token: await setupToken(), name: "admin", password: "correct horse battery" }),
  });
  expect(made.status).toBe(201);
  cookie = made.headers
    .getSetCookie()
    .map((line) => line.split(";")[0])
    .join("; ");
});
afterAll(async () => {
  await server?.remove();
});

/** Printed right after the start. */
async function setupToken(): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const token = /first admin:\s+(\S+)/.exec(server.output())?.[1];
    if (token !== undefined) return token;
    await Bun.sleep(20);
  }
  throw new Error(`no set-up token in:\n${server.output()}`);
}

// The minified build is asked: class names that a library compares are gone there.
test.each([
  ["page before the first", "library?page=0"],
  ["page of a negative size", "library?pageSize=-1"],
  ["page of any size", "library?pageSize=1000000"],
  ["half a page", "library?page=1.5"],
  ["bad files, negative size", "library/bad?pageSize=-1"],
  ["song of number 0", "library/0"],
  ["bans, negative size", "bans?pageSize=-1"],
  ["cached audio, negative size", "audio?pageSize=-1"],
])("%s is refused", async (_name, path) => {
  const reply = await server.get(`/api/v1/${path}`, { headers: { cookie } });
  expect(reply.status).toBe(400);
  expect(await reply.json()).toMatchObject({ error: { code: "VALIDATION_ERROR" } });
});

test.each(["library?page=2&pageSize=500", "library?page=1", "bans?pageSize=200"])("%s is answered", async (path) => {
  const reply = await server.get(`/api/v1/${path}`, { headers: { cookie } });
  expect(reply.status).toBe(200);
  expect(await reply.json()).toMatchObject({ data: [], pagination: { total: 0 } });
});
