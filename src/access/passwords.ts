import { AppError } from "../core/errors.ts";

export interface Passwords {
  /** argon2id, in PHC form. @throws AppError `busy` when too many wait already */
  hash(password: string): Promise<string>;
  /** Takes its time also when there is no such user (`hash` undefined). */
  verify(password: string, hash: string | undefined): Promise<boolean>;
}

/** 19 MiB and two passes: what OWASP asks for. @see https://cheatsheetseries.owasp.org (Password Storage) */
const ARGON2 = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;
/** Each costs 19 MiB for some 40 ms: strangers must not be able to order hundreds at once. */
const MAX_RUNNING = 2;
const MAX_WAITING = 32;
export const MAX_PASSWORD = 256;

export function createPasswords(): Passwords {
  let running = 0;
  const waiting: (() => void)[] = [];
  let nobody: Promise<string> | undefined;

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= MAX_RUNNING) {
      if (waiting.length >= MAX_WAITING)
        throw new AppError("busy", "登录请求过多，请稍后再试", { retryAfterSeconds: 2 });
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  return {
    hash: (password) => inTurn(() => Bun.password.hash(password, ARGON2)),
    verify: (password, hash) =>
      inTurn(async () => {
        nobody ??= Bun.password.hash(crypto.randomUUID(), ARGON2);
        const good = await Bun.password.verify(password, hash ?? (await nobody));
        return good && hash !== undefined;
      }),
  };
}

/** @throws AppError `invalid_request` with the reason */
export function checkPassword(password: string, minimum: number): void {
  if (password.length < minimum) throw new AppError("invalid_request", `密码至少 ${minimum} 个字符`);
  if (password.length > MAX_PASSWORD) throw new AppError("invalid_request", `密码最多 ${MAX_PASSWORD} 个字符`);
  if (new Set(password).size < 4) throw new AppError("invalid_request", "密码过于简单");
}
