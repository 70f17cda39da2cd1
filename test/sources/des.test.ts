import { expect, test } from "bun:test";
import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { createDes, PC1, PC2, SHIFTS, type Subkeys, sixes, standardBoxes } from "../../src/sources/des.ts";

/** The standard's key schedule: the platforms have their own, so that it lives here. */
function standardKeys(key: Uint8Array): Subkeys {
  const bit = (index: number) => ((key[(index - 1) >> 3] ?? 0) >> (7 - ((index - 1) & 7))) & 1;
  let c = PC1.slice(0, 28).map(bit);
  let d = PC1.slice(28).map(bit);
  return SHIFTS.map((shift) => {
    c = [...c.slice(shift), ...c.slice(0, shift)];
    d = [...d.slice(shift), ...d.slice(0, shift)];
    const all = [...c, ...d];
    return sixes(PC2.map((from) => all[from - 1] ?? 0));
  });
}

const des = createDes({ boxes: standardBoxes(), lastExpansion: 1 });
const eight = fc.uint8Array({ minLength: 8, maxLength: 8 });

test("with the standard's own tables it is the DES that OpenSSL has", () => {
  fc.assert(
    fc.property(eight, eight, (key, block) => {
      const cipher = createCipheriv("des-ede3", Buffer.concat([key, key, key]), null).setAutoPadding(false);
      const want = Buffer.concat([cipher.update(block), cipher.final()]);
      const view = Buffer.from(block);
      const out = Buffer.alloc(8);
      const [left, right] = des(view.readInt32BE(0), view.readInt32BE(4), standardKeys(key));
      out.writeInt32BE(left, 0);
      out.writeInt32BE(right, 4);
      expect(out.toString("hex")).toBe(want.toString("hex"));
    }),
    { numRuns: 500 },
  );
});

test("keys backwards undo it, whatever the tables", () => {
  const odd = createDes({ boxes: standardBoxes().map((box) => [...box].reverse()), lastExpansion: 31 });
  fc.assert(
    fc.property(eight, fc.integer(), fc.integer(), (key, left, right) => {
      const keys = standardKeys(key);
      expect(odd(...odd(left, right, keys), [...keys].reverse())).toEqual([left, right]);
    }),
  );
});
