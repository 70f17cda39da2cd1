import { Type } from "@sinclair/typebox";
import { bool, choice, count, group, key, list, port, seconds, text } from "../key.ts";

const share = (value: number) => Type.Number({ default: value, minimum: 0, maximum: 1 });
const milliseconds = (value: number, minimum = 0) => Type.Integer({ default: value, minimum, maximum: 3_600_000 });
const node = Type.String({ pattern: "^(?:\\[[0-9a-fA-F:.]+\\]|[^\\s:]+):\\d{1,5}$" });

/** Seconds for which an answer counts as fresh. */
const lifetimes = group("各类结果的有效期（秒）", "how long an answer counts as fresh (seconds)", {
  url_share: key(
    Type.Number({ default: 0.75, minimum: 0.05, maximum: 1 }),
    "播放地址：占平台有效期的比例",
    "playable address: share of the platform's own life",
  ),
  url_unlimited: key(
    seconds(86_400, 1),
    "播放地址：平台未说明有效期时",
    "playable address: when the platform states no end",
  ),
  lyric: key(seconds(259_200), "歌词", "lyric"),
  info: key(seconds(86_400), "歌曲信息，之后在后台更新", "song info, renewed in the background afterwards"),
  pic: key(seconds(86_400), "封面地址", "cover address"),
  search: key(seconds(600), "搜索", "search"),
  suggest: key(seconds(1800), "搜索联想", "search suggestions"),
  hot: key(seconds(1800), "热搜", "hot words"),
  playlist: key(seconds(1800), "歌单", "playlist"),
  album: key(seconds(86_400), "专辑", "album"),
  board: key(seconds(3600), "榜单", "board"),
  comment: key(seconds(600), "评论", "comments"),
  mv: key(seconds(3600), "MV", "music video"),
});

const negative = group("失败结果的保留时间（秒），0 为不保留", "how long a refusal is kept (seconds), 0: not at all", {
  no_copyright: key(seconds(7200), "无版权", "no copyright"),
  not_found: key(seconds(3600), "歌曲不存在", "no such song"),
  needs_purchase: key(seconds(600), "需要会员或购买", "membership or purchase needed"),
  needs_login: key(seconds(60), "需要登录", "sign-in needed"),
  quality: key(seconds(600), "没有该音质", "quality not offered"),
  refused: key(seconds(30), "平台拒绝，原因未知", "refused without a known reason"),
  verify: key(seconds(15), "要求验证", "verification asked for"),
  fault: key(seconds(3), "连接失败或响应异常", "no answer, or one in an unknown form"),
});

const stale = group("过期结果的使用（秒），播放地址除外", "use of answers past their time (seconds); never addresses", {
  while_revalidate: key(
    seconds(2_592_000),
    "歌词与信息：过期后先给旧的，同时在后台更新",
    "lyric and info: the old answer at once, renewed in the background",
  ),
  if_error: key(seconds(604_800), "平台出错时给出旧的", "the old answer when the platform fails"),
});

const heal = group(
  "地址自愈：同一客户端在几秒内再次请求同一首歌，视为地址失效",
  "self-healing: the same client asking for the same song again within seconds means that the address was bad",
  {
    enable: key(bool(true), "启用", "use it"),
    min_gap: key(seconds(1), "小于此间隔视为重复请求（秒）", "sooner is a mere repeat (seconds)"),
    window: key(seconds(10), "大于此间隔视为正常重播（秒）", "later is a mere replay (seconds)"),
    cool_down: key(
      seconds(60),
      "同一首歌两次更换的最小间隔（秒）",
      "least time between two renewals of a song (seconds)",
    ),
    per_client: key(count(6, 0, 10_000), "每客户端每分钟上限", "renewals per client and minute"),
    total: key(count(60, 0, 100_000), "全部客户端每分钟上限", "renewals per minute, all clients"),
    mark: key(seconds(600), "避开失效来源的时间（秒）", "how long the route that gave it is avoided (seconds)"),
  },
);

