import { Value } from "@sinclair/typebox/value";
import { kwUser } from "../../config/sections/sources.ts";
import type { AccountAbility } from "../source.ts";

/** No renewal and no sign-in are known for this platform: the operator puts in new values when they die. */
export const accounts: AccountAbility = {
  fromConfig(user) {
    if (!Value.Check(kwUser, user) || user.token === "") return undefined;
    const { uid, token, device_id } = user;
    return { id: `kw:${uid}`, credentials: { uid, token, device_id } };
  },
};
