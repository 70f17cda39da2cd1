import { measure } from "./measure.ts";
import { writeTags } from "./tags.ts";
import type { WorkReply, WorkRequest } from "./work.ts";

declare const self: Worker;

self.onmessage = async (event: MessageEvent<WorkRequest>) => {
  const job = event.data;
  self.postMessage(await answer(job));
};

async function answer(job: WorkRequest): Promise<WorkReply> {
  try {
    if (job.kind === "measure") return { id: job.id, ok: true, measured: await measure(job.path) };
    writeTags(job.path, job.format, job.tags, job.options);
    return { id: job.id, ok: true };
  } catch (error) {
    return { id: job.id, ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}
