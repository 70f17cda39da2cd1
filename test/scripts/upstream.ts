import { OUTSIDE } from "./bed.ts";

export interface Upstream {
  origin: string;
  port: number;
  /** Paths asked for, in order. */
  asked: string[];
  stop(): Promise<void>;
}

/** A server that shows what it was sent, and misbehaves in named ways. */
export function startUpstream(hostname = OUTSIDE): Upstream {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname,
    port: 0,
    idleTimeout: 60,
    async fetch(request) {
      const url = new URL(request.url);
      asked.push(url.pathname + url.search);
      return answer(request, url);
    },
  });
  return {
    origin: `http://${hostname}:${server.port}`,
    port: server.port ?? 0,
    asked,
    stop: () => server.stop(true),
  };
}

async function answer(request: Request, url: URL): Promise<Response> {
  switch (url.pathname) {
    case "/echo":
      return Response.json({
        method: request.method,
        query: url.search,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
      });
    case "/text":
      return new Response("plain text", { status: 201, headers: { "X-Own": "1" } });
    case "/cookies":
      return new Response("x", {
        headers: [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ],
      });
    case "/bytes":
      return new Response(new Uint8Array([0, 255, 1, 65]));
    case "/bom":
      return new Response("\ufeff{}");
    case "/nul":
      return new Response("a\0b");
    case "/empty":
      return new Response(null, { status: 204 });
    case "/redirect":
      return new Response(null, { status: 302, headers: { location: url.searchParams.get("to") ?? "/text" } });
    case "/gzip":
      return new Response(Bun.gzipSync("packed"), { headers: { "content-encoding": "gzip" } });
    case "/bomb":
      return new Response(bomb(), { headers: { "content-encoding": "gzip" } });
    case "/slow":
      await Bun.sleep(Number(url.searchParams.get("ms") ?? 5_000));
      return new Response("late");
    case "/deep":
      return new Response("[".repeat(200_000));
    case "/endless":
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await Bun.sleep(1);
            controller.enqueue(new Uint8Array(16_384));
          },
        }),
      );
    case "/script":
      return new Response(url.searchParams.get("text") ?? "");
    default:
      return Response.json({ code: 0, url: `${url.origin}/audio${url.search}` });
  }
}

let packed: Uint8Array<ArrayBuffer> | undefined;
/** 200 MB of zeros as 200 KB. */
function bomb(): Uint8Array<ArrayBuffer> {
  packed ??= Bun.gzipSync(new Uint8Array(200 << 20), { level: 9 });
  return packed;
}
