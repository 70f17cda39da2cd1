import { bool, group, key, text } from "../key.ts";

export const audioSection = group("音频缓存", "audio cache", {
  enable: key(bool(true), "把播放过的音频下载到本地", "download what has been played"),
  path: key(text("./cache_audio"), "保存目录（相对于数据目录）", "folder (relative to the data folder)", {
    restart: true,
  }),
});
