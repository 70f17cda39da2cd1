import { lstat } from "node:fs/promises";
import { Elysia, t } from "elysia";
import type { AudioCache, StoredFile } from "../../audio/index.ts";
import { AppError } from "../../core/errors.ts";
import { contentTypeOf, serveFile } from "../serve-file.ts";

export interface CacheFileDeps {
  audio: Pick<AudioCache, "lookup" | "played" | "missing">;
  /** Throws when this request may not have this path: no good key and no good signature. */
  authorise: (request: Request, path: string) => void | Promise<void>;
}

const params = t.Object({ filename: t.String({ description: "缓存文件名 / name of the cached file" }) });
const detail = {
  summary: "缓存的音频或封面 / a cached audio file or cover",
  description: "支持 Range、ETag、If-Range；没有密钥时需要签名 / ranges and validators; signed links without a key",
  tags: ["files"],
};

/** GET and HEAD `/cache/{filename}`. Whatever is not a file of the cache is not found, whatever the reason. */
export function cacheFileRoutes({ audio, authorise }: CacheFileDeps) {
  async function answer(request: Request, filename: string): Promise<Response> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      throw new AppError("not_found", "未找到您所请求的资源");
    }
    await authorise(request, `/cache/${filename}`);
    const found = audio.lookup(filename);
    // A link in the folder may lead anywhere.
    const status = found === undefined ? undefined : await lstat(found.path, { bigint: true }).catch(() => undefined);
    if (found?.file !== undefined && status === undefined) audio.missing(found.file);
    if (found === undefined || !status?.isFile()) throw new AppError("not_found", "未找到您所请求的资源");
    if (found.file !== undefined && request.method === "GET" && fromTheStart(request)) audio.played(found.file);
    return serveFile(request, {
      path: found.path,
      name: found.file === undefined ? found.name : displayName(found.file),
      contentType: contentTypeOf(found.name),
      status,
    });
  }

  // `.all`: for a `.get` with parameters Elysia answers HEAD by reading the whole file.
  return new Elysia({ name: "routes/cache-files" }).all(
    "/cache/:filename",
    ({ request, params: { filename } }) => answer(request, filename),
    { params, detail },
  );
}

/** A player that seeks asks many times for one play. */
function fromTheStart(request: Request): boolean {
  const range = request.headers.get("range");
  return range === null || /^bytes=0-/.test(range);
}

function displayName(file: StoredFile): string {
  if (file.title === undefined) return file.name;
  return `${file.title}${file.artist === undefined ? "" : ` - ${file.artist}`}.${file.extension}`;
}
