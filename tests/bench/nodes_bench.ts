/**
 * What a second node adds: messages a second through one node, and through two that share one `sqld`, to a next hop that
 * takes everything. Each node gets the same small share of the processor, so that neither the store nor the machine is
 * what runs out; `--share 0` gives them all of it. Limits need control groups and root.
 *
 * ```sh
 * deno run -A tests/bench/nodes_bench.ts [--share 20] [--messages 1500] [--connections 10] [--repetitions 3]
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { configuration } from "../../scripts/bench/godwit.ts";
import { countingNextHop, type Load, send } from "../../scripts/bench/load.ts";
import { processTree, usage } from "../../scripts/bench/processes.ts";
import { freePort, greeted } from "../../scripts/bench/server.ts";
import { median } from "../../scripts/bench/table.ts";
import { startGodwit } from "../../scripts/godwit_process.ts";
import { startSqld } from "../support/sqld.ts";

const { values } = parseArgs({
  options: {
    share: { type: "string", default: "20" },
    messages: { type: "string", default: "1500" },
    connections: { type: "string", default: "10" },
    size: { type: "string", default: "4096" },
    repetitions: { type: "string", default: "3" },
  },
});
const share = Number(values.share);
const load: Load = {
  messages: Number(values.messages),
  connections: Number(values.connections),
  size: Number(values.size),
};
const TIMEOUT_MS = 300_000;
const PERIOD_US = 20_000;

/** A group of processes that gets `share` percent of a processor; nothing is limited for 0. */
interface Group extends Disposable {
  add(pid: number): void;
}

function createGroup(name: string): Group {
  if (share === 0) return { add: () => {}, [Symbol.dispose]: () => {} };
  // Version 1 of the interface has a folder for each controller, version 2 one for all.
  const old = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us";
  const isOld = exists(old);
  const folder = `${isOld ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup"}/godwit-bench-${name}`;
  Deno.mkdirSync(folder, { recursive: true });
  const quota = Math.round(PERIOD_US * share / 100);
  if (isOld) {
    Deno.writeTextFileSync(`${folder}/cpu.cfs_period_us`, String(PERIOD_US));
    Deno.writeTextFileSync(`${folder}/cpu.cfs_quota_us`, String(quota));
  } else Deno.writeTextFileSync(`${folder}/cpu.max`, `${quota} ${PERIOD_US}`);
  return {
    add(pid) {
      for (const one of processTree(pid)) Deno.writeTextFileSync(`${folder}/cgroup.procs`, String(one));
    },
    [Symbol.dispose]() {
      try {
        Deno.removeSync(folder);
      } catch {
        // A process that has just ended may still be counted.
      }
    },
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

interface Run {
  /** Messages a second from the first command to the last delivery. */
  readonly rate: number;
  /** Milliseconds of processor time per message, of the nodes and of the store. */
  readonly nodes: number;
  readonly store: number;
}

async function run(count: number): Promise<Run> {
  await using stack = new AsyncDisposableStack();
  const sqld = stack.use(await startSqld());
  const sink = await countingNextHop();
  stack.defer(() => sink.stop());
  const nodes: { readonly port: number; readonly pid: number }[] = [];
  for (let number = 0; number < count; number++) {
    const folder = await Deno.makeTempDir({ prefix: "godwit-nodes-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const port = freePort();
    const config = configuration(port, sink.port, freePort())
      .replace("file:godwit.db", `http://127.0.0.1:${sqld.port}`) + `[cluster]\nnode-id = ${number + 1}\n`;
    await Deno.writeTextFile(`${folder}/config.toml`, config);
    const child = startGodwit({ config: `${folder}/config.toml`, cwd: folder });
    stack.defer(async () => {
      child.kill("SIGTERM");
      await child.status;
    });
    await greeted(port, child.status);
    const group = stack.use(createGroup(`${Deno.pid}-${number}`));
    group.add(child.pid);
    nodes.push({ port, pid: child.pid });
  }
  const cpuOf = (pids: readonly number[]) => pids.reduce((sum, pid) => sum + usage(pid).cpuSeconds, 0);
  const pids = nodes.map(({ pid }) => pid);
  const before = [cpuOf(pids), cpuOf([sqld.pid])] as const;
  const began = performance.now();
  await Promise.all(nodes.map(({ port }) => send(load, port)));
  const total = load.messages * count;
  const ended = await sink.reached(total, TIMEOUT_MS);
  return {
    rate: total / (ended - began) * 1000,
    nodes: (cpuOf(pids) - before[0]) / total * 1000,
    store: (cpuOf([sqld.pid]) - before[1]) / total * 1000,
  };
}

const runs = { one: [] as Run[], two: [] as Run[] };
for (let repetition = 0; repetition < Number(values.repetitions); repetition++) {
  runs.one.push(await run(1));
  runs.two.push(await run(2));
}
const rateOf = (of: readonly Run[]) => median(of.map(({ rate }) => rate));
for (const [name, of] of Object.entries(runs)) {
  console.log(
    `${name.padEnd(4)} ${rateOf(of).toFixed(0).padStart(6)} messages/s  ` +
      `${median(of.map(({ nodes }) => nodes)).toFixed(2)} ms of the nodes, ` +
      `${median(of.map(({ store }) => store)).toFixed(2)} ms of sqld each  ` +
      `(runs: ${of.map(({ rate }) => rate.toFixed(0)).join(" ")})`,
  );
}
const limit = share === 0 ? "without limits" : `each node with ${share} % of a processor`;
console.log(`two nodes do ${(rateOf(runs.two) / rateOf(runs.one)).toFixed(2)} times as much as one, ${limit}`);
