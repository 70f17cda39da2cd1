import type { PlatformRequest, World } from "../world.ts";

/** One called method as the platform sees it. */
export interface Asked {
  param: Record<string, unknown>;
  comm: Record<string, unknown>;
  request: PlatformRequest;
  world: World;
}

/** What a method answers: `{ code, data }`. */
export interface Answer {
  code: number;
  data?: unknown;
}

export type Method = (asked: Asked) => Answer;

export const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
