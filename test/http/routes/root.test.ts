import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type LandingFacts, landingPage } from "../../../src/http/pages/landing.ts";
import { aliveAnswer, rootRoutes } from "../../../src/http/routes/root.ts";
import { bare } from "./rig.ts";

const ask = bare(rootRoutes({ landing: () => "<!doctype html>page" }));

test.each([
  ["text/html,application/xhtml+xml,*/*;q=0.8", true],
  ["  Text/HTML", true],
  ["*/*", false],
  ["application/json, text/html", false],
  ["", false],
])("Accept: %s -> page %p", async (accept, page) => {
  const response = await ask("/", { headers: { accept } });
  expect(response.status).toBe(200);
  expect(response.headers.get("vary")).toBe("Accept");
  expect(response.headers.get("content-type")).toStartWith(page ? "text/html" : "application/json");
  expect(await response.text()).toBe(page ? "<!doctype html>page" : '{"code":0,"msg":"success","data":null}');
  const hot = aliveAnswer(new Request("http://localhost/", { headers: { accept } }));
  expect(hot?.body).toBe(page ? undefined : ('{"code":0,"msg":"success","data":null}' as string | undefined));
});

test("only GET is answered without the router", () => {
  expect(aliveAnswer(new Request("http://localhost/", { method: "HEAD" }))).toBeUndefined();
});

describe("the landing page", () => {
  const facts: LandingFacts = {
    title: "LX",
    intro: "i",
    version: "1.0.0",
    scriptUrl: "http://lx.test/script",
    needsKey: false,
    sources: [{ name: "酷狗", enabled: true, qualities: ["128k"] }],
  };

  test("shows the address to paste, and a place for the key where one is needed", () => {
    expect(landingPage(facts)).toContain("http://lx.test/script");
    expect(landingPage({ ...facts, needsKey: true })).toContain("key=");
    expect(landingPage({ ...facts, scriptUrl: undefined })).not.toContain("/script");
  });

  test("whatever the texts are, they stay texts", () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "</title>", "&lt;"),
    );
    const bones = (html: string) => html.match(/<[^>]*>/g)?.map((tag) => tag.replace(/"[^"]*"/g, '""'));
    const plain = bones(
      landingPage({ ...facts, title: "t", intro: "i", sources: [{ name: "n", enabled: true, qualities: ["q"] }] }),
    );
    fc.assert(
      fc.property(text, text, text, text, (title, intro, name, version) => {
        const html = landingPage({
          ...facts,
          title,
          intro,
          version,
          sources: [{ name, enabled: true, qualities: [name] }],
        });
        expect(bones(html)).toEqual(plain);
      }),
    );
  });
});
