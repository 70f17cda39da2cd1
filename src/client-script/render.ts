import { SOURCE_IDS, SOURCE_NAMES, type SourceId } from "../core/types.ts";
import template from "./source.lx.js" with { type: "text" };

/** What the generated script carries. Every value is treated as hostile: it may come from a request. */
export interface ScriptSettings {
  name: string;
  intro: string;
  author: string;
  version: string;
  dev: boolean;
  update: boolean;
  /** Qualities per platform, in the order in which they are shown. */
  quality: Partial<Record<SourceId, readonly string[]>>;
  /** Address of this server without a trailing slash. */
  url: string;
  /** Request key, or empty. */
  key: string;
  homepage?: string;
}

/** UTF-16 units that a client shows of each header line; longer ones are cut with "..." there. */
const HEADER_LIMITS = { name: 24, description: 36, author: 56, homepage: 1024, version: 36 } as const;

/** What LX Music's clients offer; further ones would be dropped there. */
const CLIENT_QUALITIES = new Set(["128k", "320k", "flac", "flac24bit"]);

export interface RenderedScript {
  text: string;
  /** Of the text with an empty md5: what `checkUpdate` compares. */
  md5: string;
}

/** The LX custom source for this server. @see test/client-script: both clients' limits, and hostile values. */
export function renderScript(settings: ScriptSettings): RenderedScript {
  const md5 = new Bun.CryptoHasher("md5").update(assemble(settings, "")).digest("hex");
  return { text: assemble(settings, md5), md5 };
}

function assemble(settings: ScriptSettings, md5: string): string {
  const quality: Partial<Record<SourceId, string[]>> = {};
  const names: Partial<Record<SourceId, string>> = {};
  const order = Object.keys(settings.quality).filter((id): id is SourceId =>
    (SOURCE_IDS as readonly string[]).includes(id),
  );
  for (const id of order) {
    const offered = (settings.quality[id] ?? []).filter((item) => CLIENT_QUALITIES.has(item));
    if (offered.length === 0) continue;
    quality[id] = offered;
    names[id] = SOURCE_NAMES[id];
  }
  const config = {
    url: settings.url,
    key: settings.key,
    dev: settings.dev,
    update: settings.update,
    md5,
    quality,
    names,
  };
  return `${header(settings)}\n'use strict'\n\nconst CONFIG = ${scriptJson(config)}\n\n${template}`;
}

/** The first block comment; clients read name and version from it. Starts at index 0, or the import fails. */
function header(settings: ScriptSettings): string {
  const rows: [keyof typeof HEADER_LIMITS, string][] = [
    ["name", settings.name],
    ["description", settings.intro],
    ["version", settings.version],
    ["author", settings.author],
  ];
  if (settings.homepage) rows.push(["homepage", settings.homepage]);
  const lines = rows.map(([name, value]) => ` * @${name} ${headerText(value, HEADER_LIMITS[name])}`);
  return `/*!\n${lines.join("\n")}\n */`;
}

/** One line that cannot end the comment, nor a script element around it. Clients count UTF-16 units. */
function headerText(value: string, limit: number): string {
  const safe = value
    .toWellFormed()
    .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .replaceAll("*/", "* /")
    .replace(/<(?=[!/]|script)/gi, "< ")
    .trim();
  let cut = "";
  for (const character of safe) {
    if (cut.length + character.length > limit) break;
    cut += character;
  }
  return cut.trim() || "-";
}

/** JSON that is a JavaScript literal in every engine and cannot close a script element. */
function scriptJson(value: unknown): string {
  return JSON.stringify(value, null, 2)
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029")
    .replaceAll("<", "\\u003c");
}
