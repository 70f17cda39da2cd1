import { bool, choice, count, group, key, port, text } from "../key.ts";

export const cacheSection = group("缓存", "cache", {
  adapter: key(
    choice("sql", ["sql", "redis", "memory"]),
    "内存之后的一层：sql（SQLite）、redis（Redis 再加 SQLite）、memory（仅内存）",
    "what stands behind memory: sql (SQLite), redis (Redis, then SQLite), memory (nothing)",
    { restart: true },
  ),
  memory_bytes: key(count(32 << 20), "内存缓存上限（字节）", "memory tier (bytes)", { restart: true }),
  redis: group("Redis", "Redis", {
    host: key(text("127.0.0.1"), "地址", "host", { restart: true }),
    port: key({ ...port(), default: 6379 }, "端口", "port", { restart: true }),
    db: key(count(0, 0, 65_535), "库号", "database number", { restart: true }),
    user: key(text(""), "用户名", "user", { restart: true }),
    password: key(text(""), "密码", "password", { secret: true, restart: true }),
    key_prefix: key(text("LXAPISERVER"), "键前缀", "prefix of every key", { restart: true }),
    tls: key(bool(false), "TLS 连接", "connect with TLS", { restart: true }),
  }),
});
