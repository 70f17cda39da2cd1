import qrcode from "qrcode-generator";
import { escapeHtml } from "./escape-html.ts";

/** What the page about the local CA shows. */
export interface AuthorityFacts {
  /** Where a phone fetches the certificate. */
  address: string;
  subject: string;
  /** SHA-256, "AB:CD:…". */
  fingerprint: string;
  /** Unix ms. */
  notAfter: number;
}

const STEPS: [system: string, zh: string, en: string][] = [
  [
    "Android",
    "下载后：设置 → 安全 → 加密与凭据 → 安装证书 → CA 证书，选择下载的文件。",
    "Download, then Settings → Security → Encryption & credentials → Install a certificate → CA certificate.",
  ],
  [
    "iOS / iPadOS",
    "用 Safari 下载；设置 → 已下载描述文件 → 安装；再到 通用 → 关于本机 → 证书信任设置，打开它。",
    "Download with Safari; Settings → Profile Downloaded → Install; then General → About → Certificate Trust Settings, switch it on.",
  ],
  [
    "Windows",
    "双击文件 → 安装证书 → 本地计算机 → 受信任的根证书颁发机构。",
    "Open the file → Install Certificate → Local Machine → Trusted Root Certification Authorities.",
  ],
  [
    "macOS",
    "双击加入“钥匙串访问”，打开该证书 → 信任 → 始终信任。",
    "Open it in Keychain Access, open the certificate → Trust → Always Trust.",
  ],
  [
    "Linux",
    "复制到 /usr/local/share/ca-certificates/ 后运行 sudo update-ca-certificates；Chrome 与 Firefox 在各自设置中导入。",
    "Copy it to /usr/local/share/ca-certificates/ and run sudo update-ca-certificates; Chrome and Firefox import it in their settings.",
  ],
];

/** `/ca`: how a device is told to trust this server, once. No script, no inline style. */
export function authorityPage(facts: AuthorityFacts): string {
  const steps = STEPS.map(([system, zh, en]) => `<h2>${system}</h2>\n<p>${zh}<br>${en}</p>`).join("\n");
  return `<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>信任本服务器 / Trust this server</title>
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<main>
<h1>信任本服务器 / Trust this server</h1>
<p>本服务器用自己的小型 CA 签发 HTTPS 证书。在手机上信任它一次，之后就不再提示。<br>This server's HTTPS certificate comes from a small CA of its own. Trust it once on a device, and it stays quiet.</p>
<section>
<h2>用手机扫描 / Scan with the phone</h2>
${qrSvg(facts.address)}
<p><a href="/ca.crt">${escapeHtml(facts.address)}</a></p>
</section>
<section>
<h2>核对 / Compare</h2>
<p>安装前请核对指纹，与服务器上 <b>cert show ca</b> 的输出一致才可信任。<br>Before you install it, compare the fingerprint with what <b>cert show ca</b> prints on the server.</p>
<code>SHA-256 ${escapeHtml(facts.fingerprint)}</code>
<p>${escapeHtml(facts.subject)} · ${new Date(facts.notAfter).toISOString().slice(0, 10)}</p>
</section>
<section>
${steps}
</section>
</main>
</body>
</html>
`;
}

const QUIET_ZONE = 4;

/** One path of dark squares on white: readable in dark mode too. */
export function qrSvg(text: string): string {
  const code = qrcode(0, "M");
  code.addData(text);
  code.make();
  const count = code.getModuleCount();
  const size = count + 2 * QUIET_ZONE;
  let path = "";
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < count; column++) {
      if (code.isDark(row, column)) path += `M${column + QUIET_ZONE} ${row + QUIET_ZONE}h1v1h-1z`;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="240" height="240" viewBox="0 0 ${size} ${size}" role="img" aria-label="QR"><rect width="${size}" height="${size}" fill="#fff"/><path d="${path}" fill="#000" shape-rendering="crispEdges"/></svg>`;
}
