import type { App } from "../app.ts";
import { renderScript } from "../client-script/render.ts";
import { AppError } from "../core/errors.ts";
import type { Command, CommandContext } from "./command.ts";

/** `client-script`: the generated LX script on stdout, for saving and sharing. */
export function clientScriptCommand(feature: (context: CommandContext) => Promise<Pick<App, "config">>): Command {
  return {
    name: "client-script",
    summary: "print the generated LX script",
    options: { url: { type: "string" }, key: { type: "string" } },
    help: [
      "--url URL    where clients reach this server (default: common.public_url)",
      "--key KEY    the request key that the script carries",
    ].join("\n"),
    arity: [0, 0],
    async run(context) {
      const { common } = (await feature(context)).config();
      const url = String(context.values["url"] ?? common.public_url).replace(/\/+$/, "");
      if (!/^https?:\/\/[^\s/]+/.test(url)) {
        throw new AppError("invalid_request", "--url http(s)://… is needed, or set common.public_url");
      }
      const key = typeof context.values["key"] === "string" ? context.values["key"] : "";
      const script = renderScript({ ...common.download_config, url, key });
      context.result({ script: script.text, md5: script.md5 }, script.text);
      return 0;
    },
  };
}
