import type { Database } from "bun:sqlite";
import type { PropChange } from "./dav-fragments.ts";
import type { XmlName } from "./xml.ts";

export interface DeadProp extends XmlName {
  /** The whole element, standing alone. */
  xml: string;
}

/** Properties that clients set, kept in `lx.db` by the path below `/dav`. */
export interface DeadProps {
  of(path: string): DeadProp[];
  /** All changes or none. @returns false when the resource would have too many or too long ones */
  apply(path: string, changes: readonly PropChange[]): boolean;
  /** Takes along everything below. */
  move(from: string, to: string): void;
  copy(from: string, to: string, deep: boolean): void;
  drop(path: string): void;
}

const MAX_PROPS = 200;
const MAX_BYTES = 64 << 10;

export function createDeadProps(db: Database): DeadProps {
  db.run(`CREATE TABLE IF NOT EXISTS dav_props (
    path TEXT NOT NULL, ns TEXT NOT NULL, local TEXT NOT NULL, xml TEXT NOT NULL, PRIMARY KEY (path, ns, local)
  ) WITHOUT ROWID`);
  const of = db.query<DeadProp, [string]>("SELECT ns, local, xml FROM dav_props WHERE path = ? ORDER BY ns, local");
  const set = db.query<null, [string, string, string, string]>(
    "INSERT OR REPLACE INTO dav_props (path, ns, local, xml) VALUES (?,?,?,?)",
  );
  const unset = db.query<null, [string, string, string]>(
    "DELETE FROM dav_props WHERE path = ? AND ns = ? AND local = ?",
  );
  const dropOwn = db.query<null, [string]>("DELETE FROM dav_props WHERE path = ?");
  // "0" is the character after "/": the range holds what begins with "path/".
  const dropBelow = db.query<null, [string, string]>("DELETE FROM dav_props WHERE path > ? || '/' AND path < ? || '0'");
  const copyOwn = db.query<null, [string, string]>(
    "INSERT OR REPLACE INTO dav_props SELECT ?, ns, local, xml FROM dav_props WHERE path = ?",
  );
  const copyBelow = db.query<null, [string, number, string, string]>(
    `INSERT OR REPLACE INTO dav_props SELECT ? || substr(path, ?), ns, local, xml FROM dav_props
     WHERE path > ? || '/' AND path < ? || '0'`,
  );

  const drop = (path: string) => {
    dropOwn.run(path);
    dropBelow.run(path, path);
  };
  const copy = (from: string, to: string, deep: boolean) => {
    drop(to);
    copyOwn.run(to, from);
    // SQLite counts characters, JavaScript code units.
    if (deep) copyBelow.run(to, [...from].length + 1, from, from);
  };
  const applyAll = db.transaction((path: string, changes: readonly PropChange[]) => {
    for (const { name, xml } of changes) {
      if (xml === undefined) unset.run(path, name.ns, name.local);
      else set.run(path, name.ns, name.local, xml);
    }
    const all = of.all(path);
    const bytes = all.reduce((sum, prop) => sum + Buffer.byteLength(prop.xml), 0);
    if (all.length > MAX_PROPS || bytes > MAX_BYTES) throw new TooMuch();
  });

  return {
    of: (path) => of.all(path),
    apply(path, changes) {
      try {
        applyAll(path, changes);
        return true;
      } catch (error) {
        if (error instanceof TooMuch) return false;
        throw error;
      }
    },
    move: db.transaction((from: string, to: string) => {
      copy(from, to, true);
      drop(from);
    }),
    copy: db.transaction(copy),
    drop: db.transaction(drop),
  };
}

/** Rolls the transaction back. */
class TooMuch extends Error {}
