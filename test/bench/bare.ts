// A bare `Bun.serve` with the answer of a cached /url: the ceiling that the server is compared with.
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
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => new Response(body, { headers: { "content-type": "application/json; charset=utf-8" } }),
});
console.log(`bare ${server.port}`);

export {};
