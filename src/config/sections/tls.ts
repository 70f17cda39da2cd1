import { bool, count, group, key, list, port, text } from "../key.ts";

export const tlsSection = group("HTTPS", "HTTPS", {
  is_https: key(bool(false), "前面的反向代理使用 https", "the proxy in front speaks https"),
  enable: key(bool(false), "本程序监听 https", "listen for https ourselves", { restart: true }),
  ssl_ports: key(list(port(), [443]), "HTTPS 端口", "HTTPS ports", { restart: true }),
  path: group("证书文件", "certificate files", {
    cert: key(text("/path/to/your/cer"), "证书（含中间证书）", "certificate with its chain"),
    privkey: key(text("/path/to/your/private/key"), "私钥", "private key"),
  }),
  http2: key(bool(true), "HTTPS 上启用 HTTP/2", "HTTP/2 on HTTPS", { restart: true }),
  http3: key(bool(false), "启用 HTTP/3（UDP，试验性）", "HTTP/3 (UDP, experimental)", { restart: true }),
  redirect_http: key(bool(false), "把 HTTP 转到 HTTPS", "redirect HTTP to HTTPS"),
  hsts: key(count(0), "HSTS 的有效期（秒），0 为不发送", "HSTS max-age (seconds), 0: not sent"),
});
