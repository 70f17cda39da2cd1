import { expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answering, loadMessage } from "./bed.ts";

setDefaultTimeout(120_000);

const BODY = `if (info.type === "spin") Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);
  const packed = await lx.utils.zlib.deflate(lx.utils.buffer.from("text"));
  const text = lx.utils.buffer.bufToString(await lx.utils.zlib.inflate(packed), "utf8");
  return "https://example.test/" + text + lx.utils.crypto.md5("a") + new URL("../b", "http://x.test/a/").pathname;`;

test("the runtime works in a compiled executable, and a stuck script is replaced there too", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lx-compiled-"));
  try {
    const outfile = join(folder, "scripts");
    const root = join(import.meta.dir, "../..");
    const build = Bun.spawn(
      [
        ...[process.execPath, "build", "--compile", "--minify", "--bytecode", "--format=esm"],
        ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
        ...["test/scripts/compiled-entry.ts", "src/scripts/worker.ts", "--outfile", outfile],
      ],
      { cwd: root, stdout: "ignore", stderr: "pipe" },
    );
    const [code, problem] = await Promise.all([build.exited, new Response(build.stderr).text()]);
    expect(code === 0 ? "" : problem).toBe("");
    const load = loadMessage(answering(BODY), { limits: { sliceMs: 300 } });
    const run = Bun.spawn([outfile], { cwd: folder, env: {}, stdin: new Blob([JSON.stringify(load)]), stdout: "pipe" });
    const good = "https://example.test/text0cc175b9c0f1b6a831c399e269772661/b";
    expect(JSON.parse(await new Response(run.stdout).text())).toEqual({
      first: good,
      spun: expect.stringContaining("已被终止"),
      again: good,
      state: "ready",
      offences: 1,
    });
    expect(await run.exited).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
