import { runScriptHost, SCRIPT_HOST_ARGUMENT } from "./scripts/child.ts";

// Worker addresses are made here, because a compiled executable resolves them only in its entry file.
if (process.argv.includes(SCRIPT_HOST_ARGUMENT)) {
  runScriptHost(new URL("./scripts/worker.ts", import.meta.url).href);
} else {
  // Loaded only here: a script process has no use for the server.
  const { runCommandLine } = await import("./cli/run.ts");
  const compiled = /^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/i.test(Bun.main);
  process.exit(
    await runCommandLine({
      libraryScan: new URL("./library/scan-worker.ts", import.meta.url).href,
      audioTag: new URL("./audio/tag-worker.ts", import.meta.url).href,
      scriptProcess: [process.execPath, ...(compiled ? [] : [Bun.main]), SCRIPT_HOST_ARGUMENT],
    }),
  );
}
