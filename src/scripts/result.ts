import { Type } from "@sinclair/typebox";
import { AppError } from "../core/errors.ts";
import type { Lyric } from "../core/types.ts";
import { check, type ScriptAction } from "./protocol.ts";

const MAX_ADDRESS = 2_048;
const MAX_LYRIC = 51_200;
const MAX_TRANSLATION = 5_120;
const MAX_WORDS = 8_192;

const lyricSchema = Type.Object({
  lyric: Type.String({ maxLength: MAX_LYRIC }),
  tlyric: Type.Optional(Type.Unknown()),
  rlyric: Type.Optional(Type.Unknown()),
  lxlyric: Type.Optional(Type.Unknown()),
});

/**
 * An address from `musicUrl` or `pic`, as clients check it.
 * @throws AppError `upstream_changed`
 */
export function checkAddress(value: unknown): string {
  if (typeof value === "string" && value.length <= MAX_ADDRESS && /^https?:/.test(value)) return value;
  throw invalid();
}

/**
 * A lyric, as clients check it: a translation, romanisation or word timing that is too long is left out.
 * @throws AppError `upstream_changed`
 */
export function checkLyric(value: unknown): Lyric {
  const lyric = check(lyricSchema, value);
  if (lyric === undefined) throw invalid();
  const part = (text: unknown, limit: number) => (typeof text === "string" && text.length < limit ? text : "");
  return {
    lyric: lyric.lyric,
    tlyric: part(lyric.tlyric, MAX_TRANSLATION),
    rlyric: part(lyric.rlyric, MAX_TRANSLATION),
    lxlyric: part(lyric.lxlyric, MAX_WORDS),
  };
}

/** What each action answers with. */
export interface ActionResults {
  musicUrl: string;
  pic: string;
  lyric: Lyric;
}

export function checkResult<A extends ScriptAction>(action: A, value: unknown): ActionResults[A];
export function checkResult(action: ScriptAction, value: unknown): string | Lyric {
  return action === "lyric" ? checkLyric(value) : checkAddress(value);
}

const invalid = () => new AppError("upstream_changed", "脚本返回的结果无效");
