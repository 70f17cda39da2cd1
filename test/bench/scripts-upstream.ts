// A script's own server for the bench, in a process of its own: answers at once.
const server = Bun.serve({
  hostname: process.argv[2] ?? "127.0.0.2",
  port: 0,
  fetch: (request) => Response.json({ code: 0, url: `${new URL(request.url).origin}/audio.mp3` }),
});
console.log(`http://${server.hostname}:${server.port}`);
