import { Type } from "@sinclair/typebox";
import { QUALITIES } from "../../core/types.ts";
import { address, bool, choice, count, group, key, list, port, seconds, text } from "../key.ts";
import { audioSection } from "./audio.ts";
import { cacheSection } from "./cache.ts";
import { librarySection } from "./library.ts";
import { scriptsSection } from "./scripts.ts";
import { tlsSection } from "./tls.ts";
import { webdavSection, webdavServerSection } from "./webdav.ts";

const qualityList = list(Type.Union(QUALITIES.map((quality) => Type.Literal(quality))), []);

export const downloadConfigSection = group("生成的源脚本", "the generated source script", {
  name: key(text("修改为你的源脚本名称"), "名称，客户端最多显示 24 字", "name, clients show 24 characters"),
  intro: key(text("修改为你的源脚本描述"), "描述，最多 36 字", "description, 36 characters"),
  author: key(text("修改为你的源脚本作者"), "作者，最多 56 字", "author, 56 characters"),
  version: key(text("修改为你的源版本"), "版本，最多 36 字", "version, 36 characters"),
  filename: key(text("lx-music-source.js"), "下载时的文件名", "file name of the download"),
  dev: key(bool(true), "开发模式：客户端打开控制台", "developer mode: the client opens its console"),
  update: key(bool(true), "检查更新并提醒", "check for updates and tell the user"),
  updateMsg: key(
    text("源脚本有更新啦，更新地址:\n{updateUrl}"),
    "更新提示，可用 {updateUrl} {url} {key}",
    "update message, may hold {updateUrl} {url} {key}",
  ),
  // A platform that the file leaves out is not offered; without the whole group all five are.
  quality: {
    ...group("向客户端提供的平台与音质", "platforms and qualities offered to clients", {
      kw: key(qualityList, "酷我", "Kuwo"),
      kg: key(qualityList, "酷狗", "Kugou"),
      tx: key(qualityList, "QQ 音乐", "QQ Music"),
      wy: key(qualityList, "网易云", "NetEase"),
      mg: key(qualityList, "咪咕", "Migu"),
    }),
    default: { kw: ["128k"], kg: ["128k"], tx: ["128k"], wy: ["128k"], mg: ["128k"] },
  },
});

export const commonSection = group("通用", "general", {
  hosts: key(
    Type.Array(Type.String({ minLength: 1 }), { default: ["0.0.0.0"], minItems: 1 }),
    "监听地址，IPv6 用 '::'",
    "addresses to listen on, IPv6: '::'",
    { restart: true },
  ),
  ports: key(Type.Array(port(), { default: [9763] }), "HTTP 端口，可多个", "HTTP ports, several are possible", {
    restart: true,
  }),
  unix_socket: key(text(""), "另外监听的 Unix 套接字路径", "path of a Unix socket to listen on as well", {
    restart: true,
  }),
  public_url: key(
    address(""),
    "外部访问地址，写进生成的脚本；留空则取自请求",
    "public address put into the generated script; empty: taken from the request",
  ),
  ssl_info: tlsSection,
  reverse_proxy: group("反向代理", "reverse proxy in front", {
    allow_public_ip: key(bool(false), "允许来自公网地址的转发", "accept forwarding from public addresses"),
    allow_proxy: key(bool(true), "允许被反向代理", "accept being behind a proxy"),
    real_ip_header: key(text("X-Real-IP"), "携带来源地址的请求头", "header that names the client's address"),
    trusted: key(
      list(Type.String(), []),
      "可信代理的地址或网段；留空且 allow_proxy 时为私有网段",
      "trusted proxies, addresses or CIDR; empty with allow_proxy: the private ranges",
    ),
    proxy_protocol: key(bool(false), "接受 PROXY protocol v1/v2", "accept PROXY protocol v1/v2", { restart: true }),
  }),
  debug_mode: key(bool(false), "调试模式：详细日志与 Server-Timing", "debug: verbose log and Server-Timing"),
  log_length_limit: key(count(500, 50, 100_000), "单个日志字段的最大长度（字符）", "longest log field (characters)"),
  log_file: key(bool(true), "写入 logs/ 目录", "write logs/ in the data folder", { restart: true }),
  log_format: key(
    choice("pretty", ["pretty", "json"]),
    "控制台日志格式 pretty 或 json",
    "console log form: pretty or json",
    {
      restart: true,
    },
  ),
  fakeip: key(
    Type.Union([Type.String(), Type.Null()], { default: "" }),
    "旧键，已忽略：本程序不伪造来源地址",
    "old key, ignored: this server does not forge addresses",
  ),
  proxy: group("访问平台时使用的代理", "proxy used towards the platforms", {
    enable: key(bool(false), "启用", "use it"),
    http_value: key(address("http://127.0.0.1:7890"), "HTTP 请求的代理", "proxy for http requests"),
    https_value: key(address("http://127.0.0.1:7890"), "HTTPS 请求的代理", "proxy for https requests"),
  }),
  upstream_gateway: key(
    address(""),
    "中转地址：所有平台请求发往 {gateway}/{scheme}/{host}{path}?{query}",
    "relay: every platform request goes to {gateway}/{scheme}/{host}{path}?{query}",
  ),
  upstream: group("平台请求的限制", "limits of platform requests", {
    deadline: key(seconds(10, 0.1), "单个请求的期限（秒）", "deadline of one request (seconds)"),
    total_deadline: key(
      seconds(18, 0.1),
      "一次解析的总期限（秒），客户端 20 秒放弃",
      "deadline of one resolution (seconds); clients give up at 20",
    ),
    max_bytes: key(count(8 << 20, 1024), "单个响应的上限（字节）", "largest reply (bytes)"),
    retries: key(count(1, 0, 5), "连接失败后的重试次数", "further tries after a connection fault"),
  }),
  cookiepool: key(bool(false), "使用 module.cookiepool 中的多账号", "use the accounts of module.cookiepool"),
  accounts: group("账号的使用", "use of accounts", {
    guest_first: key(bool(true), "游客可听的音质先用游客", "ask as a guest first where a guest may have it"),
    cool_down: key(seconds(900), "被限流或要求验证后的停用时间（秒）", "rest after 'verify' or 'too often' (seconds)"),
    daily_budget: key(count(0), "每账号每日请求上限，0 为不限", "requests per account and day, 0: no limit"),
    minimum_gap: key(
      Type.Integer({ default: 0, minimum: 0, maximum: 60_000 }),
      "同账号请求最小间隔（毫秒）",
      "least gap between requests of one account (ms)",
    ),
    write_back: key(bool(false), "把刷新后的凭据写回配置文件", "write refreshed tokens back into the config file"),
    warn_before: key(seconds(259_200), "过期前多久开始提醒（秒）", "how long before expiry to warn (seconds)"),
  }),
  allow_downgrade: key(
    bool(false),
    "没有所请求的音质时给出较低的",
    "serve a lower quality when the asked one is not to be had",
  ),
  allow_download_script: key(bool(true), "允许从 /script 下载脚本", "offer the script at /script"),
  download_config: downloadConfigSection,
  local_music: librarySection,
  remote_cache: audioSection,
  webdav_cache: webdavSection,
  webdav_server: webdavServerSection,
  cache: cacheSection,
  external_scripts: scriptsSection,
  shutdown_deadline: key(
    seconds(10),
    "停止时等待请求完成的期限（秒）",
    "how long a stop waits for running requests (seconds)",
  ),
});
