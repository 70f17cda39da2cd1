import { Database } from "bun:sqlite";
import { Value } from "@sinclair/typebox/value";
import { webdavSection } from "../../src/config/sections/webdav.ts";
import { createMatcher } from "../../src/library/match.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createWebdavSource, type WebdavConfig, type WebdavSource } from "../../src/webdav/client.ts";
import { PASSWORD, USER } from "./upstreams.ts";

export function webdavConfig(change: Partial<WebdavConfig> = {}): WebdavConfig {
  return {
    ...Value.Create(webdavSection),
    enable: true,
    username: USER,
    password: PASSWORD,
    timeout: 5,
    index_on_startup: false,
    index_refresh_interval: 0,
    ...change,
  };
}

export const EXTENSIONS = new Set(["mp3", "flac", "m4a", "ogg"]);

export function openSource(
  change: Partial<WebdavConfig>,
  db = new Database(":memory:", { strict: true }),
): WebdavSource & AsyncDisposable {
  const source = createWebdavSource({
    db,
    log: silentLogger,
    config: webdavConfig(change),
    createMatcher: () => createMatcher({ threshold: 0.8, extensions: EXTENSIONS }),
  });
  return Object.assign(source, { [Symbol.asyncDispose]: () => source.close() });
}
