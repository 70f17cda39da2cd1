import { Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { AppError, isAppError } from "../core/errors.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const DECODERS: Record<string, () => Transform> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** The body without its content-encoding. It grows chunk by chunk, so that a limit behind it stops a bomb early. */
export function decodedBody(response: Response, signal: AbortSignal): ReadableStream<Bytes> | null {
  const encodings = (response.headers.get("content-encoding") ?? "")
    .toLowerCase()
    .split(",")
    .map((item) => item.trim());
  const named = encodings.filter((item) => item !== "" && item !== "identity");
  if (response.body === null || named.length === 0) return response.body;
  // Nested encodings have no use but harm.
  const make = named.length === 1 ? DECODERS[named[0] ?? ""] : undefined;
  if (make === undefined) throw new AppError("upstream_unreachable", "对方使用了不支持的压缩方式");
  const decoder = make();
  const source = Readable.fromWeb(response.body as never);
  const fail = () => {
    source.destroy();
    decoder.destroy();
  };
  signal.addEventListener("abort", fail, { once: true });
  source.on("error", (error) => decoder.destroy(error));
  decoder.on("close", () => {
    signal.removeEventListener("abort", fail);
    source.destroy();
  });
  source.pipe(decoder);
  return fromNode(decoder);
}

function fromNode(decoder: Transform): ReadableStream<Bytes> {
  const chunks = decoder.iterator();
  return new ReadableStream<Bytes>({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(new Uint8Array(next.value));
    },
    cancel() {
      decoder.destroy();
    },
  });
}

/**
 * Passes bytes on until `limit`; then, or when `signal` ends the exchange, the stream fails with an AppError.
 * @param done called once when the body has ended by itself. @param cancel ends the exchange.
 */
export function boundedBody(
  body: ReadableStream<Bytes> | null,
  limit: number,
  signal: AbortSignal,
  done: () => void,
  cancel: () => void,
): ReadableStream<Bytes> {
  if (body === null) {
    done();
    return new ReadableStream({ start: (controller) => controller.close() });
  }
  const reader = body.getReader();
  let length = 0;
  return new ReadableStream<Bytes>({
    async pull(controller) {
      try {
        const { value, done: ended } = await untilAborted(reader.read(), signal);
        if (ended) {
          done();
          controller.close();
          return;
        }
        length += value.byteLength;
        if (length > limit) throw new AppError("too_large", "对方返回的数据过大", { detail: { limit } });
        controller.enqueue(value);
      } catch (error) {
        const reason = isAppError(error) ? error : bodyFault(error, signal);
        reader.cancel().catch(() => {});
        cancel();
        controller.error(reason);
      }
    },
    cancel() {
      reader.cancel().catch(() => {});
      cancel();
    },
  });
}

function bodyFault(error: unknown, signal: AbortSignal): AppError {
  if (signal.aborted && isAppError(signal.reason)) return signal.reason;
  return new AppError("upstream_unreachable", "对方的响应中断", { cause: error });
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => {});
    throw signal.reason;
  }
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

export async function gather(body: ReadableStream<Bytes>): Promise<Bytes> {
  const chunks: Bytes[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.byteLength;
  }
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0];
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
