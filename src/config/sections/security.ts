import { Type } from "@sinclair/typebox";
import { bool, choice, count, group, key, list, seconds, text } from "../key.ts";

const LOCAL_HOSTS = ["localhost", "0.0.0.0", "127.0.0.1"];

const limitRule = group("一条规则", "one rule", {
  scope: key(choice("ip", ["global", "ip", "key"]), "按全局、地址或 key 计数", "count for all, per address or per key"),
  groups: key(
    list(Type.String(), []),
    "适用的接口组 url info file script auth manage dav；留空为全部",
    "route groups: url info file script auth manage dav; empty: all",
  ),
  requests: key(count(60, 1, 1_000_000), "允许的请求数", "so many requests"),
  seconds: key(seconds(60, 0.001), "在多少秒内", "in so many seconds"),
  burst: key(count(0, 0, 1_000_000), "其中可以同时到达的数量，0 为全部", "of which so many at once, 0: all"),
});

const rateLimit = group("请求间隔与频率", "gaps and rates", {
  global: key(seconds(0), "全局最小间隔（秒），0 为不限", "least gap for all together (seconds), 0: no limit"),
  ip: key(seconds(0), "每地址最小间隔（秒），0 为不限", "least gap per address (seconds), 0: no limit"),
  rules: key(
    Type.Array(limitRule, { default: [], maxItems: 50 }),
    "更多规则，如 { scope: ip, groups: [url], requests: 60, seconds: 60, burst: 20 }",
    "further rules, such as { scope: ip, groups: [url], requests: 60, seconds: 60, burst: 20 }",
  ),
  shared: key(
    bool(false),
    "多实例时在 Redis 中计数、共享封禁与签名密钥",
    "count in Redis and share bans and link secrets: for several instances",
    { restart: true },
  ),
  addresses: key(
    count(1_000_000, 1000, 10_000_000),
    "同时计数的地址数上限（每个约 26 字节，IPv6 以 /64 计）",
    "addresses counted at the same time (about 26 bytes each; IPv6 by /64)",
    { restart: true },
  ),
});

const banlist = group("黑名单", "bans", {
  enable: key(bool(true), "启用", "check bans"),
  expire: group("过期", "expiry", {
    enable: key(bool(true), "封禁会过期", "bans end by themselves"),
    length: key(seconds(604_800), "默认时长（秒）", "default length (seconds)"),
  }),
  allow: key(
    list(Type.String(), []),
    "永不封禁的地址或网段（本机永不封禁）；loopback、private 可用",
    "never banned: addresses, CIDR, or the words loopback, private (loopback never is)",
  ),
  strikes: group("窗口内多少次违规后封禁，0 为不封禁", "so many offences in the window lead to a ban, 0: never", {
    key: key(count(1, 0, 10_000), "key 错误（security.key.ban 启用时）", "wrong keys (with security.key.ban)"),
    lxm: key(count(1, 0, 10_000), "lxm 错误（security.lxm_ban 启用时）", "failed lxm checks (with security.lxm_ban)"),
    host: key(count(1, 0, 10_000), "Host 不允许（blacklist 启用时）", "Host not allowed (with its blacklist)"),
    probe: key(count(200, 0, 10_000), "访问不存在的路径", "paths that do not exist"),
    login: key(count(30, 0, 10_000), "登录失败", "failed sign-ins"),
  }),
  window: key(seconds(600, 1), "违规计数的窗口（秒）", "window of that count (seconds)"),
  short_length: key(
    seconds(3600, 1),
    "探测与登录失败的首次封禁时长（秒）",
    "first ban for probing and failed sign-ins (seconds)",
  ),
  growth: key(
    Type.Number({ default: 2, minimum: 1, maximum: 100 }),
    "再次封禁时时长的倍数",
    "each further ban lasts so many times as long",
  ),
  max_length: key(seconds(2_592_000, 1), "时长上限（秒）", "longest automatic ban (seconds)"),
});

const admin = group("管理后台", "management", {
  token_lifetime: key(
    seconds(600, 60),
    "登录令牌的有效期（秒），会自动续期",
    "life of a signed token (seconds), renewed",
  ),
  session_lifetime: key(seconds(1_209_600, 600), "不使用时会话保留多久（秒）", "life of an unused session (seconds)"),
  password_length: key(count(10, 8, 128), "密码最短长度（字符）", "shortest password (characters)"),
  lockout_attempts: key(count(5, 1, 100), "连续失败多少次后锁定", "failed sign-ins before the lock"),
  lockout_length: key(seconds(900, 1), "锁定时长（秒）", "length of the lock (seconds)"),
});

export const securitySection = group("安全", "security", {
  rate_limit: rateLimit,
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
      length: key(seconds(0), "封禁时长（秒），0 为默认时长", "length of the ban (seconds), 0: the default length"),
    }),
    list: key(list(Type.String(), LOCAL_HOSTS), "Host 列表（不带端口）", "names without port"),
  }),
  banlist,
  signed_links: key(
    bool(true),
    "给出的 /cache /local /webdav 地址带签名；关闭则任何人可访问",
    "addresses of ours (/cache /local /webdav) carry a signature; off: open to all",
  ),
  signed_link_lifetime: key(seconds(86_400, 60), "签名地址的有效期（秒）", "life of a signed address (seconds)"),
  signed_link_skew: key(seconds(60, 0), "允许的时钟误差（秒）", "tolerated difference of clocks (seconds)"),
  signed_link_rotation: key(
    seconds(2_592_000, 3600),
    "签名密钥的更换周期（秒）",
    "age at which the signing secret is replaced (seconds)",
    { restart: true },
  ),
  signed_link_secret: key(
    text(""),
    "固定的签名密钥，供没有 Redis 的多实例使用；留空则自动生成并保存在 lx.db",
    "a fixed signing secret, for several instances without Redis; empty: made by itself and kept in lx.db",
    { secret: true, restart: true },
  ),
  cors: group("跨域", "CORS", {
    enable: key(bool(true), "发送 CORS 头", "send CORS headers"),
    origins: key(list(Type.String(), ["*"]), "允许的来源，* 为全部", "accepted origins, *: all"),
    max_age: key(seconds(86_400), "浏览器缓存预检结果的时间（秒）", "how long browsers keep a preflight (seconds)"),
  }),
  ops: group("/health /ready /metrics", "/health /ready /metrics", {
    allow: key(
      list(Type.String(), ["loopback"]),
      "允许访问的地址或网段；loopback、private、all 可用",
      "who may ask: addresses, CIDR, or the words loopback, private, all",
    ),
  }),
  admin,
  body_limit: key(count(1 << 20, 1024), "请求体上限（字节）", "largest request body (bytes)"),
  idle_timeout: key(
    seconds(30, 1),
    "连接上没有数据时多久关闭（秒），限制慢速客户端",
    "a connection without data is closed after this (seconds): slow clients",
    { restart: true },
  ),
});
