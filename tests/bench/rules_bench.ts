/**
 * What a realistic rule set costs: messages accepted per second with rate limits, a directory lookup and rewriting, beside
 * a server that takes everything. Both get the same load in turns while the next hop never answers; the medians are
 * compared, and the exit status is 1 if the rules leave less than 80 %.
 *
 * ```sh
 * deno run -A tests/bench/rules_bench.ts [--messages 6000] [--connections 20] [--size 4096] [--repetitions 3]
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { configuration } from "../../scripts/bench/godwit.ts";
import { hangingNextHop, send } from "../../scripts/bench/load.ts";
import { freePort, greeted, pause } from "../../scripts/bench/server.ts";
import { usage } from "../../scripts/bench/processes.ts";
import { startGodwit } from "../../scripts/godwit_process.ts";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "6000" },
    connections: { type: "string", default: "20" },
    size: { type: "string", default: "4096" },
    repetitions: { type: "string", default: "3" },
  },
});
const load = {
  messages: Number(values.messages),
  connections: Number(values.connections),
  size: Number(values.size),
};

/** Share of the bare rate that must be left. */
const TARGET = 0.8;

/** As a site would have it: the load's recipient is an account, its sender is rewritten and counted. */
const RULES = `
[directory.staff]
type = "memory"
[[directory.staff.principals]]
name = "sink"
email = ["sink@sink.example", "postmaster@sink.example"]
[lookup.unwanted]
"*.dynamic.example" = true
"localhost" = true
[session.mail]
rewrite = [
  { if = 'matches("^([^@]+)@([a-z]+)\\.client\\.example$", sender)', then = "$1 + '@client.example'" },
  { if = 'matches("^(generator)@(client\\.example)$", sender)', then = "$1 + '+bench@' + $2" },
  { else = false },
]
is-allowed = "!key_exists('unwanted', sender_domain)"
[[queue.limiter.inbound]]
key = ["remote_ip"]
concurrency = 200
rate = "100000/1h"
enable = true
[[queue.limiter.inbound]]
key = ["remote_ip", "sender"]
match = "is_empty(authenticated_as)"
rate = "1000000/1h"
enable = true
[[queue.limiter.inbound]]
key = ["sender_domain", "rcpt"]
rate = "1000000/1h"
enable = true
`;

function withRules(text: string): string {
  return text
    .replace("[session.rcpt]\nrelay = true", (rcpt) => {
      if (rcpt === "") throw new Error("the bench configuration has changed");
      return '[session.rcpt]\nrelay = "!is_empty(authenticated_as)"\n' +
        `rewrite = [{ if = 'matches("^(.+)@old\\.example$", rcpt)', then = "$1 + '@sink.example'" }, { else = false }]`;
    })
    .replace('data = "data"', 'data = "data"\ndirectory = "staff"') + RULES;
}

interface Run {
  readonly rate: number;
  /** Milliseconds of processor time per message. */
  readonly cpu: number;
}

async function run(rules: boolean): Promise<Run> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-bench-" });
  const nextHop = hangingNextHop();
  const port = freePort();
  try {
    // The recipient is local with the rules only, which must not make a difference to what happens in the queue.
    const bare = configuration(port, nextHop.port, freePort())
      .replace("[queue.strategy]\n", `[queue.strategy]\nschedule = "'remote'"\n`);
    const config = `${folder}/config.toml`;
    await Deno.writeTextFile(config, rules ? withRules(bare) : bare);
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
    await nextHop.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

function median(runs: readonly Run[], figure: keyof Run): number {
  const sorted = runs.map((one) => one[figure]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

const bare: Run[] = [];
const ruled: Run[] = [];
for (let repetition = 0; repetition < Number(values.repetitions); repetition++) {
  // In turns, and each first every other time: whatever else the machine does must not fall on one of them.
  for (const rules of repetition % 2 === 0 ? [false, true] : [true, false]) {
    (rules ? ruled : bare).push(await run(rules));
  }
}
const share = median(ruled, "rate") / median(bare, "rate");
for (const [name, runs] of [["bare", bare], ["with rules", ruled]] as const) {
  console.log(
    `${name.padEnd(12)} ${median(runs, "rate").toFixed(0).padStart(6)} messages/s  ` +
      `${median(runs, "cpu").toFixed(2)} ms of processor time each  ` +
      `(runs: ${runs.map(({ rate }) => rate.toFixed(0)).join(" ")})`,
  );
}
console.log(`the rules leave ${(share * 100).toFixed(0)} % (target ${TARGET * 100} %)`);
Deno.exit(share < TARGET ? 1 : 0);
