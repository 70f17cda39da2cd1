import { Type } from "@sinclair/typebox";
import { group, key, list } from "../key.ts";

export const scriptsSection = group("第三方 LX 脚本", "third-party LX scripts", {
  urls: key(list(Type.String(), []), "启动时添加的脚本地址", "scripts to add at start, by address"),
});