const redis = group("Redis", "Redis", {
  mode: key(
    choice("standalone", ["standalone", "sentinel", "cluster"]),
    "单机、哨兵或集群",
    "one server, sentinels or a cluster",
    { restart: true },
  ),
  host: key(text("127.0.0.1"), "地址", "host", { restart: true }),
  port: key({ ...port(), default: 6379 }, "端口", "port", { restart: true }),
  nodes: key(
    list(node, []),
    "哨兵或集群节点 host:port；集群留空则用 host 与 port",
    "sentinels or cluster nodes as host:port; cluster, empty: host and port",
    { restart: true },
  ),
  sentinel_name: key(text("mymaster"), "哨兵中的主节点名", "name of the master at the sentinels", { restart: true }),
  sentinel_user: key(text(""), "哨兵用户名", "user at the sentinels", { restart: true }),
  sentinel_password: key(text(""), "哨兵密码", "password at the sentinels", { secret: true, restart: true }),
  db: key(count(0, 0, 65_535), "库号，集群只有 0", "database number; a cluster has only 0", { restart: true }),
  user: key(text(""), "用户名", "user", { restart: true }),
  password: key(text(""), "密码", "password", { secret: true, restart: true }),
  key_prefix: key(text("LXAPISERVER"), "键前缀", "prefix of every key", { restart: true }),
  tls: key(bool(false), "TLS 连接", "connect with TLS", { restart: true }),
  tls_ca: key(text(""), "验证服务器的 CA 证书文件（PEM）", "file with the server's CA (PEM)", { restart: true }),
  tls_cert: key(text(""), "客户端证书文件（PEM）", "file with the client certificate (PEM)", { restart: true }),
  tls_key: key(text(""), "客户端私钥文件（PEM）", "file with the client's key (PEM)", { restart: true }),
  tls_server_name: key(text(""), "证书上的名称，留空则为 host", "name on the certificate; empty: the host", {
    restart: true,
  }),
  deadline: key(milliseconds(100, 1), "单次操作的期限（毫秒）", "deadline of one operation (ms)", { restart: true }),
});

export const cacheSection = group("缓存", "cache", {
  adapter: key(
    choice("sql", ["sql", "redis", "memory"]),
    "内存之后的一层：sql（SQLite）、redis（Redis 再加 SQLite）、memory（仅内存）",
    "what stands behind memory: sql (SQLite), redis (Redis, then SQLite), memory (nothing)",
    { restart: true },
  ),
  memory: key(bool(true), "使用内存层", "use the memory tier", { restart: true }),
  memory_bytes: key(count(32 << 20), "内存缓存上限（字节）", "memory tier (bytes)", { restart: true }),
  sqlite: group("SQLite 层", "SQLite tier", {
    enable: key(bool(true), "adapter 为 sql 或 redis 时使用", "use it with adapter sql or redis", { restart: true }),
    max_rows: key(count(1_000_000, 100), "行数上限", "rows", { restart: true }),
    max_bytes: key(count(1 << 30, 1 << 16), "内容上限（字节）", "contents (bytes)", { restart: true }),
    flush: key(milliseconds(50, 1), "批量写入的间隔（毫秒）", "gap between batches of writes (ms)", { restart: true }),
  }),
  redis,
  compress_bytes: key(
    count(1024, 64),
    "大于此长度的内容以 zstd 压缩（字节，内存层除外）",
    "longer contents are compressed with zstd (bytes; not in memory)",
    { restart: true },
  ),
  lifetimes,
  negative,
  stale,
  sliding: key(
    list(Type.String({ pattern: "^(?:lyric|info|pic|album)$" }), []),
    "命中时延长有效期的类别：lyric info pic album",
    "kinds whose life a hit prolongs: lyric info pic album",
  ),
  jitter: key(
    share(0.05),
    "有效期的随机缩短比例，避免同时过期（播放地址除外）",
    "random shortening of lifetimes against synchronous expiry (not of addresses)",
  ),
  never: key(
    list(Type.String({ pattern: "^/[\\w/-]+$" }), []),
    "从不缓存的路由，如 /search 或 /url/kg",
    "routes that are never cached, such as /search or /url/kg",
  ),
  heal,
  wait: key(
    seconds(15, 0.1),
    "等待他人正在获取的同一结果的期限（秒），之后答复 503",
    "how long to wait for the same answer being fetched (seconds), then 503",
  ),
  lock: key(
    seconds(5, 0.5),
    "多实例锁的有效期（秒），持有者自动续期",
    "life of the lock between instances (seconds), renewed by its owner",
    { restart: true },
  ),
  refreshes: key(count(8, 0, 1000), "同时进行的后台更新数", "background renewals at a time"),
  breaker: group("缓存层故障时的退避", "back-off from a tier that fails", {
    failures: key(count(2, 1, 1000), "连续失败几次后停用", "failures in a row that take it out", { restart: true }),
    base: key(milliseconds(500, 1), "首次重试前的间隔（毫秒）", "pause before the first new try (ms)", {
      restart: true,
    }),
    max: key(milliseconds(30_000, 1), "最长间隔（毫秒）", "longest pause (ms)", { restart: true }),
  }),
  warm_gap: key(milliseconds(500), "预热时请求的最小间隔（毫秒）", "least gap between requests while warming (ms)"),
});
