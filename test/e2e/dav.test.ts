import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, startServer } from "./server.ts";

const PASSWORD = "correct horse battery";
let server: RunningServer;
let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "lx-litmus-"));
  server = await startServer({ config: { common: { webdav_server: { enable: true } } } });
  const token = await setupToken();
  const made = await server.get("/api/v1/auth/setup", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token, name: "admin", password: PASSWORD }),
  });
  expect(made.status).toBe(201);
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

afterAll(async () => {
  await server?.remove();
  await rm(base, { recursive: true, force: true });
});

test("litmus: basic, copymove, props, locks and http in the built executable", async () => {
  const run = Bun.spawn(["litmus", "-k", `${server.url}/dav/Upload/`, "admin", PASSWORD], {
    cwd: base,
    env: { PATH: process.env["PATH"] ?? "", TESTS: "basic copymove props locks http" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const text = await new Response(run.stdout).text();
  expect(text).not.toContain("FAIL");
  expect(text.match(/\d+ passed, 0 failed/g)).toHaveLength(5);
}, 60_000);

test("rclone lists, writes and reads back", async () => {
  const remote = `:webdav,url='${server.url}/dav/',user=admin,pass=$(rclone obscure '${PASSWORD}'):`;
  const shell = `cd ${base} && echo hello > note.txt && rclone copy note.txt "${remote}Upload" && rclone lsf "${remote}" && rclone cat "${remote}Upload/note.txt"`;
  const run = Bun.spawn(["bash", "-c", shell], {
    stdout: "pipe",
    stderr: "inherit",
    env: { PATH: process.env["PATH"] ?? "", HOME: base },
  });
  const text = await new Response(run.stdout).text();
  expect(text.split("\n")).toEqual(expect.arrayContaining(["Upload/", "Cache/", "Artists/", "hello"]));
  expect(await readFile(join(base, "note.txt"), "utf8")).toBe("hello\n");
});

test("without a sign-in there is nothing", async () => {
  const reply = await server.get("/dav/", { method: "PROPFIND", headers: { depth: "1" } });
  expect(reply.status).toBe(401);
  expect(reply.headers.get("www-authenticate")).toStartWith("Basic");
});
