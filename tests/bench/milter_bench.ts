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
import { configuration } from "../../scripts/bench/godwit.ts";
import { hangingNextHop, send } from "../../scripts/bench/load.ts";
import { usage } from "../../scripts/bench/processes.ts";
import { freePort, greeted, pause } from "../../scripts/bench/server.ts";
import { startGodwit } from "../../scripts/godwit_process.ts";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "6000" },
    connections: { type: "string", default: "20" },
    size: { type: "string", default: "4096" },
    repetitions: { type: "string", default: "3" },
    "as-milter": { type: "string" },
    steps: { type: "string", default: "0" },
  },
});

/** Share of the bare rate that must be left. */
const TARGET = 0.5;
/** All `SMFIP_NR_*` flags. */
const QUIET = 0xff080;

if (values["as-milter"] !== undefined) await serveNothing(Number(values["as-milter"]), Number(values.steps));

const load = {
  messages: Number(values.messages),
  connections: Number(values.connections),
  size: Number(values.size),
};

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
    socket.setNoDelay(true);
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

interface Run {
  readonly rate: number;
  /** Milliseconds of processor time per message. */
  readonly cpu: number;
}

/** @param steps what the milter says it does not answer; undefined for no milter */
async function run(steps: number | undefined): Promise<Run> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-bench-" });
  const nextHop = hangingNextHop();
  const port = freePort();
  const milterPort = freePort();
  const milter = steps === undefined ? undefined : new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", import.meta.filename ?? "", "--as-milter", `${milterPort}`, "--steps", `${steps}`],
    stdin: "null",
  }).spawn();
  try {
    const config = `${folder}/config.toml`;
    const settings = milter === undefined ? "" : `
[session.milter.nothing]
hostname = "127.0.0.1"
port = ${milterPort}
stages = ["connect", "ehlo", "mail", "rcpt", "data"]
`;
    await Deno.writeTextFile(config, configuration(port, nextHop.port, freePort()) + settings);
    const child = startGodwit({ config, cwd: folder });
    try {
      await greeted(port, child.status);
      await send({ ...load, messages: Math.ceil(load.messages / 5) }, port);
      const before = usage(child.pid).cpuSeconds;
      const seconds = await send(load, port);
      return {
        rate: load.messages / seconds,
        cpu: (usage(child.pid).cpuSeconds - before) * 1000 / load.messages,
      };
    } finally {
      child.kill("SIGTERM");
      if (await Promise.race([child.status, pause(15_000)]) === undefined) child.kill("SIGKILL");
      await child.status;
    }
  } finally {
    milter?.kill("SIGKILL");
    await milter?.status;
    await nextHop.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

function median(runs: readonly Run[], figure: keyof Run): number {
  const sorted = runs.map((one) => one[figure]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

const kinds = [
  { name: "bare", steps: undefined, runs: [] as Run[] },
  { name: "each command answered", steps: 0, runs: [] as Run[] },
  { name: "only the end answered", steps: QUIET, runs: [] as Run[] },
] as const;
for (let repetition = 0; repetition < Number(values.repetitions); repetition++) {
  // In turns, and each first at times: whatever else the machine does must not fall on one of them.
  for (let turn = 0; turn < kinds.length; turn++) {
    const kind = kinds[(turn + repetition) % kinds.length];
    if (kind !== undefined) kind.runs.push(await run(kind.steps));
  }
}
const bare = median(kinds[0].runs, "rate");
for (const { name, runs } of kinds) {
  console.log(
    `${name.padEnd(22)} ${median(runs, "rate").toFixed(0).padStart(6)} messages/s (${
      (median(runs, "rate") / bare * 100).toFixed(0)
    } %)  ${median(runs, "cpu").toFixed(2)} ms of processor time each  ` +
      `(runs: ${runs.map(({ rate }) => rate.toFixed(0)).join(" ")})`,
  );
}
Deno.exit(kinds.every(({ runs }) => median(runs, "rate") >= TARGET * bare) ? 0 : 1);
