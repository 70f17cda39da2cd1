import type { IPicture } from "music-metadata";
import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import type { Track } from "./track.ts";

export interface Picture {
  bytes: Uint8Array<ArrayBuffer>;
  contentType: string;
}

export interface ArtworkOptions {
  log: Logger;
  /** Bytes of one picture. */
  maxBytes: number;
  /** Command of ffmpeg; empty = never. */
  ffmpeg: string;
  /** Bytes of pictures kept in memory. */
  cacheBytes?: number;
}

export interface Artwork {
  /**
   * The cover of a track: in its tags, beside it, or taken out by ffmpeg.
   * @param file absolute path of the audio
   * @param image absolute path of the picture beside it
   * @param edge longest edge in pixels; undefined = as it is
   */
  of(track: Track, file: string, image: string | undefined, edge: number | undefined): Promise<Picture | undefined>;
}

const CACHE_BYTES = 32 << 20;
const MAX_PIXELS = 64_000_000;
const FFMPEG_DEADLINE_MS = 10_000;
/** Sizes that thumbnails come in: others are rounded up, so that a client cannot fill the cache with 2,000 of them. */
const EDGES = [64, 128, 240, 320, 500, 800, 1200, 2000];

export function createArtwork(options: ArtworkOptions): Artwork {
  const cache = createPictureCache(options.cacheBytes ?? CACHE_BYTES);
  const flights = new Map<string, Promise<Picture | undefined>>();

  let extracting: Promise<unknown> = Promise.resolve();

  /** One ffmpeg at a time. */
  function byFfmpeg(file: string): Promise<Picture | undefined> {
    if (options.ffmpeg === "" || Bun.which(options.ffmpeg) === null) return Promise.resolve(undefined);
    const next = extracting.then(() => extract(file, options));
    extracting = next.catch(() => undefined);
    return next;
  }

  async function make(track: Track, file: string, image: string | undefined, edge: number | undefined): Found {
    if (edge === undefined) return await find(track, file, image, options.maxBytes, byFfmpeg);
    const whole = await get(track, file, image, undefined);
    return whole === undefined ? undefined : await thumbnail(whole, edge, options.log);
  }

  function get(track: Track, file: string, image: string | undefined, edge: number | undefined): Found {
    const key = `${track.id} ${track.size} ${track.mtime} ${edge ?? ""}`;
    const cached = cache.get(key);
    if (cached !== undefined) return Promise.resolve(cached);
    let flight = flights.get(key);
    if (flight === undefined) {
      flight = make(track, file, image, edge)
        .then((picture) => {
          if (picture !== undefined) cache.set(key, picture);
          return picture;
        })
        .finally(() => flights.delete(key));
      flights.set(key, flight);
    }
    return flight;
  }

  return {
    of: (track, file, image, edge) =>
      get(track, file, image, edge === undefined ? undefined : (EDGES.find((size) => size >= edge) ?? 2000)),
  };
}

type Found = Promise<Picture | undefined>;

async function find(
  track: Track,
  file: string,
  image: string | undefined,
  maxBytes: number,
  byFfmpeg: (file: string) => Found,
): Found {
  if (track.cover === "embedded") {
    const embedded = await embeddedPicture(file, maxBytes);
    if (embedded !== undefined) return embedded;
  }
  if (image !== undefined) {
    const beside = Bun.file(image);
    if ((await beside.exists()) && beside.size <= maxBytes) {
      const picture = asPicture(await beside.bytes());
      if (picture !== undefined) return picture;
    }
  }
  return track.cover === "embedded" ? await byFfmpeg(file) : undefined;
}

async function embeddedPicture(file: string, maxBytes: number): Promise<Picture | undefined> {
  const { parseFile } = await import("music-metadata");
  const { common } = await parseFile(file, { duration: false });
  const front = (picture: IPicture) => (/front/i.test(picture.type ?? "") ? 0 : 1);
  const pictures = [...(common.picture ?? [])].sort((a, b) => front(a) - front(b));
  for (const picture of pictures) {
    if (picture.data.length > maxBytes) continue;
    const found = asPicture(new Uint8Array(picture.data));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The type is told by the bytes; what tags claim is not believed, since browsers act on it. */
function asPicture(bytes: Uint8Array<ArrayBuffer>): Picture | undefined {
  const contentType = pictureType(bytes);
  return contentType === undefined ? undefined : { bytes, contentType };
}

export function pictureType(bytes: Uint8Array): string | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, 12));
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (text.startsWith("GIF8")) return "image/gif";
  if (text.startsWith("RIFF") && text.slice(8) === "WEBP") return "image/webp";
  if (text.startsWith("BM")) return "image/bmp";
  if (text.slice(4, 8) === "ftyp" && /^(?:avif|avis)/.test(text.slice(8))) return "image/avif";
  return undefined;
}

/** A smaller JPEG of the same proportions; a picture that cannot be decoded is served as it is. */
async function thumbnail(picture: Picture, edge: number, log: Logger): Promise<Picture> {
  try {
    const image = new Bun.Image(picture.bytes, { maxPixels: MAX_PIXELS });
    const bytes = await image
      .resize(edge, edge, { fit: "inside", withoutEnlargement: true })
      .jpeg({ quality: 85 })
      .bytes();
    return { bytes: new Uint8Array(bytes), contentType: "image/jpeg" };
  } catch (error) {
    log.debug("cover could not be made smaller", { contentType: picture.contentType, error });
    return picture;
  }
}

/** For pictures in odd containers, with a deadline. */
async function extract(file: string, options: ArtworkOptions): Promise<Picture | undefined> {
  const child = Bun.spawn(
    [options.ffmpeg, "-v", "error", "-nostdin", "-i", file, "-an", "-frames:v", "1", "-f", "mjpeg", "pipe:1"],
    { stdin: "ignore", stdout: "pipe", stderr: "ignore", timeout: FFMPEG_DEADLINE_MS, killSignal: "SIGKILL" },
  );
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of child.stdout) {
    length += chunk.byteLength;
    if (length > options.maxBytes) child.kill("SIGKILL");
    else chunks.push(chunk);
  }
  if ((await child.exited) !== 0) return undefined;
  return asPicture(new Uint8Array(Buffer.concat(chunks)));
}

interface PictureCache {
  get(key: string): Picture | undefined;
  set(key: string, picture: Picture): void;
}

/** Least recently used first out, by bytes. */
function createPictureCache(maxBytes: number): PictureCache {
  const entries = new Map<string, Picture>();
  let bytes = 0;
  return {
    get(key) {
      const found = entries.get(key);
      if (found !== undefined) {
        entries.delete(key);
        entries.set(key, found);
      }
      return found;
    },
    set(key, picture) {
      if (picture.bytes.length > maxBytes / 4 || entries.has(key)) return;
      entries.set(key, picture);
      bytes += picture.bytes.length;
      for (const [oldest, value] of entries) {
        if (bytes <= maxBytes) break;
        entries.delete(oldest);
        bytes -= value.bytes.length;
      }
    },
  };
}

/** @throws AppError `invalid_request` */
export function parseEdge(text: string | undefined): number | undefined {
  if (text === undefined || text === "" || text === "0") return undefined;
  if (text === "1" || text === "true") return 240;
  const edge = Number(text);
  if (!Number.isInteger(edge) || edge < 16 || edge > 2000)
    throw new AppError("invalid_request", "缩略图尺寸应在 16 到 2000 之间");
  return edge;
}
