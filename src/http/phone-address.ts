import { networkInterfaces } from "node:os";

/**
 * The address for a device that does not trust us yet: "localhost" on the operator's screen is the LAN address on a
 * phone, and our own HTTPS is what it cannot open before it has the CA.
 *
 * @param plainPort an HTTP port of ours; undefined when there is none, or when a proxy's address must stay as it is
 */
export function phoneAddress(base: string, plainPort: number | undefined): string {
  const url = URL.parse(base);
  if (url === null) return base;
  if (/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)) {
    const rows = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    url.hostname = rows.find((row) => row.family === "IPv4" && !row.internal)?.address ?? url.hostname;
  }
  if (url.protocol === "https:" && plainPort !== undefined) {
    url.protocol = "http:";
    url.port = String(plainPort);
  }
  return url.href.replace(/\/+$/, "");
}
