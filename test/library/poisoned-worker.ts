/** The real scan worker, which dies or hangs when it is to read a file called "poison". */
import "../../src/library/scan-worker.ts";

declare const self: Worker;

let how = "throw";
let offered: { path: string }[] = [];
const post = self.postMessage.bind(self);
self.postMessage = (message: { type: string; files?: { path: string }[] }) => {
  if (message.type === "offer") offered = message.files ?? [];
  post(message);
};

const real = self.onmessage;
self.onmessage = (event: MessageEvent) => {
  if (event.data.type === "poison") {
    how = event.data.how;
    return;
  }
  const wanted: number[] = event.data.type === "read" ? event.data.wanted : [];
  if (wanted.some((at) => offered[at]?.path === "poison.mp3")) {
    if (how === "hang") return;
    throw new Error("parser died");
  }
  real?.call(self, event);
};
