import { describe, expect, test } from "bun:test";
import { createAnswerHeaders } from "../../src/http/plugins/answer-headers.ts";
import { targetOf } from "../../src/http/target.ts";

const ALL = { enable: true, origins: ["*"], max_age: 600 };
const LISTED = { enable: true, origins: ["https://a.example", "https://B.example/"], max_age: 600 };
const PAGES = { hsts: 0, pages: ["", "docs", "dashboard"] };

function ask(headers: Record<string, string> = {}, method = "GET", url = "http://localhost/x") {
  return new Request(url, { method, headers });
}

const at = (path: string) => targetOf(`http://localhost${path}`);

describe("CORS", () => {
  test.each([
    ["all origins", ALL, undefined, "*", undefined],
    ["all origins, another page", ALL, "https://evil.example", "*", undefined],
    ["a listed origin", LISTED, "https://a.example", "https://a.example", "Origin"],
    ["a listed origin, in another spelling", LISTED, "https://b.example", "https://b.example", "Origin"],
    ["an origin that is not listed", LISTED, "https://evil.example", undefined, "Origin"],
    ["an origin that only begins so", LISTED, "https://a.example.evil", undefined, "Origin"],
    ["no origin", LISTED, undefined, undefined, "Origin"],
    ["the null origin", LISTED, "null", undefined, "Origin"],
    ["switched off", { ...ALL, enable: false }, "https://a.example", undefined, undefined],
  ])("%s", (_, cors, origin, allowed, vary) => {
    const headers = createAnswerHeaders(cors, PAGES).forAnswer(
      ask(origin === undefined ? {} : { origin }),
      at("/url/kg/1/128k"),
    );
    expect([headers["access-control-allow-origin"], headers["vary"]]).toEqual([allowed, vary]);
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
  });

  test("a preflight is answered, with the headers that our clients send", () => {
    const request = ask({ origin: "https://a.example", "access-control-request-method": "GET" }, "OPTIONS");
    const response = createAnswerHeaders(ALL, PAGES).preflight(request);
    expect(response?.status).toBe(204);
    expect(response?.headers.get("access-control-allow-headers")).toContain("X-Request-Key");
    expect(response?.headers.get("access-control-allow-methods")).toContain("DELETE");
    expect(response?.headers.get("access-control-max-age")).toBe("600");
  });

  test("a preflight from elsewhere is told nothing", () => {
    const request = ask({ origin: "https://evil.example", "access-control-request-method": "GET" }, "OPTIONS");
    const response = createAnswerHeaders(LISTED, PAGES).preflight(request);
    expect([...(response?.headers.keys() ?? [])]).toEqual(["vary"]);
  });

  test.each([
    ["a plain OPTIONS", ask({ origin: "https://a.example" }, "OPTIONS"), ALL],
    ["another method", ask({ origin: "https://a.example", "access-control-request-method": "GET" }), ALL],
    ["CORS switched off", ask({ "access-control-request-method": "GET" }, "OPTIONS"), { ...ALL, enable: false }],
  ])("no preflight: %s", (_, request, cors) =>
    expect(createAnswerHeaders(cors, PAGES).preflight(request)).toBeUndefined(),
  );
});

describe("security headers", () => {
  test.each(["/", "/docs", "/docs/start.js", "/dashboard/x"])("the page %s", (path) => {
    const headers = createAnswerHeaders(ALL, PAGES).forAnswer(ask(), at(path));
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
    });
    const policy = headers["content-security-policy"] ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(headers["permissions-policy"]).toContain("camera=()");
  });

  test.each(["/cache/a.svg", "/local/p?q=x", "/webdav/kg/1/128k", "/dav/a.html"])("what others wrote: %s", (path) => {
    const headers = createAnswerHeaders(ALL, PAGES).forAnswer(ask(), at(path));
    expect(headers["content-security-policy"]).toContain("sandbox");
    expect(headers["x-content-type-options"]).toBe("nosniff");
  });

  test("data carries nosniff, and the same object is used again", () => {
    const made = createAnswerHeaders(ALL, PAGES);
    expect(made.forAnswer(ask(), at("/url/kg/1/128k"))["x-content-type-options"]).toBe("nosniff");
    expect(made.forAnswer(ask(), at("/url/kg/1/128k"))).toBe(made.forAnswer(ask(), at("/info/kg/1")));
  });

  test.each([
    ["https", "https://localhost/x", 300, "max-age=300"],
    ["http", "http://localhost/x", 300, undefined],
    ["not wanted", "https://localhost/x", 0, undefined],
  ])("HSTS: %s", (_, url, hsts, expected) => {
    const headers = createAnswerHeaders(ALL, { ...PAGES, hsts }).forAnswer(ask({}, "GET", url), targetOf(url));
    expect(headers["strict-transport-security"]).toBe(expected);
  });
});
