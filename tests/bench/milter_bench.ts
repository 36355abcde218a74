/**
 * What a milter costs that does nothing: messages accepted per second with one at every stage, beside a server without.
 * Once it answers each command, once none but the end of a message. The filter runs as a process of its own. All get the
 * same load in turns while the next hop never answers; the exit status is 1 if less than half is left.
 *
 * ```sh
 * deno run -A tests/bench/milter_bench.ts [--messages 6000] [--connections 20] [--size 4096] [--repetitions 3]
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { freePort } from "../../scripts/bench/server.ts";
import { compare, readOptions, report, type Variant } from "./acceptance.ts";

const { values } = parseArgs({
  options: { "as-milter": { type: "string" }, steps: { type: "string", default: "0" } },
  strict: false,
});

/** Share of the bare rate that must be left. */
const TARGET = 0.5;
/** All `SMFIP_NR_*` flags. */
const QUIET = 0xff080;

if (values["as-milter"] !== undefined) await serveNothing(Number(values["as-milter"]), Number(values.steps));

/** A milter that continues, whatever it hears. */
async function serveNothing(port: number, steps: number): Promise<never> {
  const answers = new Map([..."CHMRTLNBE"].map((letter) => [letter.charCodeAt(0), Uint8Array.of(0, 0, 0, 1, 0x63)]));
  if (steps !== 0) { for (const letter of "CHMRTLNB") answers.delete(letter.charCodeAt(0)); }
  const negotiation = new Uint8Array(17);
  const view = new DataView(negotiation.buffer);
  view.setUint32(0, 13);
  negotiation[4] = 0x4f;
  view.setUint32(5, 6);
  view.setUint32(9, 0xff);
  view.setUint32(13, steps);
  answers.set(0x4f, negotiation);

  const serve = async (socket: Deno.TcpConn) => {
    // As libmilter: an answer may wait until the one before is acknowledged.
    socket.setNoDelay(false);
    const buffer = new Uint8Array(200_000);
    let end = 0;
    for (let count = await socket.read(buffer); count !== null; count = await socket.read(buffer.subarray(end))) {
      end += count;
      let at = 0;
      while (end - at >= 5) {
        const length = new DataView(buffer.buffer, at).getUint32(0);
        if (end - at < 4 + length) break;
        const answer = answers.get(buffer[at + 4] as number);
        if (answer !== undefined) await socket.write(answer);
        at += 4 + length;
      }
      buffer.copyWithin(0, at, end);
      end -= at;
    }
  };
  for await (const socket of Deno.listen({ hostname: "127.0.0.1", port })) {
    serve(socket).catch(() => {}).finally(() => {
      try {
        socket.close();
      } catch {
        // Closed already.
      }
    });
  }
  Deno.exit(0);
}

/** @param steps what the milter says it does not answer */
function withMilter(name: string, steps: number): Variant {
  return {
    name,
    configure(bare, stack) {
      const port = freePort();
      const milter = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", import.meta.filename ?? "", "--as-milter", `${port}`, "--steps", `${steps}`],
        stdin: "null",
      }).spawn();
      stack.defer(async () => {
        milter.kill("SIGKILL");
        await milter.status;
      });
      return `${bare}
[session.milter.nothing]
hostname = "127.0.0.1"
port = ${port}
stages = ["connect", "ehlo", "mail", "rcpt", "data"]
`;
    },
  };
}

const all = await compare([
  { name: "bare", configure: (bare) => bare },
  withMilter("each command answered", 0),
  withMilter("only the end answered", QUIET),
], readOptions());
Deno.exit(report(all, TARGET) ? 0 : 1);
