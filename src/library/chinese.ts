import hongKong from "opencc-js/dict/HKVariantsRev";
import characters from "opencc-js/dict/TSCharacters";
import taiwan from "opencc-js/dict/TWVariantsRev";

/**
 * Traditional to simplified, one character for one: enough to compare names, where both sides pass through it.
 * Only the character tables of opencc-js are bundled (30 KB); its phrase tables would add 1 MB.
 */
let table: Map<string, string> | undefined;

function load(): Map<string, string> {
  const map = new Map<string, string>();
  const add = (dictionary: string) => {
    for (const pair of dictionary.split("|")) {
      const [from, to] = pair.split(" ");
      if (from && to && [...from].length === 1) map.set(from, [...to][0] ?? to);
    }
  };
  add(characters);
  // Regional forms lead to the standard traditional character first (裏 -> 裡 -> 里).
  for (const dictionary of [taiwan, hongKong]) {
    for (const pair of dictionary.split("|")) {
      const [from, to] = pair.split(" ");
      if (from && to && !map.has(from) && [...from].length === 1) map.set(from, map.get(to) ?? to);
    }
  }
  return map;
}

const HAN = /\p{Script=Han}/u;

/** Simplified form of every Han character; anything else stays. */
export function simplify(text: string): string {
  if (!HAN.test(text)) return text;
  table ??= load();
  let out = "";
  for (const character of text) out += table.get(character) ?? character;
  return out;
}
