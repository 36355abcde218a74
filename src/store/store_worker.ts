/** The worker that owns the database, so that no query and no sync to disk ever holds up the network loop. */

import { createUnpacker, type Executor, type FromWorker, packResults, type ToWorker, transferable } from "./wire.ts";
import { OpenError } from "./open_error.ts";
import { unavailable } from "./failure.ts";

interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  close(): void;
}

function isWorkerScope(scope: unknown): scope is WorkerScope {
  return typeof scope === "object" && scope !== null && "postMessage" in scope && "close" in scope;
}

const scope: unknown = globalThis;
if (isWorkerScope(scope)) serve(scope);

function serve(worker: WorkerScope): void {
  let executor: Executor | undefined;
  const unpack = createUnpacker();

  const handle = async (message: ToWorker) => {
    if (message.kind === "open") {
      try {
        // Only the client that is needed is loaded: it is most of what this worker weighs.
        executor = message.target.url.startsWith("file:")
          ? (await import("./local.ts")).createLocalExecutor(message.target)
          : (await import("./remote.ts")).createRemoteExecutor(message.target);
        await executor.open();
        worker.postMessage({ kind: "opened", failure: undefined });
      } catch (error) {
        const failure = error instanceof OpenError ? error.failure : unavailable(String(error));
        worker.postMessage({ kind: "opened", failure });
      }
    } else if (message.kind === "work") {
      const groups = unpack(message);
      const results = executor === undefined ? [] : await executor.run(groups);
      const done = packResults(groups, results, {
        bytes: executor?.copiesBlobs === true && message.bytes.byteLength > 0 ? message.bytes : undefined,
        reopened: executor?.takeReopened() ?? false,
      });
      worker.postMessage(done, transferable(done));
    } else {
      executor?.close();
      worker.postMessage({ kind: "closed" });
      worker.close();
    }
  };

  // One after the other, also where the executor waits for a server.
  let last = Promise.resolve();
  worker.onmessage = (event) => {
    last = last.then(() => handle(event.data)).catch((error) => {
      worker.postMessage({
        kind: "done",
        changes: [],
        rows: [],
        bytes: undefined,
        reopened: false,
        failures: [[-1, unavailable(`the database worker failed: ${String(error)}`, false, true)]],
      });
    });
  };
}
