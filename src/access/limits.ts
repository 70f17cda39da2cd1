import type { Address } from "./address.ts";
import { createRateTable, type Rate } from "./rate-table.ts";

export const LIMIT_SCOPES = ["global", "ip", "key"] as const;
export type LimitScope = (typeof LIMIT_SCOPES)[number];

/** One row of `security.rate_limit.rules`. */
export interface RuleOptions {
  scope: LimitScope;
  /** Route groups; empty = all. */
  groups: readonly string[];
  /** So many requests … */
  requests: number;
  /** … in so many seconds, spread evenly, … */
  seconds: number;
  /** … of which so many may come at once; 0 = all of them. */
  burst: number;
}

export interface LimitOptions {
  /** Least gap between two requests of all together, and of one address, in seconds; 0 = none. */
  global: number;
  ip: number;
  rules: readonly RuleOptions[];
  /** Clients that are counted at the same time; memory is 20 bytes each. */
  addresses: number;
}

/** One request, as limits see it. */
export interface LimitSubject {
  address: Address;
  group: string;
  /** Number of the request key, when the request has one; undefined = key rules do not apply. */
  keyId?: number | undefined;
}

export interface Verdict {
  admitted: boolean;
  /** Why not: `全局限速`, `IP限速`, `key限速`. */
  message?: string;
  /** Whole seconds, at least 1, when refused. */
  retryAfterSeconds: number;
  /** `RateLimit-*`, of the rule that is nearest to its end; undefined when no rule applies. */
  headers?: Record<string, string>;
}

/** Counts and decides in one step. With Redis the answer is a promise. */
export interface Limiter {
  /** `admitClient` admits everyone, whoever asks. */
  readonly idle: boolean;
  /** Rules of scope `global` and `ip`. All must admit, else none is charged. */
  admitClient(subject: LimitSubject): Verdict | Promise<Verdict>;
  /** Rules of scope `key`. */
  admitKey(subject: LimitSubject): Verdict | Promise<Verdict>;
  close(): Promise<void>;
}

export interface Rule extends Rate {
  /** Stable name; part of the key in Redis. */
  name: string;
  scope: LimitScope;
  groups: ReadonlySet<string> | undefined;
  message: string;
  /** `RateLimit-Limit`, and `RateLimit-Policy` with the window it speaks of. */
  limitText: string;
  policyText: string;
}

const MESSAGES: Record<LimitScope, string> = { global: "全局限速", ip: "IP限速", key: "key限速" };

/** The original's two gaps first, in its order, then the configured rules. Rules without a limit are left out. */
export function readRules(options: LimitOptions): Rule[] {
  const gap = (scope: "global" | "ip", seconds: number): Rule => ({
    name: `gap-${scope}`,
    scope,
    groups: undefined,
    message: MESSAGES[scope],
    intervalMs: seconds * 1000,
    burst: 1,
    limitText: "1",
    policyText: `1;w=${Math.ceil(seconds)}`,
  });
  const configured = options.rules.map(
    (rule, index): Rule => ({
      name: `rule-${index}`,
      scope: rule.scope,
      groups: rule.groups.length === 0 ? undefined : new Set(rule.groups),
      message: MESSAGES[rule.scope],
      intervalMs: rule.requests > 0 ? (rule.seconds * 1000) / rule.requests : 0,
      burst: rule.burst > 0 ? Math.min(rule.burst, rule.requests) : rule.requests,
      limitText: `${rule.requests}`,
      policyText: `${rule.requests};w=${Math.ceil(rule.seconds)}`,
    }),
  );
  return [gap("global", options.global), gap("ip", options.ip), ...configured].filter((rule) => rule.intervalMs > 0);
}

export const ADMITTED: Verdict = Object.freeze({ admitted: true, retryAfterSeconds: 0 });

/** A refusal, with what the client must know to do better. */
export function refusal(rule: Rule, waitMs: number): Verdict {
  const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
  return {
    admitted: false,
    message: rule.message,
    retryAfterSeconds,
    headers: headersOf(rule, 0, retryAfterSeconds),
  };
}

/** @param left tokens of the rule that is nearest to its end */
export function admission(rule: Rule, left: number): Verdict {
  const reset = Math.ceil((Math.max(0, rule.burst - left) * rule.intervalMs) / 1000);
  return { admitted: true, retryAfterSeconds: 0, headers: headersOf(rule, left, reset) };
}

/** @see draft-ietf-httpapi-ratelimit-headers-06 */
function headersOf(rule: Rule, left: number, resetSeconds: number): Record<string, string> {
  return {
    "ratelimit-limit": rule.limitText,
    "ratelimit-policy": rule.policyText,
    "ratelimit-remaining": `${left}`,
    "ratelimit-reset": `${resetSeconds}`,
  };
}

export const applies = (rule: Rule, subject: LimitSubject): boolean =>
  (rule.groups === undefined || rule.groups.has(subject.group)) &&
  (rule.scope !== "key" || subject.keyId !== undefined);

/** With this much room, at most one or two in a hundred of so many clients have to share a place. */
const PLACES_PER_ADDRESS = 1.6;

/** High words that no IPv6 address in use begins with, so that the kinds of client never meet. */
const HI_GLOBAL = 0xffffffff;
const HI_IPV4 = 0xfffffffe;
const HI_KEY = 0xfffffffd;

/** Limits of this process alone. Memory is fixed by `addresses`, whoever comes. */
export function createMemoryLimiter(options: LimitOptions, now: () => number = () => performance.now()): Limiter {
  const rules = readRules(options);
  const table = createRateTable(rules.length === 0 ? 8 : options.addresses * PLACES_PER_ADDRESS, now());
  const indexed = rules.map((rule) => ({ rule, index: table.add(rule) }));
  const clientRules = indexed.filter(({ rule }) => rule.scope !== "key");
  const keyRules = indexed.filter(({ rule }) => rule.scope === "key");

  function hi(scope: LimitScope, address: Address): number {
    if (scope === "global") return HI_GLOBAL;
    if (scope === "key") return HI_KEY;
    return address.family === 4 ? HI_IPV4 : address.words[0];
  }

  function lo(scope: LimitScope, subject: LimitSubject): number {
    if (scope === "global") return 0;
    if (scope === "key") return subject.keyId ?? 0;
    return subject.address.family === 4 ? subject.address.words[3] : subject.address.words[1];
  }

  /** Two passes: a client that one rule refuses must not be charged by the others. */
  function admit(list: typeof indexed, subject: LimitSubject): Verdict {
    const time = now();
    for (const { rule, index } of list) {
      if (!applies(rule, subject)) continue;
      const waitMs = table.wait(index, hi(rule.scope, subject.address), lo(rule.scope, subject), time);
      if (waitMs > 0) return refusal(rule, waitMs);
    }
    let nearest: Rule | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const { rule, index } of list) {
      if (!applies(rule, subject)) continue;
      const left = table.take(index, hi(rule.scope, subject.address), lo(rule.scope, subject), time);
      if (left < least) [nearest, least] = [rule, left];
    }
    return nearest === undefined ? ADMITTED : admission(nearest, least);
  }

  return {
    idle: clientRules.length === 0,
    admitClient: (subject) => (clientRules.length === 0 ? ADMITTED : admit(clientRules, subject)),
    admitKey: (subject) => (keyRules.length === 0 ? ADMITTED : admit(keyRules, subject)),
    close: async () => {},
  };
}
