import { Type } from "@sinclair/typebox";
import { LRUCache } from "lru-cache";
import { AppError } from "../../core/errors.ts";
import { decode } from "../decode.ts";
import type { Call } from "../source.ts";
import { address, type KgClient, NEWEST_HEADERS, refusal, type Who } from "./client.ts";
import { aesDecrypt, aesEncrypt, deviceKey, md5, rsaEncrypt } from "./crypto.ts";
import { Loose, numberOf, Part, partOf, textOf } from "./fields.ts";

/** Device ids, one per account (and one for guests), asked for once and then kept. */
export interface Devices {
  /** The account's registered id; undefined when the platform does not give one now. */
  dfidOf(call: Call): Promise<string | undefined>;
}

const REST_AFTER_FAILURE_MS = 600_000;
const MAX_DEVICES = 1000;

const DeviceReply = Type.Object({ status: Loose, error_code: Loose, data: Part(Type.Object({ dfid: Loose })) });

export function createDevices(client: KgClient): Devices {
  const known = new LRUCache<string, Promise<string | undefined>>({ max: MAX_DEVICES });
  const failedAt = new LRUCache<string, number>({ max: MAX_DEVICES });

  async function registerOnce(id: string, call: Call): Promise<string | undefined> {
    try {
      const dfid = await registerDevice(client, call);
      call.learn?.({ dfid });
      return dfid;
    } catch (error) {
      // Playing may still work without; a platform that refuses devices is not asked at every song.
      client.deps.log.warn("device could not be registered", { source: "kg", account: call.account?.label, error });
      failedAt.set(id, client.deps.now());
      known.delete(id);
      return undefined;
    }
  }

  return {
    dfidOf(call) {
      const { dfid } = client.who(call);
      if (dfid !== "-") return Promise.resolve(dfid);
      const id = call.account?.id ?? "guest";
      const running = known.get(id);
      if (running !== undefined) return running;
      if (client.deps.now() - (failedAt.get(id) ?? Number.NEGATIVE_INFINITY) < REST_AFTER_FAILURE_MS) {
        return Promise.resolve(undefined);
      }
      const started = registerOnce(id, call);
      known.set(id, started);
      return started;
    },
  };
}

const SENSORS = [
  "accelerometer",
  "gravity",
  "gyroscope",
  "light",
  "magnetic",
  "orientation",
  "pressure",
  "step_counter",
  "temperature",
];

/** 8-4-4-4-12 hex digits, the same for the same account: the platform shall meet one device again and again. */
export function guidOf(who: Pick<Who, "userid" | "mid">): string {
  return md5(`${who.userid}/${who.mid}`).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function describeDevice(guid: string): string {
  return JSON.stringify({
    availableRamSize: 4983533568,
    availableRomSize: 48114719,
    availableSDSize: 48114717,
    basebandVer: "",
    batteryLevel: 100,
    batteryStatus: 3,
    brand: "Redmi",
    buildSerial: "unknown",
    device: "marble",
    imei: guid,
    imsi: "",
    manufacturer: "Xiaomi",
    uuid: guid,
    ...Object.fromEntries(SENSORS.flatMap((name) => [[name, false] as const, [`${name}Value`, ""] as const])),
  });
}

/**
 * POST userservice/risk/v2/r_register_dev: the body under a key of our choice, the key under the platform's RSA key.
 * @returns the dfid
 * @throws AppError `upstream_*`
 */
export async function registerDevice(client: KgClient, call: Call): Promise<string> {
  const who = client.who(call);
  const k = client.letters(6);
  const { key, iv } = deviceKey(k);
  const body = aesEncrypt(describeDevice(guidOf(who)), key, iv).toString("base64");
  const secret = JSON.stringify({ aes: k, uid: who.userid, token: who.token });
  const params = [
    ["part", 1],
    ["platid", 1],
    ["p", rsaEncrypt(secret, client.edition.publicKey, "pkcs1")],
    ["dfid", "-"],
    ["mid", who.mid],
    ["uuid", "-"],
    ["appid", client.config.client.appid],
    ["clientver", client.edition.newestClientver],
    ["clienttime", client.seconds()],
    ...(who.token === "" ? [] : ([["token", who.token] as const, ["userid", who.userid] as const] as const)),
  ] as const;
  const url = address("https://userservice.kugou.com/risk/v2/r_register_dev", client.signed(params, body));
  const reply = await client.send({ url, method: "POST", headers: { ...NEWEST_HEADERS }, body }, call);
  const answer = decode(DeviceReply, parseReply(reply.bytes, key, iv), "kg");
  const dfid = textOf(partOf(answer.data)?.dfid);
  if (numberOf(answer.status) !== 1 || dfid === "")
    throw refusal([answer.error_code, answer.status], "酷狗设备注册失败");
  return dfid;
}

/** Sealed when it worked, plain JSON when it was refused. */
function parseReply(bytes: Uint8Array, key: string, iv: string): unknown {
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(text.startsWith("{") ? text : aesDecrypt(bytes, key, iv).toString("utf8"));
  } catch (error) {
    throw new AppError("upstream_changed", "酷狗设备注册失败", { cause: error });
  }
}
