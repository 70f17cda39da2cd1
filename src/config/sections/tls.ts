import { type Static, Type } from "@sinclair/typebox";
import { address, bool, choice, count, group, key, list, port, seconds, text } from "../key.ts";

const path = (zh: string, en: string) => key(text(""), zh, en);

const sniEntry = group("", "", {
  name: key(
    text(""),
    "域名，可用 *.example.com；留空则取证书里的全部名称",
    "host name, *.example.com is possible; empty: all names in the certificate",
  ),
  cert: path("证书（含中间证书）", "certificate with its chain"),
  privkey: path("私钥", "private key"),
});

const acmeSection = group(
  "自动签发证书（ACME，例如 Let's Encrypt）",
  "automatic certificates (ACME, as Let's Encrypt)",
  {
    directory_url: key(
      address(""),
      "ACME 目录地址；留空为 Let's Encrypt",
      "address of the ACME directory; empty: Let's Encrypt",
    ),
    staging: key(
      bool(false),
      "使用 Let's Encrypt 的测试环境（证书不受信任，用于试验）",
      "Let's Encrypt's staging server (not trusted, for trying out)",
    ),
    email: key(text(""), "联系邮箱，可留空", "contact address, may stay empty"),
    names: key(
      list(Type.String({ minLength: 1 }), []),
      "要签发的域名；留空则用 ssl_info.names。通配符需要 dns-01",
      "names to get a certificate for; empty: ssl_info.names. Wildcards need dns-01",
    ),
    challenge: key(
      choice("http-01", ["http-01", "dns-01"]),
      "验证方式：http-01（公网 80 端口须通到本程序的 HTTP 端口）或 dns-01（由下面的程序添加 TXT 记录）",
      "proof: http-01 (port 80 of the names must lead to an HTTP port of ours) or dns-01 (the program below sets TXT records)",
    ),
    dns_hook: path(
      "dns-01 的程序：以 present|cleanup、记录名、记录值为参数运行，成功时退出码为 0",
      "program for dns-01: run with present|cleanup, the record's name and its value; exit code 0 means done",
    ),
    dns_wait: key(
      seconds(30),
      "dns_hook 之后等待记录生效的时间（秒）",
      "wait for the record to spread after dns_hook (seconds)",
    ),
    eab_kid: key(text(""), "外部账号绑定（EAB）的 kid", "key id of the external account binding (EAB)"),
    eab_hmac: key(text(""), "外部账号绑定（EAB）的 HMAC 密钥（base64url）", "HMAC key of the EAB (base64url)", {
      secret: true,
    }),
    renew_share: key(
      Type.Number({ default: 0.333, minimum: 0.05, maximum: 0.9 }),
      "剩余有效期低于此比例时续期（服务器给出 ARI 时间时以其为准）",
      "renew when this share of the lifetime is left (a server's ARI window comes first)",
    ),
    retry_after: key(
      seconds(300, 1),
      "签发失败后首次重试的间隔（秒），之后逐次加倍，最长一天",
      "wait after a failure (seconds), doubled each time up to a day",
    ),
    ca_file: path(
      "私有 ACME 服务器的 CA 证书（PEM）；留空用系统内置",
      "CA certificate (PEM) of a private ACME server; empty: the built-in ones",
    ),
  },
);

export const tlsSection = group("HTTPS", "HTTPS", {
  is_https: key(bool(false), "前面的反向代理使用 https", "the proxy in front speaks https"),
  enable: key(bool(false), "本程序监听 https", "listen for https ourselves", { restart: true }),
  ssl_ports: key(list(port(), [443]), "HTTPS 端口", "HTTPS ports", { restart: true }),
  mode: key(
    choice("auto", ["auto", "files", "self-signed", "acme"]),
    "证书来源：files（path 中的文件）、self-signed（自签名）、acme（自动签发）；auto：设置了 path 用文件，设置了 acme.names 自动签发，否则自签名",
    "where the certificate comes from: files (those in path), self-signed, acme; auto: files when path is set, acme when acme.names is set, else self-signed",
  ),
  path: group("证书文件", "certificate files", {
    cert: key(text("/path/to/your/cer"), "证书（含中间证书）", "certificate with its chain"),
    privkey: key(text("/path/to/your/private/key"), "私钥", "private key"),
  }),
  names: key(
    list(Type.String({ minLength: 1 }), []),
    "本服务器的域名或地址。自签名证书会自动加上 localhost、主机名与局域网地址",
    "names or addresses of this server. A self-signed certificate also gets localhost, the host's name and LAN addresses",
  ),
  sni: key(
    list(sniEntry, []),
    "其他域名的证书：[{ name, cert, privkey }]",
    "certificates of further names: [{ name, cert, privkey }]",
  ),
  local_ca: key(
    bool(true),
    "自签名证书由本机的小型 CA 签发，手机在 /ca 页面信任一次即可",
    "self-signed certificates come from a small CA of our own, which a phone trusts once by the page /ca",
  ),
  key_type: key(
    choice("ec", ["ec", "rsa"]),
    "新证书的密钥：ec（P-256）或 rsa（2048 位，供很旧的设备）",
    "key of new certificates: ec (P-256) or rsa (2048 bits, for very old devices)",
  ),
  acme: acmeSection,
  watch_interval: key(
    seconds(10, 1),
    "检查证书文件是否更换的间隔（秒）",
    "how often certificate files are looked at for changes (seconds)",
  ),
  min_version: key(choice("TLSv1.2", ["TLSv1.2", "TLSv1.3"]), "最低 TLS 版本", "lowest TLS version"),
  max_version: key(choice("TLSv1.3", ["TLSv1.2", "TLSv1.3"]), "最高 TLS 版本", "highest TLS version"),
  ciphers: key(
    text(""),
    "TLS 1.2 的加密套件（OpenSSL 写法）；留空为现代列表",
    "cipher suites of TLS 1.2 (OpenSSL form); empty: a modern list",
  ),
  http2: key(bool(true), "HTTPS 上启用 HTTP/2", "HTTP/2 on HTTPS", { restart: true }),
  http3: key(bool(false), "启用 HTTP/3（UDP，试验性）", "HTTP/3 (UDP, experimental)", { restart: true }),
  redirect_http: key(bool(false), "把 HTTP 转到 HTTPS", "redirect HTTP to HTTPS"),
  hsts: key(count(0), "HSTS 的有效期（秒），0 为不发送", "HSTS max-age (seconds), 0: not sent"),
});

/** `common.ssl_info` */
export type TlsSettings = Static<typeof tlsSection>;
