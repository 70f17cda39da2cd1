import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Redis } from "ioredis";
import type { Logger } from "../ops/log.ts";
import { parseNetwork } from "./address.ts";
import type { Ban } from "./ban-index.ts";
import { isReason } from "./ban-store.ts";

export type BanMessage = { op: "add"; ban: Ban } | { op: "remove"; target: string };

/** How instances tell each other of bans. */
export interface BanSharing {
  publish(message: BanMessage): void;
  /** Also hears what was in force before this instance came. */
  subscribe(hear: (message: BanMessage) => void): void;
  close(): Promise<void>;
}

export const noSharing: BanSharing = { publish() {}, subscribe() {}, close: async () => {} };

/** `e` is null for a ban without an end: JSON has no Infinity. */
const Wire = Type.Object({
  from: Type.String(),
  op: Type.Union([Type.Literal("add"), Type.Literal("remove")]),
  target: Type.String({ maxLength: 64 }),
  reason: Type.Optional(Type.String()),
  note: Type.Optional(Type.String({ maxLength: 500 })),
  createdAt: Type.Optional(Type.Integer()),
  expiresAt: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  times: Type.Optional(Type.Integer({ minimum: 1 })),
});
type Wire = Static<typeof Wire>;

/** Bans that a new instance can be told of. */
const MAX_SHARED = 50_000;

/**
 * Pub/sub on `{prefix}:bans`, and a hash of the same name for those who come later. Redis being away costs nothing
 * but the sharing: each instance keeps and enforces its own bans.
 */
export function createBanSharing(redis: Redis, prefix: string, log: Logger): BanSharing {
  const channel = `${prefix}:bans`;
  const from = crypto.randomUUID();
  const subscriber = redis.duplicate({ lazyConnect: true });
  subscriber.on("error", () => {});

  const report = (error: unknown) => log.warn("bans could not be shared", { error });

  async function send(wire: Wire): Promise<void> {
    const text = JSON.stringify(wire);
    if (wire.op === "remove") await redis.hdel(channel, wire.target);
    else if ((await redis.hlen(channel)) < MAX_SHARED) await redis.hset(channel, wire.target, text);
    await redis.publish(channel, text);
  }

  async function catchUp(hear: (message: BanMessage) => void): Promise<void> {
    let cursor = "0";
    do {
      const [next, fields] = await redis.hscan(channel, cursor, "COUNT", 500);
      for (let i = 1; i < fields.length; i += 2) {
        const message = decode(fields[i] ?? "");
        if (message?.op !== "add") continue;
        if (message.ban.expiresAt > Date.now()) hear(message);
        else await redis.hdel(channel, message.ban.target);
      }
      cursor = next;
    } while (cursor !== "0");
  }

  return {
    publish: (message) => void send(encode(message, from)).catch(report),
    subscribe(hear) {
      subscriber.on("message", (_channel, text) => {
        if (text.includes(from)) return;
        const message = decode(text);
        if (message !== undefined) hear(message);
      });
      // Also after a lost connection: what was said meanwhile stands in the hash.
      subscriber.on("ready", () => {
        subscriber
          .subscribe(channel)
          .then(() => catchUp(hear))
          .catch(report);
      });
      subscriber.connect().catch(report);
    },
    close: async () => subscriber.disconnect(),
  };
}

function encode(message: BanMessage, from: string): Wire {
  if (message.op === "remove") return { from, op: "remove", target: message.target };
  const { target, reason, note, createdAt, expiresAt, times } = message.ban;
  const end = Number.isFinite(expiresAt) ? Math.round(expiresAt) : null;
  return { from, op: "add", target, reason, note, createdAt: Math.round(createdAt), expiresAt: end, times };
}

function decode(text: string): BanMessage | undefined {
  try {
    const wire: unknown = JSON.parse(text);
    if (!Value.Check(Wire, wire) || parseNetwork(wire.target) === undefined) return undefined;
    if (wire.op === "remove") return { op: "remove", target: wire.target };
    const { target, reason, note = "", createdAt, expiresAt, times } = wire;
    if (!isReason(reason) || createdAt === undefined || expiresAt === undefined || times === undefined)
      return undefined;
    return {
      op: "add",
      ban: { target, reason, note, createdAt, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY, times },
    };
  } catch {
    return undefined;
  }
}
