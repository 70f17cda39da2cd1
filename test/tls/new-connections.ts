import { connect } from "node:tls";

// `bun new-connections.ts PORT`: three clients, each with a new TLS connection for every request, until SIGINT.
const port = Number(process.argv[2]);
const counts = { answered: 0, failed: 0 };
let running = true;

function once(): Promise<boolean> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    });
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(text.includes("200 OK")));
  });
}

process.on("SIGINT", () => {
  running = false;
});
await Promise.all(
  Array.from({ length: 3 }, async () => {
    while (running) {
      if (await once()) counts.answered++;
      else counts.failed++;
      await Bun.sleep(10);
    }
  }),
);
console.log(JSON.stringify(counts));
