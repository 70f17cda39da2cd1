import type { ScriptHost } from "../scripts/host.ts";
import type { ScriptExtras } from "./catalog.ts";
import type { ScriptAsker } from "./track.ts";

/** Third-party scripts as the resolver asks them. */
export function scriptAsker(scripts: ScriptHost): ScriptAsker {
  return {
    wants: (when, source, quality) =>
      scripts.turn(source, quality) === when && scripts.offers("musicUrl", source, quality),
    async musicUrl(source, quality, musicInfo, { signal, step, avoid }) {
      const answer = await scripts.ask("musicUrl", source, { quality, musicInfo }, { signal, step, avoid });
      return { url: answer.value, script: answer.script };
    },
  };
}

/** Lyrics and covers from scripts, when the platform has none. */
export function scriptExtras(scripts: ScriptHost): ScriptExtras {
  return {
    async lyric(source, musicInfo, { signal, step }) {
      if (scripts.turn(source) === "never" || !scripts.offers("lyric", source)) return undefined;
      const { value } = await scripts.ask("lyric", source, { musicInfo }, { signal, step });
      return value;
    },
    async pic(source, musicInfo, { signal, step }) {
      if (scripts.turn(source) === "never" || !scripts.offers("pic", source)) return undefined;
      return (await scripts.ask("pic", source, { musicInfo }, { signal, step })).value;
    },
  };
}
