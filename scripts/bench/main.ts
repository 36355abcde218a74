/**
 * `deno task bench`: godwit beside Postfix and Haraka, on loopback, with every accepted message synced to disk.
 *
 *     deno task bench [--messages 20000] [--connections 20] [--size 4096] [--repetitions 3]
 *                     [--servers godwit,postfix,haraka] [--binary FILE] [--folder DIR] [--json FILE]
 *                     [--accept deferred|hanging]
 *     deno task bench --memory
 *
 * Each server gets the same load from the same generator and relays to the same next hop. Two things are measured, each
 * with a fresh queue: accepting while nothing can be delivered, and relaying until the next hop has everything. Servers
 * take turns, and the table shows medians. docs/benchmarks.md says what the columns mean.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { godwit } from "./godwit.ts";
import { haraka } from "./haraka.ts";
import { closedNextHop, countingNextHop, hangingNextHop, type Load, type NextHop, send, sendMeasured } from "./load.ts";
import { measureMemory } from "./memory.ts";
import { postfix } from "./postfix.ts";
import { usage, watchMemory } from "./processes.ts";
import { freePort, type MailServer, type RunningServer } from "./server.ts";
import { type Figures, markdownTable, medians } from "./table.ts";

// Reading the memory maps of a process stops it for a moment, so it is not done often.
const MEMORY_SAMPLE_MS = 500;
const DRAIN_TIMEOUT_MS = 600_000;

interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly memory: number;
}

interface Settings {
  /** Where queues are made; the system's folder for temporary files if undefined. */
  readonly folder: string | undefined;
  readonly deferAll: boolean;
}

/** Starts the server with an empty queue and runs `body`. */
async function withServer<Result>(
  server: MailServer,
  nextHop: NextHop,
  settings: Settings,
  body: (running: RunningServer, port: number) => Promise<Result>,
): Promise<Result> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-bench-", ...settings.folder && { dir: settings.folder } });
  const port = freePort();
  try {
    const { deferAll } = settings;
    const running = await server.start({ folder, port, nextHop: nextHop.port, httpPort: freePort(), deferAll });
    try {
      return await body(running, port);
    } finally {
      await running.stop();
    }
  } finally {
    await nextHop.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** CPU time and memory of the server while `work` runs; `work` gives the seconds that count. */
async function measured(running: RunningServer, work: () => Promise<number>): Promise<Measured> {
  const before = usage(running.pid).cpuSeconds;
  const watch = watchMemory(running.pid, MEMORY_SAMPLE_MS);
  const seconds = await work();
  return { seconds, cpuSeconds: usage(running.pid).cpuSeconds - before, memory: watch.stop() };
}

async function benchmark(
  server: MailServer,
  load: Load,
  folder: string | undefined,
  accepting: string,
): Promise<Figures> {
  const warmUp = { ...load, messages: Math.ceil(load.messages / 20) };
  const thousands = load.messages / 1000;

  const sink = await countingNextHop();
  const relay = await withServer(server, sink, { folder, deferAll: false }, async (running, port) => {
    await send(warmUp, port);
    await sink.reached(warmUp.messages, DRAIN_TIMEOUT_MS);
    return await measured(running, async () => {
      const start = performance.now();
      await send(load, port);
      return (await sink.reached(warmUp.messages + load.messages, DRAIN_TIMEOUT_MS) - start) / 1000;
    });
  });

  const deferAll = accepting === "deferred";
  const nowhere = deferAll ? closedNextHop() : hangingNextHop();
  const { accept, p50, p99 } = await withServer(server, nowhere, { folder, deferAll }, async (running, port) => {
    await send(warmUp, port);
    const accept = await measured(running, () => send(load, port));
    // A generator of our own measures each acceptance; it is a slower one, so its rate is not used.
    const latencies = await sendMeasured({ ...load, messages: Math.ceil(load.messages / 4) }, port);
    return { accept, ...latencies };
  });

  return {
    acceptRate: load.messages / accept.seconds,
    acceptP50: p50,
    acceptP99: p99,
    acceptCpu: accept.cpuSeconds / thousands,
    acceptMemory: accept.memory,
    relayRate: load.messages / relay.seconds,
    relayCpu: relay.cpuSeconds / thousands,
    relayMemory: relay.memory,
  };
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    messages: { type: "string", default: "20000" },
    connections: { type: "string", default: "20" },
    size: { type: "string", default: "4096" },
    repetitions: { type: "string", default: "3" },
    servers: { type: "string", default: "godwit,postfix,haraka" },
    binary: { type: "string" },
    folder: { type: "string" },
    json: { type: "string" },
    accept: { type: "string", default: "deferred" },
    memory: { type: "boolean", default: false },
  },
});

const known = [godwit(values.binary === undefined ? undefined : [values.binary]), postfix, haraka];

if (values.memory) {
  console.log(await measureMemory(values.binary === undefined ? undefined : [values.binary]));
  Deno.exit(0);
}

const wanted = values.servers.split(",").map((name) => name.trim().toLowerCase());
const servers: MailServer[] = [];
for (const server of known.filter(({ name }) => wanted.includes(name.toLowerCase()))) {
  const missing = await server.missing();
  if (missing === undefined) servers.push(server);
  else console.log(`without ${server.name}: ${missing}`);
}

const load: Load = {
  messages: Number(values.messages),
  connections: Number(values.connections),
  size: Number(values.size),
};
const runs = new Map<string, Figures[]>(servers.map(({ name }) => [name, []]));
for (let repetition = 1; repetition <= Number(values.repetitions); repetition++) {
  for (const server of servers) {
    const figures = await benchmark(server, load, values.folder, values.accept);
    runs.get(server.name)?.push(figures);
    const rates = `${figures.relayRate.toFixed(0)} relayed/s, ${figures.acceptRate.toFixed(0)} accepted/s`;
    console.log(`run ${repetition}, ${server.name}: ${rates}`);
  }
}

const results = Object.fromEntries([...runs].map(([name, figures]) => [name, medians(figures)]));
console.log(
  `\n${load.messages} messages of ${load.size} octets, ${load.connections} connections, medians of ` +
    `${values.repetitions} runs, ${navigator.hardwareConcurrency} CPUs, ${Deno.osRelease()}\n`,
);
console.log(markdownTable(results, "Postfix"));
if (values.json !== undefined) {
  const record = { load, medians: results, runs: Object.fromEntries(runs) };
  await Deno.writeTextFile(values.json, JSON.stringify(record, undefined, 2) + "\n");
}
