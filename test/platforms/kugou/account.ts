import { constants, createCipheriv, createDecipheriv, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { json, type PlatformRequest, type World } from "../world.ts";
import type { PlayOptions } from "./play.ts";
import { androidSigned, EDITIONS, md5, no, timely, whoAsks } from "./wire.ts";

/** The real private key is the platform's secret: tests configure this pair's public half instead. */
const pair = generateKeyPairSync("rsa", { modulusLength: 1024 });
/** base64 SPKI, for `module.kg.client.public_key`. */
export const kgPublicKey = pair.publicKey.export({ type: "spki", format: "der" }).toString("base64");

function openRsa(hex: string): Buffer | undefined {
  try {
    const sealed = Buffer.from(hex, "hex");
    return privateDecrypt({ key: pair.privateKey, padding: constants.RSA_NO_PADDING }, sealed);
  } catch {
    return undefined;
  }
}

/** PKCS#1 v1.5: 0, 2, at least eight bytes that are not 0, a 0, the message. */
function openPkcs1(hex: string): string | undefined {
  const block = openRsa(hex);
  if (block === undefined || block[0] !== 0 || block[1] !== 2) return undefined;
  const end = block.indexOf(0, 2);
  return end < 10 ? undefined : block.subarray(end + 1).toString("utf8");
}

/** No padding scheme: the message first, zeros behind it. */
function openZeros(hex: string): string | undefined {
  const block = openRsa(hex);
  const end = block?.indexOf(0) ?? -1;
  if (block === undefined || end < 1 || block.subarray(end).some((byte) => byte !== 0)) return undefined;
  return block.subarray(0, end).toString("utf8");
}

function cbc(bits: 128 | 256, key: string, iv: string) {
  return {
    open(bytes: Uint8Array): string | undefined {
      try {
        const decipher = createDecipheriv(`aes-${bits}-cbc`, key, iv);
        return Buffer.concat([decipher.update(bytes), decipher.final()]).toString("utf8");
      } catch {
        return undefined;
      }
    },
    seal(text: string): Buffer {
      const cipher = createCipheriv(`aes-${bits}-cbc`, key, iv);
      return Buffer.concat([cipher.update(text), cipher.final()]);
    },
  };
}

/** POST userservice/risk/v2/r_register_dev */
export function registerDevice(request: PlatformRequest, world: World, options: PlayOptions): Response {
  const { params } = request;
  if (!androidSigned(request) || params.get("part") !== "1" || params.get("platid") !== "1") return no(20017);
  if (!timely(world, Number(params.get("clienttime")))) return no(20017);
  const secret = JSON.parse(openPkcs1(params.get("p") ?? "") ?? "{}");
  if (typeof secret.aes !== "string" || secret.aes.length !== 6) return no(20010);
  const h = md5(secret.aes);
  const cipher = cbc(128, h.slice(0, 16), h.slice(16));
  const device = JSON.parse(cipher.open(Buffer.from(request.text, "base64")) ?? "{}");
  const sensors = [
    "accelerometer",
    "gravity",
    "gyroscope",
    "light",
    "magnetic",
    "orientation",
    "pressure",
    "step_counter",
  ];
  const good =
    device.brand === "Redmi" &&
    device.uuid &&
    device.imei === device.uuid &&
    sensors.every((name) => device[name] === false);
  if (!good) return no(20017);
  const who = whoAsks(world, secret.uid, secret.token);
  if ("refused" in who) return who.refused;
  // The same device is the same id, however often it comes.
  const dfid = md5(`dfid/${device.uuid}`).slice(0, 24);
  options.devices.add(dfid);
  return new Response(new Uint8Array(cipher.seal(JSON.stringify({ status: 1, error_code: 0, data: { dfid } }))));
}

/** What each further login of an account gives. */
const renewals = new WeakMap<object, number>();

/** POST login.user/v4|v5/login_by_token. `encrypted` = v4 is out of order. */
export function loginByToken(request: PlatformRequest, world: World): Response {
  const { params } = request;
  const edition = EDITIONS[params.get("appid") ?? ""];
  if (edition === undefined || !androidSigned(request)) return no(20017);
  const body = JSON.parse(request.text);
  const opened = cbc(256, edition.loginKey, edition.loginKey.slice(-16)).open(Buffer.from(body.p3, "hex"));
  const { token, clienttime } = JSON.parse(opened ?? "{}");
  if (typeof token !== "string" || !timely(world, clienttime) || body.t1 !== 0 || body.t2 !== 0) return no(20010);
  const v5 = request.path.startsWith("/v5/");
  if (!v5 && world.fault("kg", "encrypted", request)) return no(34175);
  const who = whoAsks(world, String(body.userid), token);
  if ("refused" in who) return who.refused;
  if (who.account === undefined) return no(20018);
  let cipher: ReturnType<typeof cbc> | undefined;
  if (v5) {
    const secret = JSON.parse(openZeros(body.pk ?? "") ?? "{}");
    if (secret.clienttime_ms !== body.clienttime_ms || typeof secret.key !== "string") return no(20010);
    const key = md5(secret.key);
    cipher = cbc(256, key, key.slice(-16));
    if (cipher.open(Buffer.from(body.params, "hex")) !== "{}") return no(20010);
  }
  const times = (renewals.get(who.account) ?? 0) + 1;
  renewals.set(who.account, times);
  const fresh = md5(`${who.account.id}/${times}`);
  who.account.token = fresh;
  const data = { userid: Number(who.account.id), ...(cipher === undefined ? { token: fresh } : {}) };
  const secu = cipher?.seal(JSON.stringify({ token: fresh })).toString("hex");
  return json({ status: 1, error_code: 0, data: { ...data, ...(secu === undefined ? {} : { secu_params: secu }) } });
}

/** GET kugouvip/v1/get_union_vip */
export function unionVip(request: PlatformRequest, world: World): Response {
  if (!androidSigned(request) || request.params.get("busi_type") !== "concept") return no(20017);
  const who = whoAsks(world, request.params.get("userid"), request.params.get("token"));
  if ("refused" in who) return who.refused;
  const member = who.account?.state === "member";
  const end = "2026-12-31 23:59:59";
  return json({
    status: 1,
    error_code: 0,
    data: {
      is_vip: member ? 1 : 0,
      vip_type: member ? 6 : 0,
      vip_end_time: member ? end : "",
      busi_vip: [{ is_vip: member ? 1 : 0, product_type: "svip", vip_end_time: member ? end : "" }],
    },
  });
}

/** Accounts that have signed in today. */
const signed = new WeakSet<object>();

/** POST gateway/v2/report/listen_song and /youth/v2/… . `lower` = the older path is out of order. */
export function listenSong(request: PlatformRequest, world: World): Response {
  if (request.headers.get("x-router") !== "youth.kugou.com") return no(404);
  if (request.params.get("appid") !== "3116" || !androidSigned(request)) return no(20017);
  if (!request.path.startsWith("/youth/") && world.fault("kg", "lower", request)) return no(34175);
  const who = whoAsks(world, request.params.get("userid"), request.params.get("token"));
  if ("refused" in who) return who.refused;
  const { mixsongid } = JSON.parse(request.text);
  const known = world.songs.some((song) => Number(song.ids.kg.albumAudioId) === mixsongid);
  if (who.account === undefined || !known) return no(20017);
  if (signed.has(who.account)) return json({ status: 0, error_code: 130012, error_msg: "already" });
  signed.add(who.account);
  return json({ status: 1, error_code: 0, data: "" });
}
