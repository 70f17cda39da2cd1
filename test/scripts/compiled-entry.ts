// A small executable for compiled.test.ts: it is the server's part and, with the argument, the script process.
import { silentLogger } from "../../src/ops/log.ts";
import { runScriptHost, SCRIPT_HOST_ARGUMENT } from "../../src/scripts/child.ts";
import type { LoadMessage } from "../../src/scripts/protocol.ts";
import { createSupervisor } from "../../src/scripts/supervisor.ts";

if (process.argv.includes(SCRIPT_HOST_ARGUMENT)) {
  // In the executable this file lies at the root of the build.
  runScriptHost(new URL("./src/scripts/worker.ts", import.meta.url).href);
} else {
  const load = JSON.parse(await Bun.stdin.text()) as LoadMessage;
  const command = [process.execPath, SCRIPT_HOST_ARGUMENT];
  const supervisor = createSupervisor({ command, spares: () => 1, log: silentLogger });
  const run = supervisor.run(load, "compiled", 10, () => {});
  await run.started;
  const call = (type: string) =>
    run
      .call("kw", "musicUrl", JSON.stringify({ type, musicInfo: {} }), { deadlineMs: 5_000 })
      .catch((error: unknown) => (error instanceof Error ? error.message : "failed"));
  const first = await call("good");
  const spun = await call("spin");
  while (run.state.state === "starting") await Bun.sleep(5);
  const again = await call("good");
  await Bun.write(
    Bun.stdout,
    JSON.stringify({ first, spun, again, state: run.state.state, offences: run.state.offences.length }),
  );
  await supervisor.close();
}
