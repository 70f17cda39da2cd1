import { AppError, isAppError } from "../core/errors.ts";

const TOO_LARGE = "请求体过大";

/**
 * The request with a body of at most `limit` bytes. One that states its length is passed on as it is, because the
 * server reads no further than that; one that does not (chunked, HTTP/2) is read here, up to the limit.
 *
 * @throws AppError `too_large`
 */
export function withBoundedBody(request: Request, limit: number): Request | Promise<Request> {
  const stated = request.headers.get("content-length");
  if (stated !== null) {
    if (Number(stated) > limit) throw new AppError("too_large", TOO_LARGE);
    return request;
  }
  const { body } = request;
  return body === null ? request : readWhole(request, body, limit);
}

async function readWhole(request: Request, body: ReadableStream<Uint8Array>, limit: number): Promise<Request> {
  const bytes = await readBounded(body, limit);
  const { method, headers, signal } = request;
  return new Request(request.url, { method, headers, signal, ...(bytes.length === 0 ? {} : { body: bytes }) });
}

async function readBounded(body: ReadableStream<Uint8Array>, limit: number): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of body) {
      length += chunk.byteLength;
      // Leaving the loop cancels the stream: nothing more is taken in.
      if (length > limit) throw new AppError("too_large", TOO_LARGE);
      chunks.push(chunk);
    }
  } catch (error) {
    if (isAppError(error)) throw error;
    // Broken chunks, or a client that left.
    throw new AppError("invalid_request", "请求体不完整", { cause: error });
  }
  return Buffer.concat(chunks);
}
