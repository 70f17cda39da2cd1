import type { TObject } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { moduleSection } from "../../src/config/sections/sources.ts";
import type { AppError } from "../../src/core/errors.ts";
import { createHttpClient, type HttpClient, type HttpReply, type HttpRequest } from "../../src/net/fetch.ts";
import { silentLogger } from "../../src/ops/log.ts";
import type { Account, SourceDeps } from "../../src/sources/source.ts";
import type { Emulator } from "../platforms/emulator.ts";

type Sections = (typeof moduleSection)["static"];
type Section = "wy" | "mg";

/** A source's slice of the config: all defaults, then these. */
export function configOf<S extends Section>(name: S, keys: Partial<Sections[S]> = {}): Sections[S] {
  const section: TObject = moduleSection.properties[name];
  const value: unknown = Value.Default(section, { user: {}, ncmapi: {} });
  return Value.Clean(section, { ...(value as object), ...keys }) as Sections[S];
}

/** Collaborators of a source that speaks to the emulator. */
export function depsOn<C>(emulator: Emulator, config: C, deadlineMs = 5000): SourceDeps<C> {
  const http = createHttpClient({ deadlineMs, maxBytes: 8_000_000, retries: 0, gateway: emulator.origin });
  return depsWith(http, config);
}

export function depsWith<C>(http: HttpClient, config: C): SourceDeps<C> {
  return { config, http, log: silentLogger, now: () => Date.now(), random: Math.random };
}

export interface Scripted {
  http: HttpClient;
  requests: HttpRequest[];
}

/** A client that answers from a list, in turn, and keeps what was asked. */
export function scripted(...answers: (unknown | Uint8Array)[]): Scripted {
  const requests: HttpRequest[] = [];
  const http: HttpClient = async (request) => {
    requests.push(request);
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    return replyWith(answer);
  };
  return { http, requests };
}

export function replyWith(answer: unknown, headers: HeadersInit = {}, status = 200): HttpReply {
  const bytes = answer instanceof Uint8Array ? new Uint8Array(answer) : new TextEncoder().encode(asText(answer));
  const text = () => new TextDecoder().decode(bytes);
  return { status, headers: new Headers(headers), bytes, text, json: () => JSON.parse(text()) };
}

const asText = (answer: unknown) => (typeof answer === "string" ? answer : JSON.stringify(answer));

export function account(source: string, credentials: Record<string, string>): Account {
  return { id: `${source}:1`, label: "账号 1", credentials };
}

/** The failure of a call, as tests compare it. */
export async function failureOf(promise: Promise<unknown>): Promise<Pick<AppError, "kind" | "message">> {
  const failure = await promise.then(
    (value) => {
      throw new Error(`did not fail, but gave ${JSON.stringify(value)}`);
    },
    (error: AppError) => error,
  );
  return { kind: failure.kind, message: failure.message };
}
