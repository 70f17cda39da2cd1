import type { Quality, SourceId } from "../../src/core/types.ts";
import { makeAudio } from "./audio.ts";
import { SONGS } from "./catalog.ts";
import type { CatalogSong, Fault, Platform, PlatformRequest, World } from "./world.ts";

export interface Emulator {
  /** For `common.upstream_gateway`. */
  origin: string;
  world: World;
  /** Requests to this platform so far. */
  requestsTo(source: SourceId): PlatformRequest[];
  /** Forgets faults and recorded requests. */
  reset(): void;
  stop(): Promise<void>;
}

const MAX_RECORDED = 50_000;

/**
 * The five platforms on loopback, reached as `common.upstream_gateway` (`{origin}/{scheme}/{host}{path}?{query}`).
 * Each platform is as strict as the real one: it recomputes signatures, decrypts parameters and refuses as documented.
 */
export function startEmulator(platforms: Platform[], port = 0, songs: CatalogSong[] = SONGS): Emulator {
  const recorded: { source: SourceId | undefined; request: PlatformRequest }[] = [];
  const files = new Map<string, { song: CatalogSong; quality: Quality }>();

  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    idleTimeout: 120,
    async fetch(raw) {
      const request = await toPlatformRequest(raw);
      if (request === undefined) return new Response("not a gateway path", { status: 400 });
      const file = files.get(`${request.host}${request.path}`);
      if (file !== undefined) return serveAudio(raw, file.song, file.quality);
      const platform = platforms.find((item) => item.hosts.some((host) => hostMatches(host, request.host)));
      if (recorded.length < MAX_RECORDED) recorded.push({ source: platform?.source, request });
      world.requests.push(request);
      if (platform === undefined) return new Response(`no platform has the host ${request.host}`, { status: 421 });
      return answer(platform, request);
    },
  });

  const world: World = {
    songs,
    accounts: [],
    requests: [],
    faults: [],
    origin: `http://127.0.0.1:${server.port}`,
    now: () => Date.now(),
    audioUrl(host, path, song, quality) {
      files.set(`${host}${path.split("?")[0]}`, { song, quality });
      return `${world.origin}/http/${host}${path}`;
    },
    audio: (song, quality) => makeAudio(specOf(song, quality)),
    fault: (source, kind, request) => takeFault(world, source, [kind], request) !== undefined,
  };

  async function serveAudio(raw: Request, song: CatalogSong, quality: Quality): Promise<Response> {
    const audio = await world.audio(song, quality);
    return new Response(raw.method === "HEAD" ? null : Bun.file(audio.path), {
      headers: { "content-type": audio.contentType, "accept-ranges": "bytes" },
    });
  }

  async function answer(platform: Platform, request: PlatformRequest): Promise<Response> {
    const fault = takeFault(
      world,
      platform.source,
      ["slow", "reset", "http500", "html", "garbage", "reshaped", "empty"],
      request,
    );
    switch (fault?.kind) {
      case "slow":
        await Bun.sleep(fault.delayMs ?? 60_000);
        break;
      case "reset":
        return brokenResponse();
      case "http500":
        return new Response("Internal Server Error", { status: 500 });
      case "html":
        return new Response("<!doctype html><title>502 Bad Gateway</title>", {
          headers: { "content-type": "text/html" },
        });
      case "garbage":
        return new Response(new Uint8Array([0xff, 0x00, 0x7b, 0x22, 0x80, 0x1f]));
      case "empty":
        return new Response("");
    }
    const response = await platform.handle(request, world);
    return fault?.kind === "reshaped" ? reshape(response) : response;
  }

  return {
    origin: world.origin,
    world,
    requestsTo: (source) => recorded.filter((item) => item.source === source).map((item) => item.request),
    reset() {
      recorded.length = 0;
      world.requests.length = 0;
      world.faults.length = 0;
    },
    stop: async () => void (await server.stop(true)),
  };
}

/** A body that breaks off: the client sees a reset connection. */
function brokenResponse(): Response {
  const body = new ReadableStream({
    pull(controller) {
      // An error object would be printed by the runtime.
      controller.error(null);
    },
  });
  return new Response(body, { headers: { "content-length": "1000" } });
}

/** The same JSON with every key renamed: what a platform does when it changes its API. */
async function reshape(response: Response): Promise<Response> {
  const rename = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rename);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [`${name}_v2`, rename(item)]));
  };
  try {
    return new Response(JSON.stringify(rename(JSON.parse(await response.text()))), { headers: response.headers });
  } catch {
    return new Response('{"v2":true}');
  }
}

function takeFault(
  world: World,
  source: SourceId,
  kinds: Fault["kind"][],
  request: PlatformRequest,
): Fault | undefined {
  const fault = world.faults.find(
    (item) =>
      kinds.includes(item.kind) &&
      (item.times === undefined || item.times > 0) &&
      (item.source === undefined || item.source === source) &&
      (item.match === undefined || item.match.test(request.host + request.path)),
  );
  if (fault?.times !== undefined) fault.times--;
  return fault;
}

function hostMatches(pattern: string, host: string): boolean {
  const bare = host.split(":")[0] ?? host;
  return pattern.startsWith(".") ? bare.endsWith(pattern) : pattern === bare || pattern === host;
}

async function toPlatformRequest(raw: Request): Promise<PlatformRequest | undefined> {
  const match = /^https?:\/\/[^/]+\/(https?)\/([^/?]+)(\/[^?]*)?(?:\?(.*))?$/s.exec(raw.url);
  if (match === null) return undefined;
  const [, scheme = "", host = "", path = "/", query = ""] = match;
  const body = new Uint8Array(await raw.arrayBuffer());
  return {
    scheme,
    host,
    method: raw.method,
    path,
    query,
    params: new URLSearchParams(query),
    headers: raw.headers,
    body,
    text: new TextDecoder().decode(body),
    at: Date.now(),
  };
}

function specOf(song: CatalogSong, quality: Quality) {
  const tone = 220 + [...song.key].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  const base = { seconds: song.durationSeconds, tone };
  if (quality === "128k" || quality === "192k" || quality === "320k") {
    return { ...base, format: "mp3" as const, bitrate: Number.parseInt(quality, 10) };
  }
  if (quality === "dolby") return { ...base, format: "m4a" as const, bitrate: 256 };
  return { ...base, format: "flac" as const, bits: quality === "flac" ? (16 as const) : (24 as const) };
}
