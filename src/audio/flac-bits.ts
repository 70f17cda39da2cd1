/** Reads bits, most significant first. Past the end it gives zeros and `overrun` is true. */
export class BitReader {
  private position: number;

  constructor(
    private readonly bytes: Uint8Array,
    start: number,
  ) {
    this.position = start * 8;
  }

  get overrun(): boolean {
    return this.position > this.bytes.length * 8;
  }

  /** Offset of the next whole byte. */
  get byteOffset(): number {
    return (this.position + 7) >> 3;
  }

  /** 0 to 32 bits, unsigned. */
  read(count: number): number {
    let value = 0;
    let left = count;
    while (left > 0) {
      const used = this.position & 7;
      const take = Math.min(8 - used, left);
      const byte = this.bytes[this.position >> 3] ?? 0;
      value = value * 2 ** take + ((byte >> (8 - used - take)) & ((1 << take) - 1));
      this.position += take;
      left -= take;
    }
    return value;
  }

  /** Two's complement. */
  readSigned(count: number): number {
    if (count === 0) return 0;
    const value = this.read(count);
    return value >= 2 ** (count - 1) ? value - 2 ** count : value;
  }

  /** Zeros before the next one; the one is consumed. */
  readUnary(): number {
    let zeros = 0;
    for (;;) {
      const used = this.position & 7;
      const index = this.position >> 3;
      if (index >= this.bytes.length) {
        this.position = this.bytes.length * 8 + 1;
        return zeros;
      }
      const rest = ((this.bytes[index] ?? 0) << used) & 0xff;
      if (rest === 0) {
        zeros += 8 - used;
        this.position += 8 - used;
        continue;
      }
      const leading = Math.clz32(rest) - 24;
      this.position += leading + 1;
      return zeros + leading;
    }
  }
}

const CRC8 = Uint8Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
  return crc;
});

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x8005) & 0xffff : (crc << 1) & 0xffff;
  return crc;
});

export function crc8(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0;
  for (let at = start; at < end; at++) crc = CRC8[crc ^ (bytes[at] ?? 0)] ?? 0;
  return crc;
}

/** 0 over a whole frame with its footer. */
export function crc16(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0;
  for (let at = start; at < end; at++) crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ (bytes[at] ?? 0)] ?? 0);
  return crc;
}
