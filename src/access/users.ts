import type { Database } from "bun:sqlite";
import { AppError } from "../core/errors.ts";
import { checkPassword, MAX_PASSWORD, type Passwords } from "./passwords.ts";

export const USER_ROLES = ["admin", "viewer"] as const;
export type UserRole = (typeof USER_ROLES)[number];

export interface User {
  readonly id: number;
  readonly name: string;
  readonly role: UserRole;
  /** Unix ms. */
  readonly createdAt: number;
  /** Unix ms of the last change of the password. */
  readonly passwordAt: number;
}

export interface Users {
  count(): number;
  list(): User[];
  get(id: number): User | undefined;
  find(name: string): User | undefined;
  /** @throws AppError `invalid_request`, `conflict` */
  add(name: string, password: string, role: UserRole): Promise<User>;
  /** Ends all sessions of the user. @throws AppError `not_found`, `invalid_request` */
  setPassword(name: string, password: string): Promise<void>;
  /** @throws AppError `not_found`; `conflict` for the last admin */
  setRole(name: string, role: UserRole): void;
  /** Takes the same time whether the name or the password is wrong. */
  verify(name: string, password: string): Promise<User | undefined>;
  /** With sessions and tokens. @throws AppError `not_found`; `conflict` for the last admin */
  remove(name: string): void;
}

interface Row {
  id: number;
  name: string;
  password: string;
  role: string;
  created_at: number;
  password_at: number;
}

export function createUsers(
  db: Database,
  passwords: Passwords,
  minimumPassword: () => number,
  now: () => number = Date.now,
): Users {
  const byName = db.query<Row, [string]>("SELECT * FROM access_users WHERE name = ?");
  const byId = db.query<Row, [number]>("SELECT * FROM access_users WHERE id = ?");

  function rowOf(name: string): Row {
    const row = byName.get(name);
    if (row === null) throw new AppError("not_found", `没有用户 ${name}`);
    return row;
  }

  function keepAnAdmin(row: Row): void {
    if (row.role !== "admin") return;
    const admins = db.query<{ n: number }, []>("SELECT count(*) AS n FROM access_users WHERE role = 'admin'").get();
    if ((admins?.n ?? 0) <= 1) throw new AppError("conflict", "这是最后一个管理员");
  }

  return {
    count: () => db.query<{ n: number }, []>("SELECT count(*) AS n FROM access_users").get()?.n ?? 0,
    list: () => db.query<Row, []>("SELECT * FROM access_users ORDER BY name").all().map(fromRow),
    get: (id) => optional(byId.get(id)),
    find: (name) => optional(byName.get(name)),
    async add(name, password, role) {
      if (!/^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$/u.test(name)) {
        throw new AppError("invalid_request", "用户名须为 1 至 64 个字母、数字或 . _ @ -，以字母或数字开头");
      }
      checkPassword(password, minimumPassword());
      if (byName.get(name) !== null) throw new AppError("conflict", `已有用户 ${name}`);
      const hash = await passwords.hash(password);
      const { changes } = db
        .query(
          "INSERT INTO access_users (name, password, role, created_at, password_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .run(name, hash, role, now(), now());
      // Someone else may have taken the name while the hash was made.
      if (changes === 0) throw new AppError("conflict", `已有用户 ${name}`);
      return fromRow(rowOf(name));
    },
    async setPassword(name, password) {
      const { id } = rowOf(name);
      checkPassword(password, minimumPassword());
      const hash = await passwords.hash(password);
      db.transaction(() => {
        db.query("UPDATE access_users SET password = ?, password_at = ? WHERE id = ?").run(hash, now(), id);
        db.query("DELETE FROM access_sessions WHERE user_id = ?").run(id);
      })();
    },
    setRole(name, role) {
      const row = rowOf(name);
      if (role !== "admin") keepAnAdmin(row);
      db.query("UPDATE access_users SET role = ? WHERE id = ?").run(role, row.id);
    },
    async verify(name, password) {
      if (password.length > MAX_PASSWORD || name.length > 64) return undefined;
      const row = byName.get(name);
      return (await passwords.verify(password, row?.password)) && row !== null ? fromRow(row) : undefined;
    },
    remove(name) {
      const row = rowOf(name);
      keepAnAdmin(row);
      db.transaction(() => {
        for (const table of ["access_sessions", "access_tokens"])
          db.run(`DELETE FROM ${table} WHERE user_id = ?`, [row.id]);
        db.query("DELETE FROM access_users WHERE id = ?").run(row.id);
      })();
    },
  };
}

function fromRow(row: Row): User {
  const { id, name, created_at, password_at } = row;
  return { id, name, role: row.role === "admin" ? "admin" : "viewer", createdAt: created_at, passwordAt: password_at };
}

function optional(row: Row | null): User | undefined {
  return row === null ? undefined : fromRow(row);
}
