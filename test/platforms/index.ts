import { type Emulator, startEmulator } from "./emulator.ts";
import { kgPlatform } from "./kg.ts";
import { kwPlatform } from "./kw.ts";
import { mgPlatform } from "./mg.ts";
import { txPlatform } from "./tx.ts";
import { wyPlatform } from "./wy.ts";

/** The five platforms in one emulator. */
export function startAllPlatforms(port = 0): Emulator {
  return startEmulator([kgPlatform, txPlatform, wyPlatform, mgPlatform, kwPlatform], port);
}
