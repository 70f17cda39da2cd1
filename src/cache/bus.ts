import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ERROR_KINDS } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import type { StoredFailure } from "./envelope.ts";
import type { RedisClient } from "./redis-client.ts";
import type { Drop } from "./tier.ts";

/** What instances tell each other: a flight has ended (with its failure, when it failed), or a key has gone. */
const Message = Type.Union([
  Type.Object({
    type: Type.Literal("done"),
    from: Type.String(),
    key: Type.String(),
    failure: Type.Optional(
      Type.Object({
        kind: Type.Union(ERROR_KINDS.map((kind) => Type.Literal(kind))),
        message: Type.String({ maxLength: 2000 }),
        upstreamCode: Type.Optional(Type.Union([Type.String(), Type.Number()])),
      }),
    ),
  }),
  Type.Object({ type: Type.Literal("drop"), from: Type.String(), key: Type.String(), exact: Type.Boolean() }),
]);

export interface Bus {
  /** False while the subscription is broken: messages may be missed. */
  listening(): boolean;
  done(key: string, failure?: StoredFailure): Promise<void>;
  drop(drop: Drop): Promise<void>;
  close(): void;
}

export interface BusOptions {
  client: RedisClient;
  /** A connection of its own, since a subscriber may do nothing else. Closed with the bus. */
  subscriber: RedisClient;
  prefix: string;
  onDone: (key: string, failure: StoredFailure | undefined) => void;
  onDrop: (drop: Drop) => void;
  log: Logger;
}

/** Pub/sub between the instances that share a Redis. */
export function createBus({ client, subscriber, prefix, onDone, onDrop, log }: BusOptions): Bus {
  const channel = `${prefix}:bus`;
  const self = crypto.randomUUID();
  let listening = false;

  subscriber.on("ready", () => {
    subscriber.subscribe(channel).then(
      () => {
        listening = true;
      },
      (error) => log.debug("redis subscription", { error }),
    );
  });
  subscriber.on("close", () => {
    listening = false;
  });
  subscriber.on("message", (_channel: string, text: string) => receive(text));

  function receive(text: string): void {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (!Value.Check(Message, message) || message.from === self) return;
    if (message.type === "drop") onDrop(message);
    else onDone(message.key, message.failure);
  }

  const publish = async (message: object) => {
    await client.publish(channel, JSON.stringify({ from: self, ...message }));
  };

  return {
    listening: () => listening,
    done: (key, failure) => publish({ type: "done", key, ...(failure === undefined ? {} : { failure }) }),
    drop: ({ key, exact }) => publish({ type: "drop", key, exact }),
    close: () => subscriber.disconnect(),
  };
}
