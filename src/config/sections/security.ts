import { Type } from "@sinclair/typebox";
import { bool, count, group, key, list, seconds } from "../key.ts";

const LOCAL_HOSTS = ["localhost", "0.0.0.0", "127.0.0.1"];

export const securitySection = group("安全", "security", {
  rate_limit: group("请求间隔", "gap between requests", {
    global: key(seconds(0), "全局最小间隔（秒），0 为不限", "least gap for all together (seconds), 0: no limit"),
    ip: key(seconds(0), "每地址最小间隔（秒），0 为不限", "least gap per address (seconds), 0: no limit"),
  }),
  key: group("请求 key", "request key", {
    enable: key(bool(false), "只有带 X-Request-Key 的请求可以访问", "only requests with X-Request-Key may ask"),
    ban: key(bool(true), "key 错误时封禁地址", "ban addresses that send wrong keys"),
    values: key(list(Type.String({ minLength: 1 }), ["114514"]), "允许的 key", "accepted keys", { secret: true }),
  }),
  whitelist_host: key(
    list(Type.String(), LOCAL_HOSTS),
    "本机访问时不受限制的 Host（不带端口）",
    "Host names (no port) that are free of checks for peers on loopback",
  ),
  check_lxm: key(bool(false), "检查 lxm 请求头", "check the lxm header"),
  lxm_ban: key(bool(true), "lxm 错误时封禁地址", "ban addresses whose lxm fails"),
  allowed_host: group("允许的 Host", "accepted Host names", {
    enable: key(bool(false), "启用", "use the list"),
    blacklist: group("Host 不在列表时封禁", "ban others", {
      enable: key(bool(false), "启用", "do it"),
      length: key(seconds(0), "封禁时长（秒）", "length of the ban (seconds)"),
    }),
    list: key(list(Type.String(), LOCAL_HOSTS), "Host 列表（不带端口）", "names without port"),
  }),
  banlist: group("黑名单", "bans", {
    enable: key(bool(true), "启用", "check bans"),
    expire: group("过期", "expiry", {
      enable: key(bool(true), "封禁会过期", "bans end by themselves"),
      length: key(seconds(604_800), "默认时长（秒）", "default length (seconds)"),
    }),
  }),
  signed_links: key(
    bool(true),
    "给出的 /cache /local /webdav 地址带签名；关闭则任何人可访问",
    "addresses of ours (/cache /local /webdav) carry a signature; off: open to all",
  ),
  signed_link_lifetime: key(seconds(86_400, 60), "签名地址的有效期（秒）", "life of a signed address (seconds)"),
  cors: group("跨域", "CORS", {
    enable: key(bool(true), "发送 CORS 头", "send CORS headers"),
    origins: key(list(Type.String(), ["*"]), "允许的来源，* 为全部", "accepted origins, *: all"),
  }),
  ops: group("/health /ready /metrics", "/health /ready /metrics", {
    allow: key(
      list(Type.String(), ["loopback"]),
      "允许访问的地址或网段；loopback、private、all 可用",
      "who may ask: addresses, CIDR, or the words loopback, private, all",
    ),
  }),
  body_limit: key(count(1 << 20, 1024), "请求体上限（字节）", "largest request body (bytes)"),
});
