/**
 * What a queue of many recipients costs: start-up, claims, memory; and what a dead destination with a long queue takes
 * from the others.
 *
 * ```sh
 * deno run -A tests/bench/scale_bench.ts [--recipients 1000000] [--dead 100000] [--messages 40000] [--pairs 3] [--url URL]
 * ```
 *
 * `--recipients 0` leaves out the first part, `--pairs 0` the second.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { parseArgs } from "node:util";
import { median } from "../../scripts/bench/table.ts";
import { systemClock } from "../../src/clock/mod.ts";
import { contentOf, type DeliveryJob, type Outcome, type Queue } from "../../src/queue/mod.ts";
import { claim } from "../../src/queue/claim.ts";
import { openStore, type Store } from "../../src/store/mod.ts";
import { delivered, newMessage, openTestQueue, queueConfig, schedule, storeConfig } from "../support/store.ts";

const { values } = parseArgs({
  options: {
    recipients: { type: "string", default: "1000000" },
    dead: { type: "string", default: "100000" },
    messages: { type: "string", default: "40000" },
    pairs: { type: "string", default: "3" },
    url: { type: "string" },
  },
});
const recipients = Number(values.recipients);
const dead = Number(values.dead);
const messages = Number(values.messages);
const HOUR = 3_600_000;
const BATCH = 10_000;

const folder = await Deno.makeTempDir({ prefix: "godwit-scale-" });
const url = values.url ?? `file:${folder}/queue.db`;
const open = () => openStore(storeConfig(url, 120_000), { emit: () => {}, clock: systemClock });
const rss = () => `${Math.round(Deno.memoryUsage().rss / 1e6)} MB`;
const say = (name: string, result: string) => console.log(`${name.padEnd(52)} ${result}`);
const milliseconds = (time: number) => `${time.toFixed(1)} ms`;

/** Adds messages of one recipient each without going through the queue, in a domain each or one for all. */
async function fill(store: Store, first: number, count: number, domain: string, due: number, priority = 0) {
  for (let at = 0; at < count; at += BATCH) {
    const series = "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) ";
    const range = [first + at, first + Math.min(at + BATCH, count) - 1];
    await store.write([
      {
        sql:
          "INSERT INTO messages (id, created, sender, size, priority, source, hold_until, meta, addresses, blob, body) " +
          `${series} SELECT i, ?3, 'alice@example.org', 1000, ?4, 'authenticated', NULL, ` +
          `'[{},"192.0.2.1",25,"","client.example"]', NULL, NULL, zeroblob(1000) FROM n`,
        args: [...range, due, priority],
      },
      {
        sql: "INSERT INTO recipients (message, seq, address, queue, state, due, attempt_at, expires, priority) " +
          `${series} SELECT i, 0, 'bob@' || CASE WHEN ?3 = '' THEN 'd' || (i % 5000) || '.example' ELSE ?3 END, ` +
          "'remote', 0, ?4 + i % 1000, ?4 + i % 1000, ?5, ?6 FROM n",
        args: [...range, domain, due, due + 120 * HOUR, priority],
      },
    ]);
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

// Part one: a million, half of them due.
if (recipients > 0) {
  let store = await open();
  const before = rss();
  const now = systemClock.now();
  const took = await timed(async () => {
    await fill(store, 1, recipients / 2, "", now - HOUR);
    await fill(store, 1 + recipients / 2, recipients / 2, "", now + HOUR);
  });
  say(`filled with ${recipients} recipients`, `${(took / 1000).toFixed(1)} s`);
  await store.close();

  let queue: Queue | undefined;
  store = await open();
  const start = await timed(async () => queue = await openTestQueue(store, systemClock));
  say("start-up of the queue", milliseconds(start));
  const owner = queue?.nextId() ?? 1;
  const claims = async (urgent: boolean) => {
    const times: number[] = [];
    for (let round = 0; round < 20; round++) {
      const lease = { owner, until: now + HOUR };
      times.push(
        await timed(() => claim(store, { queue: "remote", urgent, limit: 500, now, lease, onLost: () => {} })),
      );
    }
    times.sort((a, b) => a - b);
    return `${milliseconds(times[10] ?? 0)}, ${milliseconds(times[19] ?? 0)}`;
  };
  say("claim of 500, with messages: median, worst of 20", await claims(false));
  for (let level = 1; level <= 5; level++) await fill(store, recipients + level * BATCH, 2000, "", now - HOUR, level);
  say("the same of 10,000 that are urgent and came last", await claims(true));
  say("memory before and after", `${before}, ${rss()}`);
  let seen = 0;
  queue?.start((job) => {
    seen += job.recipients.length;
    return Promise.resolve(delivered(job));
  });
  const from = performance.now();
  while (performance.now() - from < 10_000) await new Promise((resolve) => setTimeout(resolve, 100));
  say("delivered from it in 10 s, memory then", `${Math.round(seen / 10)}/s, ${rss()}`);
  await queue?.close();
  await store.close();
}

// Part two: what a dead destination takes from others.
const content = contentOf(new Uint8Array(4096).fill(65));
const unreachable = (job: DeliveryJob): Outcome[] =>
  job.recipients.map(({ id }) => ({
    kind: "deferred",
    recipient: id,
    detail: { lastError: "connection", status: 0, enhanced: "4.4.1", text: "not tried: gave no answer", host: "mx" },
  }));

/** How fast others are served, and what each costs in processor time. */
async function serve(waiting: number): Promise<{ readonly rate: number; readonly cpu: number }> {
  const store = await openStore(storeConfig(values.url ?? `file:${folder}/dead-${crypto.randomUUID()}.db`, 120_000), {
    emit: () => {},
    clock: systemClock,
  });
  if (waiting > 0) await fill(store, 1, waiting, "dead.example", systemClock.now() - HOUR);
  const queue = await openTestQueue(store, systemClock, {
    config: queueConfig({
      threads: { remote: 100, dsn: 5 },
      // Ten minutes later they would all be due again.
      schedules: [schedule("remote", { retry: [600_000] }), schedule("dsn")],
    }),
  });
  let settled = 0;
  let looked = 0;
  const done = Promise.withResolvers<void>();
  queue.start(async (job) => {
    if (job.recipients[0]?.domain === "dead.example") {
      looked++;
      return unreachable(job);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (++settled === messages) done.resolve();
    return delivered(job);
  });
  const before = cpuUsage();
  const took = await timed(async () => {
    let left = messages;
    await Promise.all(Array.from({ length: 50 }, async () => {
      while (left-- > 0) {
        const envelope = { sender: `u@s${left % 40}.example`, parameters: {} };
        await queue.enqueue(newMessage(queue, [`bob@d${left % 200}.example`], { content, envelope }));
      }
    }));
    await done.promise;
  });
  const used = cpuUsage(before);
  const rate = messages / took * 1000;
  const cpu = (used.user + used.system) / messages;
  say(
    `accepted and delivered, ${waiting} waiting for a dead domain`,
    `${Math.round(rate)}/s, ${cpu.toFixed(0)} us of processor time each, ${looked} dead looked at, ${rss()}`,
  );
  await queue.close();
  await store.close();
  return { rate, cpu };
}

const alone: { readonly rate: number; readonly cpu: number }[] = [];
const beside: typeof alone = [];
// The first run of all is slower, whatever waits.
if (Number(values.pairs) > 0) await serve(0);
for (let pair = 0; pair < Number(values.pairs); pair++) {
  // Each first at times: a process that has run for a while is faster, or has more to clean up.
  for (const isDead of pair % 2 === 0 ? [false, true] : [true, false]) {
    (isDead ? beside : alone).push(await serve(isDead ? dead : 0));
  }
}
if (alone.length > 0) {
  const change = (of: "rate" | "cpu") => {
    const changes = alone.map((run, pair) => ((beside[pair]?.[of] ?? 0) / run[of] - 1) * 100);
    return `${median(changes).toFixed(1)} % (${changes.map((one) => one.toFixed(1)).join(", ")})`;
  };
  say("change by the dead domain, median of pairs", `throughput ${change("rate")}; processor time ${change("cpu")}`);
}
await Deno.remove(folder, { recursive: true });
