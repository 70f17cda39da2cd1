import { dlopen, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** include/uapi/asm-generic/socket.h; the same on x86 and ARM. */
const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];
const LISTENING = "0A";

/**
 * Makes the kernel give every new connection of a shared port to the newest of its listeners, where it would else
 * spread them: so nobody is still shaking hands with the old listener when it closes.
 *
 * The listeners of a port (SO_REUSEPORT) form a group in order of arrival, and a filter may choose one by its number.
 * This one always says 1: alone, a listener has the number 0 and the kernel falls back to it; the second one that joins
 * has the number 1, and becomes 0 when the first one leaves. @see socket(7), SO_ATTACH_REUSEPORT_CBPF
 *
 * @returns false where that is not possible (other systems, no /proc): connections are spread until the old one closes
 */
export function preferNewestListener(port: number): boolean {
  if (process.platform !== "linux") return false;
  try {
    const set = setsockopt();
    if (set === undefined) return false;
    // struct sock_filter { u16 code = RET|K; u8 jt, jf; u32 k = 1 }, struct sock_fprog { u16 len = 1; filter* }
    const filter = new Uint8Array(8);
    new DataView(filter.buffer).setUint16(0, 0x06, true);
    new DataView(filter.buffer).setUint32(4, 1, true);
    const program = new BigUint64Array([1n, BigInt(ptr(filter))]);
    return listenersOf(port).filter((fd) => set(fd, program) === 0).length > 0;
  } catch {
    return false;
  }
}

type Attach = (fd: number, program: BigUint64Array) => number;

function setsockopt(): Attach | undefined {
  for (const name of LIBRARIES) {
    try {
      const { symbols } = dlopen(name, {
        setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
      });
      return (fd, program) =>
        symbols.setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, ptr(program), program.byteLength);
    } catch {
      // The next library's name: the C library differs from system to system.
    }
  }
  return undefined;
}

/** Our own file numbers of what listens on this port. */
function listenersOf(port: number): number[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = new Set<string>();
  for (const table of ["/proc/self/net/tcp", "/proc/self/net/tcp6"]) {
    for (const line of readFileSync(table, "utf8").split("\n").slice(1)) {
      const columns = line.trim().split(/\s+/);
      if (columns[1]?.endsWith(end) && columns[3] === LISTENING) inodes.add(`socket:[${columns[9]}]`);
    }
  }
  return readdirSync("/proc/self/fd").flatMap((fd) => (inodes.has(linkOf(fd)) ? [Number(fd)] : []));
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}
