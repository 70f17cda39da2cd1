import type { FetchStream } from "../../src/audio/transfer.ts";
import { AppError } from "../../src/core/errors.ts";

/** How the origin treats a request for a file. */
export interface Manner {
  /** Breaks off after so many bytes of the body, this many times. */
  breakAfter?: number;
  breaks?: number;
  /** Knows no ranges: always the whole. */
  noRange?: boolean;
  /** Says nothing of the length. */
  chunked?: boolean;
  status?: number;
  /** This many times. */
  statusTimes?: number;
  /** Sends this much and then nothing. */
  stallAfter?: number;
  /** Milliseconds before the first byte. */
  delayMs?: number;
  /** Other bytes (and another ETag) from the second request on. */
  changes?: boolean;
}

export interface Origin {
  url: string;
  /** `Range` headers as they came, "" without. */
  requests: string[];
  fetchStream: FetchStream;
  put(path: string, bytes: Uint8Array | string, manner?: Manner): string;
  stop(): Promise<void>;
}

/** A server of audio that misbehaves as told. */
export function startOrigin(): Origin {
  const files = new Map<string, { bytes: Uint8Array; manner: Manner }>();
  const requests: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    async fetch(request) {
      const found = files.get(new URL(request.url).pathname);
      if (found === undefined) return new Response("no", { status: 404 });
      requests.push(request.headers.get("range") ?? "");
      const { manner } = found;
      if (manner.delayMs !== undefined) await Bun.sleep(manner.delayMs);
      if (manner.status !== undefined && (manner.statusTimes ?? 1) > 0) {
        manner.statusTimes = (manner.statusTimes ?? 1) - 1;
        return new Response("busy", { status: manner.status });
      }
      const changed = manner.changes === true && requests.length > 1;
      const bytes = changed ? found.bytes.toReversed() : found.bytes;
      const etag = changed ? '"two"' : '"one"';
      const match = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "");
      const holds = (request.headers.get("if-range") ?? etag) === etag;
      const start = match !== null && manner.noRange !== true && holds ? Number(match[1]) : 0;
      const headers: Record<string, string> = { "content-type": "audio/mpeg", etag };
      if (start > 0) headers["content-range"] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
      if (manner.chunked !== true) headers["x-length"] = String(bytes.length - start);
      return new Response(body(bytes.subarray(start), manner), { status: start > 0 ? 206 : 200, headers });
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    /** Bun sends streams chunked, so the length travels in a header of its own. */
    async fetchStream(url, { headers, signal }) {
      const reply = await fetch(url, { headers, signal }).catch((cause) => {
        throw new AppError("upstream_unreachable", "无法连接", { cause });
      });
      const length = reply.headers.get("x-length");
      if (length !== null) reply.headers.set("content-length", length);
      return { status: reply.status, headers: reply.headers, body: reply.body };
    },
    put(path, bytes, manner = {}) {
      files.set(path, { bytes: typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes, manner });
      return `http://127.0.0.1:${server.port}${path}`;
    },
    stop: async () => void (await server.stop(true)),
  };
}

function body(bytes: Uint8Array, manner: Manner): ReadableStream<Uint8Array> {
  let sent = 0;
  const breaks = manner.breakAfter !== undefined && (manner.breaks ?? 1) > 0;
  if (breaks) manner.breaks = (manner.breaks ?? 1) - 1;
  return new ReadableStream({
    async pull(controller) {
      if (manner.stallAfter !== undefined && sent >= manner.stallAfter) return Bun.sleep(60_000).then(() => {});
      if (breaks && sent >= (manner.breakAfter ?? 0)) return controller.close();
      if (sent >= bytes.length) return controller.close();
      const part = bytes.slice(sent, sent + 16_384);
      sent += part.length;
      controller.enqueue(part);
    },
  });
}
