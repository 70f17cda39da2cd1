// A bare `Bun.serve` with the body of a cached /url: the ceiling that the server is compared with. With `same` the
// answer also has the headers that ours has, so that the same bytes go over the wire.
const same = process.argv[2] === "same";
const body = JSON.stringify({
  code: 0,
  msg: "success",
  data: "http://fs.youthandroid2.kugou.com/202411210000/047c6b24dc8a859494e7c3344185711e/v3/2b4b0fb87f2a855cc0520e3c009d0ac8/yp/full/ap1005.mp3",
  extra: {
    cache: true,
    quality: { target: "128k", result: "128k" },
    expire: { time: 1795328408, canExpire: true },
    localfile: false,
  },
});
const headers: Record<string, string> = { "content-type": "application/json; charset=utf-8" };
if (same) {
  Object.assign(headers, {
    "x-request-id": "0123456789ab-0zz",
    "cache-status": "lx; hit; detail=memory",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
    "access-control-expose-headers":
      "Accept-Ranges, Cache-Status, Content-Length, Content-Range, ETag, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-ID",
  });
}
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => new Response(body, { headers }),
});
console.log(`bare ${server.port}`);

export {};
