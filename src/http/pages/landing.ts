import { escapeHtml } from "./escape-html.ts";

/** What the landing page shows. Every text is escaped; some come from the request or the config. */
export interface LandingFacts {
  title: string;
  intro: string;
  version: string;
  /** Address to paste into LX Music; undefined when the script is not offered. */
  scriptUrl: string | undefined;
  needsKey: boolean;
  sources: { name: string; enabled: boolean; qualities: string[] }[];
}

/** The page that a browser sees at `/`. */
export function landingPage(facts: LandingFacts): string {
  const sources = facts.sources.map(
    (item) =>
      `<li class="${item.enabled ? "on" : "off"}" title="${escapeHtml(item.qualities.join(" "))}">${escapeHtml(item.name)}</li>`,
  );
  return `<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(facts.title)}</title>
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<main>
<h1>${escapeHtml(facts.title)}</h1>
<p>${escapeHtml(facts.intro)}</p>
${facts.scriptUrl === undefined ? "" : scriptSection(facts.scriptUrl, facts.needsKey)}
<section>
<h2>平台 / Platforms</h2>
<ul>${sources.join("")}</ul>
</section>
<footer>lx-music-api-server ${escapeHtml(facts.version)} · <a href="/docs">API</a></footer>
</main>
</body>
</html>
`;
}

function scriptSection(url: string, needsKey: boolean): string {
  const hint = needsKey ? "<p>把“你的key”换成服务器给你的 key。Put your key in its place.</p>" : "";
  return `<section>
<h2>添加到 LX Music / Add to LX Music</h2>
<p>设置 → 自定义源 → 在线导入，粘贴此地址。<br>Settings → Custom source → Import online, paste this address.</p>
<code>${escapeHtml(needsKey ? `${url}?key=你的key` : url)}</code>
${hint}
</section>`;
}
