import { networkInterfaces } from "node:os";

/** The address for another device: "localhost" on the operator's screen is the LAN address on a phone. */
export function phoneAddress(base: string): string {
  const url = URL.parse(base);
  if (url === null || !/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)) return base;
  const rows = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const own = rows.find((row) => row.family === "IPv4" && !row.internal);
  if (own === undefined) return base;
  url.hostname = own.address;
  return url.href.replace(/\/+$/, "");
}
