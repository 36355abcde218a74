/** The worker that checks slow hashes, one after the other, so that no login holds up the network loop. */

import { readSecret, verifyRead } from "./secret.ts";

/** A password to check. */
export interface PasswordQuestion {
  readonly secret: string;
  readonly password: string;
}

/** Whether it is right, or why nobody knows. */
export type PasswordAnswer = { readonly accepted: boolean } | { readonly failure: string };

interface WorkerScope {
  onmessage: ((event: MessageEvent<PasswordQuestion>) => void) | null;
  postMessage(message: PasswordAnswer): void;
  close(): void;
}

function isWorkerScope(scope: unknown): scope is WorkerScope {
  return typeof scope === "object" && scope !== null && "postMessage" in scope && "close" in scope;
}

const scope: unknown = globalThis;
if (isWorkerScope(scope)) serve(scope);

function serve(worker: WorkerScope): void {
  worker.onmessage = async ({ data: { secret, password } }) => {
    try {
      worker.postMessage({ accepted: await verifyRead(readSecret(secret), password) });
    } catch (error) {
      worker.postMessage({ failure: error instanceof Error ? error.message : String(error) });
    }
  };
}
