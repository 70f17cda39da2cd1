import { bool, choice, count, group, key, seconds, text } from "../key.ts";

const GIB = 1 << 30;

export const audioSection = group("音频缓存", "audio cache", {
  enable: key(bool(true), "把播放过的音频下载到本地", "download what has been played"),
  path: key(text("./cache_audio"), "保存目录（相对于数据目录）", "folder (relative to the data folder)", {
    restart: true,
  }),
  quota: key(
    count(20 * GIB),
    "总大小上限（字节），超过时删除最久未播放的，0 为不限",
    "most bytes; the longest unplayed go first; 0: no limit",
  ),
  max_age: key(seconds(0), "多久未播放后删除（秒），0 为不删除", "delete when not played for (seconds), 0: never"),
  min_free: key(count(GIB / 2), "磁盘至少保留的空间（字节）", "disk space that stays free (bytes)"),
  max_file: key(count(GIB, 1024), "单个文件上限（字节）", "largest file (bytes)"),
  parallel: key(count(3, 1, 64), "同时下载数", "downloads at once"),
  per_host: key(count(2, 1, 64), "每个主机的同时下载数", "downloads at once per host"),
  host_gap: key(
    count(200, 0, 60_000),
    "同一主机两次下载的最小间隔（毫秒）",
    "least gap between downloads of one host (ms)",
  ),
  bandwidth: key(count(0), "下载总带宽（字节/秒），0 为不限", "bandwidth of all downloads (bytes/s), 0: no limit"),
  queue: key(count(200, 1, 100_000), "排队下载的上限，超过则不缓存", "most waiting downloads; more are not cached"),
  retries: key(count(4, 0, 20), "下载中断后的续传次数", "how often a broken download is resumed"),
  stall: key(seconds(20, 0.1), "多久没有数据算中断（秒）", "a download without data for so long is broken (seconds)"),
  tolerance: key(seconds(3), "时长允许的偏差（秒），至少 2 %", "how far the length may be off (seconds), 2 % at least"),
  spectrum: key(
    bool(true),
    "拒绝由有损音频转成的无损文件（按频谱判断）",
    "refuse lossless files made of lossy ones (judged by their spectrum)",
  ),
  refusal_memory: key(
    seconds(86_400),
    "被判为假的来源多久后再试（秒）",
    "how long a route that gave a fake is not tried again (seconds)",
  ),
  verify_found: key(
    bool(true),
    "在后台检查目录中原有的文件，损坏的不再提供",
    "check files found in the folder, in the background; broken ones are not served",
  ),
  rescan: key(seconds(300, 1), "核对目录的间隔（秒）", "time between looks at the folder (seconds)"),
  tag: key(bool(true), "写入标签、歌词与封面", "write tags, lyrics and cover"),
  id3_version: key(choice("2.4", ["2.3", "2.4"]), "MP3 标签版本 2.3 或 2.4", "version of MP3 tags: 2.3 or 2.4"),
  covers: key(bool(true), "缓存封面", "keep covers"),
  tree: group(
    "按 歌手/专辑/NN - 歌名 存放，供 Navidrome、Jellyfin 读取",
    "Artist/Album/NN - Title for Navidrome and Jellyfin",
    {
      mode: key(
        choice("off", ["off", "beside", "instead"]),
        "off 不使用，beside 另存（硬链接），instead 代替平铺目录",
        "off, beside (hard links) or instead of the flat folder",
        { restart: true },
      ),
      path: key(text("./music"), "目录（相对于数据目录）", "folder (relative to the data folder)", { restart: true }),
    },
  ),
});
