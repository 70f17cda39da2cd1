import { describe, expect, test } from "bun:test";
import { createAuthenticator, parseChallenges } from "../../src/webdav/auth.ts";

const RFC =
  'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=ALG, ' +
  'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';

/** The examples of RFC 7616, section 3.9.1. */
test.each([
  ["MD5", "8ca523f5e9506fed4657c9700eebdbec"],
  ["SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"],
])("%s as in the specification", (algorithm, response) => {
  const auth = createAuthenticator(
    { username: "Mufasa", password: "Circle of Life" },
    "auto",
    () => "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
  );
  expect(auth.settled).toBe(false);
  expect(auth.header("GET", "/dir/index.html")).toBeUndefined();
  expect(auth.learn(401, RFC.replace("ALG", algorithm))).toBe(true);
  const header = auth.header("GET", "/dir/index.html") ?? "";
  expect(header).toContain(`response="${response}"`);
  expect(header).toContain("nc=00000001");
  expect(auth.header("GET", "/dir/index.html")).toContain("nc=00000002");
});

describe("choosing", () => {
  const credentials = { username: "u", password: "secret" };
  const basic = `Basic ${btoa("u:secret")}`;

  test("Digest before Basic, and SHA-256 before MD5", () => {
    const auth = createAuthenticator(credentials, "auto");
    auth.learn(401, 'Basic realm="a", Digest realm="b", nonce="1", Digest realm="b", nonce="2", algorithm=SHA-256');
    const header = auth.header("GET", "/") ?? "";
    expect(header).toStartWith("Digest ");
    expect(header).toContain("algorithm=SHA-256");
    expect(header).not.toContain("secret");
  });

  test.each([
    ["Basic alone", 401, 'Basic realm="a"', basic],
    ["a server that lets anybody in is still told who asks", 207, null, basic],
    ["an unknown way", 401, "Bearer", basic],
  ])("%s", (_name, status, challenge, expected) => {
    const auth = createAuthenticator(credentials, "auto");
    auth.learn(status, challenge);
    expect(auth.header("GET", "/")).toBe(expected);
  });

  test("wrong Basic credentials are not sent again and again", () => {
    const auth = createAuthenticator(credentials, "basic");
    expect(auth.header("GET", "/")).toBe(basic);
    expect(auth.learn(401, 'Basic realm="a"')).toBe(false);
  });

  test("with Digest demanded, Basic is never sent", () => {
    const auth = createAuthenticator(credentials, "digest");
    expect(auth.learn(401, 'Basic realm="a"')).toBe(false);
    expect(auth.header("GET", "/")).toBeUndefined();
  });

  test("without credentials nothing is sent", () => {
    const auth = createAuthenticator({ username: "", password: "" }, "auto");
    expect(auth.settled).toBe(true);
    expect(auth.learn(401, 'Basic realm="a"')).toBe(false);
    expect(auth.header("GET", "/")).toBeUndefined();
  });
});

test("challenges with commas, escapes and several schemes", () => {
  const found = parseChallenges('Digest realm="a, \\"b\\"", nonce=abc, qop="auth,auth-int", Basic realm=x, Negotiate');
  expect(found.map((one) => one.scheme)).toEqual(["digest", "basic", "negotiate"]);
  expect(found[0]?.values.get("realm")).toBe('a, "b"');
  expect(found[0]?.values.get("nonce")).toBe("abc");
  expect(parseChallenges(null)).toEqual([]);
});
