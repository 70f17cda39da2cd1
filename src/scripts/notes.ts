import type { Database } from "bun:sqlite";
import { type Static, Type } from "@sinclair/typebox";
import { check, sourcesSchema } from "./protocol.ts";

const notesSchema = Type.Partial(
  Type.Object({
    /** As it declared them when it started last. */
    sources: sourcesSchema,
    /** What stopped it, or the last error that nobody caught. `at`: Unix ms. */
    problem: Type.Object({ message: Type.String(), line: Type.Optional(Type.Integer()), at: Type.Number() }),
    /** Hosts that it has asked. */
    hosts: Type.Array(Type.String()),
    /** Unix ms. */
    blockedUntil: Type.Number(),
  }),
);

/** What the running server has seen of a script; kept, so that commands show it and a restart does not forget it. */
export type ScriptNotes = Static<typeof notesSchema>;

export interface NoteStore {
  get(id: string): ScriptNotes;
  /** `undefined` takes a note away. Does nothing for a script that has been removed. */
  add(id: string, change: { [K in keyof ScriptNotes]: ScriptNotes[K] | undefined }): void;
}

/** A table beside the scripts, which it needs: a note never undoes what a command changes at the same time. */
export function createNoteStore(db: Database): NoteStore {
  db.run(`CREATE TABLE IF NOT EXISTS script_notes (
    script_id TEXT PRIMARY KEY REFERENCES scripts(id) ON DELETE CASCADE, notes TEXT NOT NULL) STRICT`);
  const select = db.query<{ notes: string }, [string]>("SELECT notes FROM script_notes WHERE script_id = ?");
  const save = db.query<unknown, [string, string]>(
    `INSERT INTO script_notes (script_id, notes) SELECT id, ? FROM scripts WHERE id = ?
     ON CONFLICT (script_id) DO UPDATE SET notes = excluded.notes`,
  );

  function get(id: string): ScriptNotes {
    try {
      return check(notesSchema, JSON.parse(select.get(id)?.notes ?? "{}")) ?? {};
    } catch {
      return {};
    }
  }

  return {
    get,
    add: (id, change) => void save.run(JSON.stringify({ ...get(id), ...change }), id),
  };
}
