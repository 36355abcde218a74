/**
 * What a data script of twenty rules costs: messages accepted per second with it, beside a server without any script. Both
 * get the same load in turns while the next hop never answers; the medians are compared.
 *
 * ```sh
 * deno run -A tests/bench/script_bench.ts [--messages 6000] [--connections 20] [--size 4096] [--repetitions 3]
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
  },
});
const load = {
  messages: Number(values.messages),
  connections: Number(values.connections),
  size: Number(values.size),
};

/** Rules that look at envelope, header and lists, and match nothing but the last one, which adds a field. */
const RULES = [
  ...Array.from({ length: 8 }, (_, i) => `if header :contains "Subject" "offer ${i}" { discard; stop; }`),
  ...Array.from({ length: 4 }, (_, i) => `if envelope :domain "from" "spam${i}.example" { reject "no"; stop; }`),
  ...Array.from({ length: 3 }, (_, i) => `if address :matches "From" "*bulk${i}*@*" { fileinto "Bulk"; stop; }`),
  'if header :regex "Subject" "^\\\\[[a-z]+\\\\] .*urgent" { addheader "X-Urgent" "yes"; }',
  'if envelope :domain :list "from" "unwanted" { reject "no"; stop; }',
  'if size :over 10M { addheader "X-Large" "yes"; }',
  'if not exists "Message-ID" { addheader "X-No-Id" "yes"; }',
  'addheader "X-Checked" "${env.remote_ip} ${envelope.to}";',
];

const SCRIPT = `
[session.data]
script = "'rules'"
[sieve.trusted.scripts.rules]
contents = '''
${RULES.join("\n")}
'''
[lookup.unwanted]
"*.junk.example" = true
`;

interface Run {
  readonly rate: number;
  /** Milliseconds of processor time per message. */
  readonly cpu: number;
}

async function run(scripted: boolean): Promise<Run> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-bench-" });
  const nextHop = hangingNextHop();
  const port = freePort();
  try {
    const bare = configuration(port, nextHop.port, freePort());
    const config = `${folder}/config.toml`;
    await Deno.writeTextFile(config, scripted ? bare + SCRIPT : bare);
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
const scripted: Run[] = [];
for (let repetition = 0; repetition < Number(values.repetitions); repetition++) {
  // In turns, and each first every other time: whatever else the machine does must not fall on one of them.
  for (const script of repetition % 2 === 0 ? [false, true] : [true, false]) {
    (script ? scripted : bare).push(await run(script));
  }
}
for (const [name, runs] of [["no script", bare], ["20 rules", scripted]] as const) {
  console.log(
    `${name.padEnd(10)} ${median(runs, "rate").toFixed(0).padStart(6)} messages/s  ` +
      `${median(runs, "cpu").toFixed(3)} ms of processor time each  ` +
      `(runs: ${runs.map(({ rate }) => rate.toFixed(0)).join(" ")})`,
  );
}
console.log(`the script leaves ${(median(scripted, "rate") / median(bare, "rate") * 100).toFixed(0)} %`);
