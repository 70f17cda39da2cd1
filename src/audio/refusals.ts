import type { Database } from "bun:sqlite";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { type FileKey, keyText } from "./names.ts";
import type { Fault } from "./proof.ts";

/** A route that gave a fake for this song and quality. */
export interface Refusal {
  /** Who named the address: a source's id, `script:<id>`, … */
  route: string;
  fault: string;
  /** Unix ms. */
  at: number;
}

/** Remembers which routes gave fakes, over restarts, and bytes that stood for several songs. */
export interface Refusals {
  add(key: FileKey, route: string, fault: Fault): void;
  /** The routes not to be tried again yet. */
  of(key: FileKey): Refusal[];
  isDecoy(hash: string): boolean;
  addDecoy(hash: string): void;
}

const MOST_REFUSALS = 20_000;
const MOST_DECOYS = 2000;
const RefusalRow = Type.Object({ key: Type.String(), route: Type.String(), fault: Type.String(), at: Type.Number() });
const HashRow = Type.Object({ hash: Type.String() });

/** @param lifetimeSeconds read at every look, so that a changed setting counts at once. */
export function createRefusals(db: Database, lifetimeSeconds: () => number, now: () => number): Refusals {
  db.run(`CREATE TABLE IF NOT EXISTS audio_refusals (
    key TEXT NOT NULL, route TEXT NOT NULL, fault TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (key, route)
  ) WITHOUT ROWID`);
  db.run("CREATE TABLE IF NOT EXISTS audio_decoys (hash TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID");
  const insert = db.query(
    "INSERT OR REPLACE INTO audio_refusals (key, route, fault, at) VALUES ($key, $route, $fault, $at)",
  );
  const trim = db.query(
    "DELETE FROM audio_refusals WHERE at < $oldest OR at < (SELECT at FROM audio_refusals ORDER BY at DESC LIMIT 1 OFFSET $most)",
  );
  const insertDecoy = db.query("INSERT OR REPLACE INTO audio_decoys (hash, at) VALUES ($hash, $at)");
  const trimDecoys = db.query(
    "DELETE FROM audio_decoys WHERE at < (SELECT at FROM audio_decoys ORDER BY at DESC LIMIT 1 OFFSET $most)",
  );
  const oldest = () => now() - lifetimeSeconds() * 1000;

  const byKey = new Map<string, Refusal[]>();
  for (const row of db.query("SELECT key, route, fault, at FROM audio_refusals ORDER BY at").all()) {
    if (Value.Check(RefusalRow, row)) byKey.set(row.key, [...(byKey.get(row.key) ?? []), row]);
  }
  const decoys = new Set<string>();
  for (const row of db.query("SELECT hash FROM audio_decoys ORDER BY at").all()) {
    if (Value.Check(HashRow, row)) decoys.add(row.hash);
  }

  return {
    add(key, route, fault) {
      const text = keyText(key);
      const refusal = { route, fault, at: now() };
      const others = (byKey.get(text) ?? []).filter((item) => item.route !== route);
      // Deleting first makes the map's order that of age.
      byKey.delete(text);
      byKey.set(text, [...others, refusal]);
      for (const first of byKey.keys()) {
        if (byKey.size <= MOST_REFUSALS) break;
        byKey.delete(first);
      }
      insert.run({ key: text, ...refusal });
      trim.run({ oldest: oldest(), most: MOST_REFUSALS });
    },
    of(key) {
      const text = keyText(key);
      const known = byKey.get(text);
      if (known === undefined) return [];
      const fresh = known.filter((item) => item.at >= oldest());
      if (fresh.length === 0) byKey.delete(text);
      return fresh;
    },
    isDecoy: (hash) => decoys.has(hash),
    addDecoy(hash) {
      decoys.add(hash);
      for (const first of decoys) {
        if (decoys.size <= MOST_DECOYS) break;
        decoys.delete(first);
      }
      insertDecoy.run({ hash, at: now() });
      trimDecoys.run({ most: MOST_DECOYS });
    },
  };
}
