import { Type } from "@sinclair/typebox";
import { group, key, text } from "../key.ts";

export const librarySection = group("服务器上的音乐", "music on the server", {
  audio_path: key(
    Type.Union([Type.String(), Type.Array(Type.String())], { default: "./audio" }),
    "音乐目录，可为列表",
    "music folder, or a list of folders",
    { restart: true },
  ),
  temp_path: key(text("./temp"), "临时目录", "folder for temporary files"),
});
