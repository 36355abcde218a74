/** Programs that run beside the server during one test. */

import { endProcess, freePort } from "../../scripts/bench/server.ts";
import { eventually } from "./server.ts";

/** Runs a program that listens on `port` while `body` runs. */
export async function withPeer(
  program: string,
  args: readonly string[],
  port: number,
  body: () => Promise<void>,
): Promise<void> {
  const child = new Deno.Command(program, { args: [...args], stdin: "null", stdout: "null", stderr: "null" }).spawn();
  try {
    await eventually(`${program} listens on port ${port}`, async () => {
      try {
        (await Deno.connect({ port, hostname: "127.0.0.1" })).close();
        return true;
      } catch {
        return undefined;
      }
    });
    await body();
  } finally {
    await endProcess(child);
  }
}

/** Runs `smtp-sink` with further options; `body` gets its port. */
export async function withSmtpSink(options: readonly string[], body: (port: number) => Promise<void>): Promise<void> {
  const port = freePort();
  // As root it wants to become somebody else.
  const user = Deno.uid() === 0 ? ["-u", "nobody"] : [];
  await withPeer("smtp-sink", [...options, ...user, `127.0.0.1:${port}`, "100"], port, () => body(port));
}
