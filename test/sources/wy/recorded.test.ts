import { expect, test } from "bun:test";
import type { Quality } from "../../../src/core/types.ts";
import { USER_AGENTS } from "../../../src/sources/wy/client.ts";
import { createWy } from "../../../src/sources/wy/index.ts";
import recorded from "../../fixtures/wy/recorded.json";
import { configOf, depsWith, failureOf, scripted } from "../start.ts";

/** The original's own requests, as recorded from it: ours are the same to the byte. */
const rows = recorded.filter((row) => row.target.startsWith("/url/"));

test.each(rows.map((row) => ({ name: row.id, row })))("$name: the same request, the same answer", async ({ row }) => {
  const [, , , songId = "", asked = ""] = row.target.split("/");
  const was = row.upstream[0];
  const refused = /got=(\w+)/.exec(row.answer.msg)?.[1];
  const level = refused ?? "standard";
  const { http, requests } = scripted({
    code: 200,
    data: [{ id: 1, url: row.answer.data ?? "http://m701.music.126.net/x.mp3", level, code: 200, freeTrialInfo: null }],
  });
  const index = USER_AGENTS.indexOf(was?.headers["user-agent"] as (typeof USER_AGENTS)[0]);
  const deps = { ...depsWith(http, configOf("wy")), random: () => index / USER_AGENTS.length };
  const source = createWy(deps);
  const quality = source.qualityAliases?.[asked] ?? (asked as Quality);
  const answer = source.url?.({ songId, quality }, {}) ?? Promise.reject();

  if (row.answer.code === 0) {
    expect(await answer).toEqual({ url: String(row.answer.data), quality: "128k", lifetimeSeconds: 1200 });
  } else {
    expect(await failureOf(answer)).toEqual({ kind: "upstream_quality", message: row.answer.msg });
  }
  expect(requests).toHaveLength(1);
  const [sent] = requests;
  expect(sent?.url).toBe(`${was?.scheme}://${was?.host}${was?.path}`);
  expect(sent?.method).toBe(was?.method ?? "");
  expect(sent?.body).toBe(was?.body ?? "");
  const headers = Object.entries(sent?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  expect(Object.fromEntries(headers)).toEqual(was?.headers);
});
