import { expect } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { kgSection } from "../../../src/config/sections/sources.ts";
import { isAppError } from "../../../src/core/errors.ts";
import { createHttpClient, type HttpReply, type HttpRequest } from "../../../src/net/fetch.ts";
import { silentLogger } from "../../../src/ops/log.ts";
import type { KgConfig } from "../../../src/sources/kg/client.ts";
import { createKg } from "../../../src/sources/kg/index.ts";
import type { Source } from "../../../src/sources/source.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { createKgPlatform, kgPublicKey } from "../../platforms/kg.ts";
import type { CatalogSong } from "../../platforms/world.ts";

/** Every ability, sure to be there. */
export type Kg = Required<Omit<Source, "accounts">> & { accounts: Required<NonNullable<Source["accounts"]>> };

export function kgConfig(change: (config: KgConfig) => void = () => {}): KgConfig {
  const config: KgConfig = Value.Create(kgSection);
  config.client.public_key = kgPublicKey;
  change(config);
  return config;
}

export function lite(config: KgConfig): void {
  config.client.appid = "3116";
  config.client.signatureKey = "LnT6xpN3khm36zse0QzvmgTZ3waWdRSA";
  config.client.clientver = "10518";
  config.client.pidversionsecret = "185672dd44712f60bb1736df5a377e82";
  config.client.pid = "411";
}

interface Options {
  config?: KgConfig;
  requireDevice?: boolean;
  songs?: CatalogSong[];
  deadlineMs?: number;
}

/** The source against its emulator. */
export function startKg(options: Options = {}) {
  const platform = createKgPlatform({ requireDevice: options.requireDevice ?? false });
  const emulator = startEmulator([platform], 0, options.songs);
  const http = createHttpClient({
    deadlineMs: options.deadlineMs ?? 5000,
    maxBytes: 8 << 20,
    retries: 0,
    gateway: emulator.origin,
  });
  const kg = createKg({
    config: options.config ?? kgConfig(),
    http,
    log: silentLogger,
    now: () => Date.now(),
    random: Math.random,
  }) as Kg;
  return { kg, emulator, world: emulator.world };
}

export function reply(body: unknown, status = 200): HttpReply {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return {
    status,
    headers: new Headers(),
    bytes: new TextEncoder().encode(text),
    text: () => text,
    json: () => JSON.parse(text),
  };
}

/** The source with canned answers (or what makes them) by "METHOD host path"; keeps what was asked. */
export function stubKg(answers: Record<string, unknown>, now: number, config: KgConfig = Value.Create(kgSection)) {
  const asked: HttpRequest[] = [];
  const kg = createKg({
    config,
    http: async (request) => {
      asked.push(request);
      const url = new URL(request.url);
      const name = `${request.method ?? "GET"} ${url.host} ${url.pathname}`;
      if (!(name in answers)) throw new Error(`no canned answer for ${name}`);
      const answer = answers[name];
      return reply(typeof answer === "function" ? answer(url) : answer);
    },
    log: silentLogger,
    now: () => now,
    random: () => 0.5,
  }) as Kg;
  return { kg, asked };
}

/** Waits for the failure and checks its kind (and message). */
export async function expectKind(promise: Promise<unknown>, kind: string, message?: string): Promise<void> {
  const error = await promise.then(
    (value) => `no failure but ${JSON.stringify(value)}`,
    (thrown: unknown) => thrown,
  );
  if (!isAppError(error)) throw error instanceof Error ? error : new Error(String(error));
  expect({ kind: error.kind, message: error.message }).toEqual({
    kind: kind as typeof error.kind,
    message: message ?? error.message,
  });
}
