/** Commands on the store of a server that does not run. */

import { join } from "node:path";
import { run } from "../../../src/cli/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";

/** What a command printed. */
export interface Printed {
  readonly status: number;
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  readonly bytes: string;
}

/** Runs a command with the configuration of the server. */
export type Godwit = (...args: string[]) => Promise<Printed>;

/** Fills a store, and lets `body` run commands on it; `folder` is where they may write. */
export async function withStoppedServer(
  fill: (store: Store) => Promise<void>,
  body: (godwit: Godwit, folder: string) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  await fill(store);
  await store.close();
  const config = join(folder.path, "config.toml");
  await Deno.writeTextFile(
    config,
    `server.hostname = "mx.example.org"
server.listener.smtp = { bind = "127.0.0.1:0", protocol = "smtp" }
store.data = { type = "libsql", url = "file:${folder.path}/queue.db" }
storage.data = "data"
`,
  );
  await body(async (...args) => {
    const lines: string[] = [];
    const errors: string[] = [];
    let bytes = "";
    const status = await run([...args, "--config", config], {
      print: (line) => lines.push(...line.split("\n")),
      error: (line) => errors.push(line),
      write(chunk) {
        bytes += new TextDecoder().decode(chunk);
        return Promise.resolve();
      },
      colours: false,
    });
    return { status, lines, errors, bytes };
  }, folder.path);
}

/** The columns of a line of a table. */
export const columns = (line = ""): readonly string[] => line.split(/ {2,}/);
