import { address, bool, group, key, seconds, text } from "../key.ts";

export const webdavSection = group("WebDAV 音源", "WebDAV as a source", {
  enable: key(bool(false), "启用", "use it"),
  url: key(address("https://example.com/dav"), "WebDAV 地址", "address of the WebDAV server"),
  username: key(text(""), "用户名", "user name"),
  password: key(text(""), "密码", "password", { secret: true }),
  paths: group("WebDAV 上的目录", "folders on the WebDAV server", {
    audio: key(text("/cache_audio"), "音频缓存目录", "cached audio"),
    local: key(text("/audio"), "本地音乐目录", "local music"),
    temp: key(text("/temp"), "临时文件目录", "temporary files"),
  }),
  ssl_verify: key(bool(true), "验证证书", "check the certificate"),
  timeout: key(seconds(30, 0.1), "期限（秒）", "deadline (seconds)"),
  index_on_startup: key(bool(true), "启动时建立索引", "index at start"),
  index_refresh_interval: key(seconds(3600), "索引刷新间隔（秒）", "time between index runs (seconds)"),
  direct_url: key(
    bool(false),
    "给客户端直接地址（含密码，慎用）",
    "hand out the direct address (holds the password: take care)",
  ),
  proxy_auth: key(bool(true), "经本服务器转发", "pass the bytes through this server"),
});

export const webdavServerSection = group("WebDAV 服务", "our WebDAV server", {
  enable: key(bool(false), "在 /dav/ 提供音乐库与缓存", "offer library and cache at /dav/"),
});
