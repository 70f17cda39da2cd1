import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { createCatalogue } from "../../src/library/catalogue.ts";

test("what is walked in slices is not sorted anew for every slice", () => {
  const db = new Database(":memory:", { strict: true });
  const statements: string[] = [];
  const listening: Database = Object.assign(Object.create(db), {
    run: (text: string) => db.run(text),
    transaction: db.transaction.bind(db),
    query(text: string) {
      statements.push(text);
      return db.query(text);
    },
  });
  createCatalogue(listening);
  const slices = statements.filter((text) => /> \? ORDER BY id LIMIT \?/.test(text));
  expect(slices.length).toBeGreaterThanOrEqual(2);
  for (const text of slices) {
    const plan = db.query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${text}`).all();
    expect(plan.map((step) => step.detail)).toEqual(["SEARCH library_tracks USING INTEGER PRIMARY KEY (rowid>?)"]);
  }
  db.close();
});
