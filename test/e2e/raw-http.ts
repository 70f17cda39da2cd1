import { connect } from "node:net";

export interface RawReply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** One request with exactly this target and these headers: `fetch` would tidy up both. */
export function rawRequest(
  url: string,
  request: {
    method: string;
    target: string;
    host?: string | undefined;
    headers?: Record<string, string>;
    body?: string;
  },
): Promise<RawReply> {
  const { hostname, port } = new URL(url);
  const lines = [`${request.method} ${request.target} HTTP/1.1`];
  if (request.host !== undefined) lines.push(`Host: ${request.host}`);
  for (const [name, value] of Object.entries(request.headers ?? {})) lines.push(`${name}: ${value}`);
  if (request.body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(request.body)}`);
  lines.push("Connection: close", "", request.body ?? "");
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(lines.join("\r\n")));
    const chunks: Uint8Array[] = [];
    socket.setTimeout(15_000, () =>
      socket.destroy(new Error(`no answer to ${request.method} ${request.target.slice(0, 80)}`)),
    );
    socket.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
    socket.on("error", reject);
    socket.on("close", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const [head = "", ...rest] = text.split("\r\n\r\n");
      const [first = "", ...rows] = head.split("\r\n");
      const headers = Object.fromEntries(
        rows.map((row) => [row.slice(0, row.indexOf(":")).toLowerCase(), row.slice(row.indexOf(":") + 1).trim()]),
      );
      const status = Number(first.split(" ")[1] ?? 0);
      const body = rest.join("\r\n\r\n");
      resolve({ status, headers, body: headers["transfer-encoding"] === "chunked" ? unchunk(body) : body });
    });
  });
}

function unchunk(body: string): string {
  let bytes: Buffer = Buffer.from(body);
  let text = "";
  for (;;) {
    const end = bytes.indexOf("\r\n");
    const size = Number.parseInt(bytes.subarray(0, end).toString(), 16);
    if (!(size > 0)) return text;
    text += bytes.subarray(end + 2, end + 2 + size).toString();
    bytes = bytes.subarray(end + 4 + size);
  }
}
