import { isAppError } from "../core/errors.ts";
import { type Logger, silentLogger } from "../ops/log.ts";
import { type Listener, startListener } from "./listener.ts";

const CHALLENGE = /^\/\.well-known\/acme-challenge\/([^/]+)$/;

/**
 * Answers http-01 for a command while no server runs. Ports that are taken are left alone: a running server with the
 * same data folder answers there.
 *
 * @returns undefined when every port is taken
 */
export async function answerChallenges(
  challenge: (token: string) => Promise<string | undefined>,
  at: { hosts: string[]; ports: number[] },
  log: Logger,
): Promise<Listener | undefined> {
  try {
    return await startListener({
      ...at,
      idleSeconds: 30,
      maxBodyBytes: 1024,
      log: silentLogger,
      async handle(request) {
        const token = CHALLENGE.exec(new URL(request.url).pathname)?.[1];
        const answer = token === undefined ? undefined : await challenge(token);
        return answer === undefined ? new Response(null, { status: 404 }) : new Response(answer);
      },
    });
  } catch (error) {
    if (!isAppError(error)) throw error;
    log.debug("no free port, so a running server must answer the proof", { reason: error.message });
    return undefined;
  }
}
