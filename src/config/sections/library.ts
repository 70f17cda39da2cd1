import { Type } from "@sinclair/typebox";
import { bool, count, group, key, list, seconds, text } from "../key.ts";

export const librarySection = group("服务器上的音乐", "music on the server", {
  audio_path: key(
    Type.Union([Type.String(), Type.Array(Type.String())], { default: "./audio" }),
    "音乐目录，可为列表",
    "music folder, or a list of folders",
    { restart: true },
  ),
  temp_path: key(text("./temp"), "临时目录", "folder for temporary files"),
  prefer: key(bool(false), "/url 优先使用服务器上的音乐", "let /url prefer the music on this server"),
  match_threshold: key(
    Type.Number({ default: 0.8, minimum: 0.5, maximum: 1 }),
    "匹配分数的下限，1 为完全一致",
    "least score of a match, 1: exact only",
  ),
  scan_on_startup: key(bool(true), "启动时扫描", "scan at start"),
  scan_interval: key(seconds(3600), "定期扫描的间隔（秒），0 为关闭", "time between scans (seconds), 0: never"),
  watch: key(bool(true), "监视目录变化", "watch the folders for changes"),
  watch_delay: key(seconds(3, 0.05), "变化停止多久后扫描（秒）", "quiet time after a change before a scan (seconds)"),
  follow_outside: key(
    bool(false),
    "允许符号链接指向音乐目录之外",
    "follow symbolic links that lead out of the music folders",
    { restart: true },
  ),
  max_files: key(count(500_000, 1), "索引的文件数上限", "most files in the index"),
  extensions: key(
    list(Type.String({ pattern: "^[a-z0-9]{1,8}$" }), [
      "mp3",
      "flac",
      "m4a",
      "aac",
      "ogg",
      "opus",
      "wav",
      "ape",
      "wma",
      "aiff",
      "aif",
      "wv",
      "dsf",
      "dff",
      "mka",
    ]),
    "视为音频的扩展名",
    "file extensions that are audio",
  ),
  cover_max_bytes: key(count(16 << 20, 1024), "封面图片的上限（字节）", "largest cover picture (bytes)"),
  ffmpeg: key(text("ffmpeg"), "ffmpeg 命令，用于特殊封面；留空不用", "ffmpeg command for odd covers; empty: none"),
  upload: group("上传", "upload", {
    enable: key(bool(true), "管理员可以上传音频", "admins may upload audio"),
    folder: key(text("upload"), "第一个音乐目录下的子目录", "folder below the first music folder"),
    max_bytes: key(count(1 << 30, 1024), "单个文件的上限（字节）", "largest file (bytes)"),
  }),
});
