/** @see https://webassembly.github.io/spec/core/binary/modules.html */
const EXPORT_SECTION = 7;
const TABLE = 1;

/** The name under which `withTable` exports the module's function table. */
export const TABLE_NAME = "$table";

type Bytes = Uint8Array<ArrayBuffer>;

/** A copy of a module that exports its first table as well. @returns undefined when it has no export section. */
export function withTable(module: Bytes): Bytes | undefined {
  let at = 8;
  while (at < module.length) {
    const start = at;
    const id = module[at];
    const size = readUnsigned(module, at + 1);
    at = size.next + size.value;
    if (id !== EXPORT_SECTION) continue;
    const count = readUnsigned(module, size.next);
    const name = new TextEncoder().encode(TABLE_NAME);
    const entry = Uint8Array.from([name.length, ...name, TABLE, 0]);
    const content = join(unsigned(count.value + 1), module.subarray(count.next, at), entry);
    const section = join(Uint8Array.of(EXPORT_SECTION), unsigned(content.length), content);
    return join(module.subarray(0, start), section, module.subarray(at));
  }
  return undefined;
}

/** Type `(i32, i64, i64, i32, i32) -> ()`: what the engine calls when a promise is rejected without a handler. */
const TRACKER_TYPE = [0x60, 5, 0x7f, 0x7e, 0x7e, 0x7f, 0x7f, 0];

/** Imports `h.f` with the tracker's type and exports it as `f`: only such a function fits into a table. */
export const TRACKER_MODULE: Bytes = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, TRACKER_TYPE.length + 1, 1, ...TRACKER_TYPE],
  ...[2, 7, 1, 1, 0x68, 1, 0x66, 0, 0],
  ...[EXPORT_SECTION, 5, 1, 1, 0x66, 0, 0],
]);

function join(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function readUnsigned(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[at + i] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: at + i + 1 };
  }
  throw new Error("not a WebAssembly module");
}

function unsigned(value: number): Bytes {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
