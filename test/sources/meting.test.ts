import { afterEach, expect, spyOn, test } from "bun:test";
import Meting from "@meting/core";
import { kwSection, txSection } from "../../src/config/sections/sources.ts";
import { createKw } from "../../src/sources/kw/index.ts";
import { createTx } from "../../src/sources/tx/index.ts";
import { songByKey } from "../platforms/catalog.ts";
import { kwPlatform } from "../platforms/kw.ts";
import { trackOf } from "../platforms/tx/songs.ts";
import { txPlatform } from "../platforms/tx.ts";
import { platformFor } from "./harness.ts";

/** Another project's requests for the same calls: what both send must be the same. */
const song = songByKey("plain");
const tx = platformFor(txPlatform, txSection);
const kw = platformFor(kwPlatform, kwSection);
let restore = () => {};
afterEach(() => restore());

/** Answers the other project without a network; gives the addresses that it asked for. */
function answering(answer: (url: string) => unknown): string[] {
  const asked: string[] = [];
  const fake = async (input: string | URL | Request) => {
    asked.push(String(input));
    return new Response(JSON.stringify(answer(String(input))));
  };
  const spy = spyOn(globalThis, "fetch").mockImplementation(fake as typeof fetch);
  restore = () => spy.mockRestore();
  return asked;
}

test("tx: the key for a file is asked for with the same parameters", async () => {
  const ours: Record<string, unknown>[] = [];
  for (const quality of ["128k", "320k", "flac"] as const) {
    tx.emulator.reset();
    await createTx(tx.deps()).url?.({ songId: song.ids.tx.mid, quality }, {});
    ours.push(JSON.parse(tx.requests()[1]?.text ?? "{}").req.param);
  }
  const asked = answering((url) =>
    url.includes("musicu.fcg")
      ? { req_0: { data: { sip: [""], midurlinfo: Array.from({ length: 7 }, () => ({ purl: "x", vkey: "x" })) } } }
      : { data: [{ ...trackOf(song), type: 0 }] },
  );
  await new Meting("tencent").format(true).url(song.ids.tx.mid, 999);
  const data = new URL(asked.find((url) => url.includes("musicu.fcg")) ?? "").searchParams.get("data") ?? "{}";
  const theirs = JSON.parse(data).req_0.param;
  for (const param of ours) {
    expect(Object.keys(param).sort()).toEqual(Object.keys(theirs).sort());
    expect([param["loginflag"], param["platform"]]).toEqual([theirs.loginflag, theirs.platform]);
    const [filename] = param["filename"] as string[];
    const at = theirs.filename.indexOf(filename);
    expect(at).toBeGreaterThanOrEqual(0);
    expect([param["songmid"], param["songtype"]]).toEqual([[theirs.songmid[at]], [theirs.songtype[at]]]);
  }
});

test("kw: the mobile page's lyric is asked for at the same address", async () => {
  kw.fault("garbage", { match: /newlyric/ });
  await createKw(kw.deps()).lyric?.(song.ids.kw.id, {});
  const request = kw.requests().at(-1);
  const asked = answering(() => ({ data: { lrclist: [] } }));
  await new Meting("kuwo").lyric(song.ids.kw.id);
  expect(`${request?.scheme}://${request?.host}${request?.path}?${request?.query}`).toBe(asked[0] ?? "");
});
