/**
 * What a part of the server costs where mail comes in: servers that differ in their configuration get the same load in
 * turns while the next hop never answers, and their medians are compared.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { configuration } from "../../scripts/bench/godwit.ts";
import { hangingNextHop, type Load, send, sendMeasured } from "../../scripts/bench/load.ts";
import { usage } from "../../scripts/bench/processes.ts";
import { freePort, greeted, pause } from "../../scripts/bench/server.ts";
import { median } from "../../scripts/bench/table.ts";
import { startGodwit } from "../../scripts/godwit_process.ts";

/** A server to be measured. */
export interface Variant {
  readonly name: string;
  /**
   * Makes its configuration out of that of a server that takes everything. What it starts beside the server is put on
   * `stack`, and ends after the run.
   */
  configure(bare: string, stack: AsyncDisposableStack): string | Promise<string>;
}

/** What one run gave. */
export interface Run {
  /** Messages a second. */
  readonly rate: number;
  /** Milliseconds of processor time per message. */
  readonly cpu: number;
}

/** Options that every comparison has; `headers` are added to each message. */
export interface Comparison {
  readonly load: Load;
  readonly repetitions: number;
  /** How much goes before, as a part of the load; a fifth by default. */
  readonly warmUp?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A variant with its runs, in their order. */
export interface Compared extends Run {
  readonly name: string;
  readonly runs: readonly Run[];
}

/** Reads `--messages`, `--connections`, `--size` and `--repetitions`. */
export function readOptions(): Comparison {
  const { values } = parseArgs({
    options: {
      messages: { type: "string", default: "6000" },
      connections: { type: "string", default: "20" },
      size: { type: "string", default: "4096" },
      repetitions: { type: "string", default: "3" },
    },
    strict: false,
  });
  const load = {
    messages: Number(values.messages),
    connections: Number(values.connections),
    size: Number(values.size),
  };
  return { load, repetitions: Number(values.repetitions) };
}

/**
 * Measures variants, the first of which the others are compared with. All servers run from the beginning to the end and
 * get the load in turns: what else the machine does from minute to minute falls on all of them.
 */
export async function compare(variants: readonly Variant[], comparison: Comparison): Promise<readonly Compared[]> {
  await using stack = new AsyncDisposableStack();
  const { load, warmUp = 0.2, repetitions } = comparison;
  const measured: { name: string; server: Server; runs: Run[] }[] = [];
  for (const variant of variants) {
    const server = await start(variant, comparison, stack);
    await server.take(Math.ceil(load.messages * warmUp));
    measured.push({ name: variant.name, server, runs: [] });
  }
  for (let repetition = 0; repetition < repetitions; repetition++) {
    // Each is first at times.
    for (let turn = 0; turn < measured.length; turn++) {
      const { server, runs } = measured[(turn + repetition) % measured.length] as typeof measured[number];
      runs.push(await server.take(load.messages));
    }
  }
  return measured.map(({ name, runs }) => {
    return { name, runs, rate: median(runs.map(({ rate }) => rate)), cpu: median(runs.map(({ cpu }) => cpu)) };
  });
}

/** Prints the medians, and what each leaves of the rate of the first; false if that is less than `target` for any. */
export function report(all: readonly Compared[], target = 0): boolean {
  const [{ rate: bare } = { rate: NaN }] = all;
  const width = Math.max(...all.map(({ name }) => name.length));
  for (const { name, rate, cpu, runs } of all) {
    console.log(
      `${name.padEnd(width)} ${rate.toFixed(0).padStart(6)} messages/s (${(rate / bare * 100).toFixed(0)} %)  ` +
        `${cpu.toFixed(3)} ms of processor time each  ` +
        `(runs: ${runs.map((run) => `${run.rate.toFixed(0)}/${run.cpu.toFixed(3)}`).join(" ")})`,
    );
  }
  if (target > 0) console.log(`the target is ${target * 100} %`);
  return all.every(({ rate }) => rate >= target * bare);
}

interface Server {
  take(messages: number): Promise<Run>;
}

/** Starts a server, which ends with `stack`. */
async function start(variant: Variant, { load, headers }: Comparison, stack: AsyncDisposableStack): Promise<Server> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const nextHop = hangingNextHop();
  stack.defer(() => nextHop.stop());
  const port = freePort();
  const config = `${folder}/config.toml`;
  await Deno.writeTextFile(config, await variant.configure(configuration(port, nextHop.port, freePort()), stack));
  const child = startGodwit({ config, cwd: folder });
  stack.defer(async () => {
    child.kill("SIGTERM");
    if (await Promise.race([child.status, pause(15_000)]) === undefined) child.kill("SIGKILL");
    await child.status;
  });
  await greeted(port, child.status);
  return {
    async take(messages) {
      const before = usage(child.pid).cpuSeconds;
      const seconds = headers === undefined
        ? await send({ ...load, messages }, port)
        : (await sendMeasured({ ...load, messages }, port, headers)).seconds;
      return { rate: messages / seconds, cpu: (usage(child.pid).cpuSeconds - before) * 1000 / messages };
    },
  };
}
