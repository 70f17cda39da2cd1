import qrcode from "qrcode-generator";
import { escapeHtml } from "./escape-html.ts";

/** What the landing page shows. Every text is escaped; some come from the request or the config. */
export interface LandingFacts {
  title: string;
  intro: string;
  version: string;
  /** Address to paste into LX Music; undefined when the script is not offered. */
  scriptUrl: string | undefined;
  needsKey: boolean;
  /** The qualities that the script offers to clients. */
  sources: { name: string; enabled: boolean; qualities: string[] }[];
}

/** The config's "put your own here" of name and description. */
const UNSET = /^修改为你的/;

/** The page that a browser sees at `/`. */
export function landingPage(facts: LandingFacts): string {
  const title = UNSET.test(facts.title) ? "LX Music API Server" : facts.title;
  const intro = UNSET.test(facts.intro) ? "为 LX Music 提供播放地址、歌词与封面" : facts.intro;
  return `<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="/docs/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<main>
<header>
<img src="/docs/icon.svg" alt="" width="56" height="56">
<div>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(intro)}</p>
</div>
</header>
${facts.scriptUrl === undefined ? "" : scriptSection(facts.scriptUrl, facts.needsKey)}
<section>
<h2>平台与音质 <small lang="en">Platforms and qualities</small></h2>
<ul class="platforms">
${facts.sources.map(platform).join("\n")}
</ul>
</section>
<footer><a href="/docs">API</a> <span>lx-music-api-server ${escapeHtml(facts.version)}</span></footer>
</main>
${facts.scriptUrl === undefined ? "" : '<script src="/docs/copy.js"></script>'}
</body>
</html>
`;
}

function platform({ name, enabled, qualities }: LandingFacts["sources"][number]): string {
  const on = enabled && qualities.length > 0;
  const offered = on
    ? qualities.map((quality) => `<span>${escapeHtml(quality)}</span>`).join("")
    : '<em>已停用 <small lang="en">off</small></em>';
  return `<li${on ? "" : ' class="off"'}><b>${escapeHtml(name)}</b><div>${offered}</div></li>`;
}

function scriptSection(url: string, needsKey: boolean): string {
  const address = needsKey ? `${url}?key=你的key` : url;
  const key = needsKey
    ? '<li>把“你的key”换成管理员给你的 key <small lang="en">Put your key where it says 你的key</small></li>'
    : "";
  return `<section>
<h2>添加到 LX Music <small lang="en">Add to LX Music</small></h2>
<div class="add">
<div>
<div class="address"><code id="address">${escapeHtml(address)}</code><button id="copy" type="button" hidden>复制</button></div>
<ol>
<li>复制上面的地址<span class="wide">，或用手机扫码</span> <small lang="en">Copy the address<span class="wide">, or scan it</span></small></li>
${key}
<li>设置 → 自定义源管理 → 在线导入，粘贴 <small lang="en">Settings → Custom Source Management → Online import, paste</small></li>
<li>选用此源，播放 <small lang="en">Select the source and play</small></li>
</ol>
</div>
${qrImage(address)}
</div>
</section>`;
}

/** Longest text that a code still shows well; longer ones have none. */
const QR_LIMIT = 300;

function qrImage(text: string): string {
  if (text.length > QR_LIMIT) return "";
  const code = qrcode(0, "M");
  code.addData(encodeURI(text));
  code.make();
  return `<img class="code" src="${code.createDataURL(4, 0)}" alt="二维码 / QR code" width="132" height="132">`;
}
