/**
 * How long it takes to count DMARC results of a week and to make the reports of them, and how much memory that needs.
 *
 * ```sh
 * deno run -A tests/bench/report_bench.ts [--messages 1000000] [--days 7] [--domains 2000] [--sources 50000]
 * ```
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { parseArgs } from "node:util";
import { FakeClock } from "../support/fake_clock.ts";
import { reportTraffic } from "../support/report_traffic.ts";
import { openTemporaryStore, temporaryFolder } from "../support/store.ts";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "1000000" },
    days: { type: "string", default: "7" },
    domains: { type: "string", default: "2000" },
    sources: { type: "string", default: "50000" },
  },
});

const rss = () => Math.round(Deno.memoryUsage().rss / 1e6);
await using folder = await temporaryFolder();
const store = await openTemporaryStore(folder.path);
const start = performance.now();
const cpu = cpuUsage();
const { counted, reported, reports, records } = await reportTraffic({
  store,
  clock: new FakeClock(Date.UTC(2026, 0, 5)),
  days: Number(values.days),
  messages: Number(values.messages),
  domains: Number(values.domains),
  sources: Number(values.sources),
  onDay: (day) => console.log(`day ${day + 1}: ${((performance.now() - start) / 1000).toFixed(1)} s, rss ${rss()} MB`),
});
const used = cpuUsage(cpu);
await store.close();
const wrong = [...counted].filter(([key, count]) => reported.get(key) !== count).length + reported.size - counted.size;
console.log(
  `${values.messages} messages, ${reports} reports, ${records} records: ` +
    `${((performance.now() - start) / 1000).toFixed(1)} s, ${
      ((used.user + used.system) / 1e6).toFixed(1)
    } s of processor ` +
    `time, rss ${rss()} MB; ${wrong} reports are wrong`,
);
if (wrong > 0) Deno.exit(1);
