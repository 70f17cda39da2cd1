import { Type } from "@sinclair/typebox";
import { address, bool, choice, count, group, key, list, seconds, text } from "../key.ts";

export const webdavSection = group("WebDAV 音源", "WebDAV as a source", {
  enable: key(bool(false), "启用", "use it"),
  url: key(address("https://example.com/dav"), "WebDAV 地址", "address of the WebDAV server"),
  username: key(text(""), "用户名", "user name"),
  password: key(text(""), "密码", "password", { secret: true }),
  auth: key(
    choice("auto", ["auto", "basic", "digest"]),
    "认证方式，auto 按服务器的要求",
    "how to sign in, auto: as the server asks",
  ),
  paths: group("WebDAV 上的目录", "folders on the WebDAV server", {
    audio: key(text("/cache_audio"), "音频缓存目录", "cached audio"),
    local: key(text("/audio"), "本地音乐目录", "local music"),
    temp: key(text("/temp"), "临时文件目录", "temporary files"),
  }),
  ssl_verify: key(bool(true), "验证证书", "check the certificate"),
  timeout: key(seconds(30, 0.1), "期限（秒）", "deadline (seconds)"),
  idle_timeout: key(seconds(30, 0.1), "传输中无数据的期限（秒）", "deadline without a byte while sending (seconds)"),
  rest: key(seconds(30), "服务器无响应后停用的时间（秒）", "rest after the server did not answer (seconds)"),
  index_on_startup: key(bool(true), "启动时建立索引", "index at start"),
  index_refresh_interval: key(
    seconds(3600),
    "索引刷新间隔（秒），0 为关闭",
    "time between index runs (seconds), 0: never",
  ),
  max_files: key(count(200_000, 1), "索引的文件数上限", "most files in the index"),
  max_depth: key(count(16, 1, 64), "索引的目录层数上限", "deepest folder in the index"),
  direct_url: key(
    bool(false),
    "给客户端直接地址（含密码，慎用）",
    "hand out the direct address (holds the password: take care)",
  ),
  proxy_auth: key(
    bool(true),
    "经本服务器转发；关闭则给出不含密码的直接地址",
    "pass the bytes through this server; off: hand out the direct address without the password",
  ),
  mirror: group("上传到 WebDAV", "upload to the WebDAV server", {
    enable: key(bool(false), "把新缓存的音频和封面上传", "upload newly cached audio and covers"),
    parallel: key(count(2, 1, 16), "同时上传的文件数", "uploads at once"),
    retries: key(count(8, 0, 100), "失败后的重试次数", "further tries after a failure"),
    retry_delay: key(
      seconds(30, 0.05),
      "首次重试前的等待（秒），之后加倍",
      "wait before the first retry (seconds), then doubled",
    ),
    queue: key(count(10_000, 1), "队列上限（文件）", "most files in the queue"),
    delete: key(bool(false), "本地删除时也删除远端文件", "delete there what is deleted here"),
  }),
});

export const webdavServerSection = group("WebDAV 服务", "our WebDAV server", {
  enable: key(bool(false), "在 /dav/ 提供音乐库与缓存", "offer library and cache at /dav/"),
  writable: key(bool(true), "管理员可写入上传目录", "admins may write into the upload folder"),
  max_bytes: key(count(1 << 30, 1024), "单个上传文件的上限（字节）", "largest uploaded file (bytes)"),
  lock_timeout: key(seconds(3600, 1), "锁的最长有效期（秒）", "longest life of a lock (seconds)"),
  max_entries: key(count(20_000, 1), "一次列目录的条目上限", "most entries in one listing"),
  infinite_depth: key(bool(false), "允许 Depth: infinity 列目录", "allow listings of infinite depth"),
  hide: key(
    list(Type.String(), [".DS_Store", "._*", "Thumbs.db", "desktop.ini"]),
    "不显示的文件名，* 为通配",
    "names that are not shown, * matches any text",
  ),
});
