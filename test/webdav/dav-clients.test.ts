import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type DavHost, openDav } from "./dav-host.ts";
import { plant, temporary } from "./upstreams.ts";

let host: DavHost;
let work: Awaited<ReturnType<typeof temporary>>;
beforeAll(async () => {
  host = await openDav({ infinite_depth: true });
  work = await temporary("lx-davclients-");
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  await work[Symbol.asyncDispose]();
});

async function run(command: string[], more: { env?: Record<string, string>; input?: string; cwd?: string } = {}) {
  const child = Bun.spawn(command, {
    cwd: more.cwd ?? work.path,
    env: { PATH: process.env["PATH"] ?? "", HOME: work.path, LANG: "C.UTF-8", ...more.env },
    stdin: more.input === undefined ? "ignore" : new TextEncoder().encode(more.input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, problems, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out: out + problems, code };
}

test("litmus: basic, copymove, props, locks and http pass without a warning", async () => {
  const { out, code } = await run(["litmus", "-k", `${host.url}/Upload/`, "admin", "admin-pass"]);
  for (const suite of ["basic", "copymove", "props", "locks", "http"]) {
    expect(out).toMatch(new RegExp(`summary for .${suite}': of (\\d+) tests run: \\1 passed, 0 failed`));
  }
  expect(out).not.toContain("WARNING");
  expect(code).toBe(0);
});

describe("rclone", () => {
  const obscured = Bun.spawnSync(["rclone", "obscure", "admin-pass"]).stdout.toString().trim();
  const env = () => ({
    RCLONE_CONFIG: "/dev/null",
    RCLONE_CONFIG_LX_TYPE: "webdav",
    RCLONE_CONFIG_LX_URL: host.url,
    RCLONE_CONFIG_LX_VENDOR: "other",
    RCLONE_CONFIG_LX_USER: "admin",
    RCLONE_CONFIG_LX_PASS: obscured,
  });

  test("copies a folder here, finds it the same, syncs changes and deletions", async () => {
    const from = join(work.path, "from");
    const big = Uint8Array.from({ length: 700_000 }, (_, at) => (at * 13) % 255);
    await plant(from, { "a.mp3": "one", "深/层 & #1/100% 歌?.flac": big, "深/b.txt": "two", "empty.txt": "" });
    expect((await run(["rclone", "copy", from, "lx:Upload/rclone"], { env: env() })).code).toBe(0);
    const checked = await run(["rclone", "check", "--download", from, "lx:Upload/rclone"], { env: env() });
    expect(checked.out).toContain("0 differences found");
    expect(checked.code).toBe(0);

    await writeFile(join(from, "a.mp3"), "changed and longer");
    await plant(from, { "new.mp3": "new" });
    await Bun.file(join(from, "深/b.txt")).delete();
    expect((await run(["rclone", "sync", from, "lx:Upload/rclone"], { env: env() })).code).toBe(0);
    expect((await run(["rclone", "check", "--download", from, "lx:Upload/rclone"], { env: env() })).out).toContain(
      "0 differences found",
    );
    expect(await readdir(join(host.folder, "Upload/rclone/深"))).toEqual(["层 & #1"]);
  });

  test("reads the music, and cannot write there", async () => {
    await plant(join(host.folder, "Music"), { "甲/乙.mp3": "bytes of a song" });
    const read = await run(["rclone", "cat", "--offset", "9", "--count", "4", "lx:Music/甲/乙.mp3"], { env: env() });
    expect(read.out).toBe("a so");
    const listed = await run(["rclone", "lsf", "-R", "lx:Music"], { env: env() });
    expect(listed.out).toBe("甲/\n甲/乙.mp3\n");
    const write = await run(["rclone", "touch", "lx:Music/x.txt", "--retries", "1"], { env: env() });
    expect(write.code).not.toBe(0);
    expect(await readdir(join(host.folder, "Music"))).toEqual(["甲"]);
  });
});

test("cadaver: makes, puts, lists, moves, copies, locks, gets and deletes", async () => {
  await writeFile(join(work.path, ".netrc"), "machine 127.0.0.1 login admin password admin-pass\n", { mode: 0o600 });
  await writeFile(join(work.path, "song.mp3"), "cadaver song");
  await mkdir(join(work.path, "back"), { recursive: true });
  const script = [
    "mkcol cad",
    "cd cad",
    "put song.mp3",
    "propset song.mp3 mood happy",
    "lock song.mp3",
    "unlock song.mp3",
    "copy song.mp3 copy.mp3",
    "move song.mp3 moved.mp3",
    "ls",
    "get moved.mp3 back/moved.mp3",
    "propget moved.mp3 mood",
    "delete copy.mp3",
    "quit",
  ].join("\n");
  const { out } = await run(["cadaver", `${host.url}/Upload/`], { input: `${script}\n` });
  expect(out).not.toContain("failed");
  expect(out).toContain("happy");
  expect(await readFile(join(work.path, "back/moved.mp3"), "utf8")).toBe("cadaver song");
  expect(await readdir(join(host.folder, "Upload/cad"))).toEqual(["moved.mp3"]);
});

test("curl: a broken upload leaves the old file and nothing else", async () => {
  await plant(join(host.folder, "Upload"), { "keep.mp3": "old content" });
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(host.url).port),
    socket: { data() {} },
  });
  socket.write(
    `PUT /dav/Upload/keep.mp3 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ${btoa("admin:admin-pass")}\r\nContent-Length: 1000000\r\n\r\nhalf`,
  );
  while (!(await readdir(join(host.folder, "Upload"))).some((name) => name.endsWith(".part"))) await Bun.sleep(5);
  socket.terminate();
  while ((await readdir(join(host.folder, "Upload"))).some((name) => name.endsWith(".part"))) await Bun.sleep(5);
  expect(await readFile(join(host.folder, "Upload/keep.mp3"), "utf8")).toBe("old content");
});
