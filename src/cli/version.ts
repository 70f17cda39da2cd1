import type { Command } from "./command.ts";

export function versionCommand(version: string): Command {
  return {
    name: "version",
    summary: "show version, build and platform",
    arity: [0, 0],
    async run(context) {
      const facts = { version, bun: Bun.version, platform: process.platform, arch: process.arch };
      context.result(facts, `lx-music-api-server ${version} (Bun ${Bun.version}, ${process.platform}-${process.arch})`);
      return 0;
    },
  };
}
