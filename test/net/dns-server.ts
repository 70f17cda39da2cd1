import { createSocket } from "node:dgram";

export interface DnsServer {
  /** "127.0.0.1:port", as DNS clients want it. */
  address: string;
  /** Names asked for, A and AAAA alike, in order. */
  asked: string[];
  stop(): Promise<void>;
}

const A = 1;

/** A DNS server on loopback. `answer` gives the IPv4 addresses for a name; undefined = no such name, null = no reply. */
export async function startDns(answer: (name: string) => string[] | undefined | null): Promise<DnsServer> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, peer) => {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    asked.push(name);
    const addresses = type === A ? answer(name) : [];
    if (addresses === null) return;
    const records = (addresses ?? []).map(aRecord);
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(addresses === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(records.length, 6);
    header.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([header, query.subarray(12, end + 4), ...records]), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    stop: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join("."), end: at + 1 };
}

function aRecord(address: string): Buffer {
  // Name by pointer, type A, class IN, TTL 0, four bytes.
  return Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split(".").map(Number)]);
}
