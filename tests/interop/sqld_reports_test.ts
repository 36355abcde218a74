/** Reports of others kept by two nodes on a real libSQL server, over both of its protocols. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock/mod.ts";
import { contentOf } from "../../src/queue/mod.ts";
import { createReportAnalysis, purgeReports, receivedReports } from "../../src/report/mod.ts";
import { openStore } from "../../src/store/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startSqld } from "../support/sqld.ts";
import { storeConfig } from "../support/store.ts";
import { feedback, gzip, mail, TLS_REPORT } from "../unit/report/analysis/samples.ts";

const NOW = Date.UTC(2025, 10, 26, 6);
const DAY = 86_400_000;
const CARRIER = { from: "noreply@big.example", to: "in@example.org", remoteIp: "192.0.2.50", dmarc: "pass" };
const ROWS = [
  { ip: "192.0.2.1", count: 3, disposition: "none", dkim: "pass", spf: "fail", from: "example.org" },
  { ip: "192.0.2.9", count: 2, disposition: "none", dkim: "fail", spf: "fail", from: "example.org" },
];
const MAILS = [
  mail([{ type: "application/gzip", content: gzip(feedback(ROWS)) }]),
  mail([{ type: "application/tlsrpt+json", content: JSON.stringify(TLS_REPORT) }]),
];

for (const scheme of ["http", "ws"]) {
  Deno.test(`sqld over ${scheme}: a report that two nodes get is kept once, summed up and deleted by either`, async () => {
    await using server = await startSqld();
    const open = () =>
      openStore(storeConfig(`${scheme}://127.0.0.1:${server.port}`), { emit: () => {}, clock: systemClock });
    const stores = [await open(), await open()];
    const clock = new FakeClock(NOW);
    await Promise.all(stores.map(async (store, node) => {
      let id = 1_000_000 + node;
      const nextId = () => id += 1024;
      const options = { addresses: ["*"], forward: true, keep: DAY, store, clock, nextId, emit: () => {} };
      const analysis = createReportAnalysis(options)!;
      for (const bytes of MAILS) {
        await analysis.examine({ id: nextId(), content: contentOf(bytes), carrier: CARRIER });
      }
    }));
    const [one, other] = stores.map((store) => receivedReports(store, clock));
    const listed = await one!.list({ limit: 10 });
    assert.deepEqual(listed.map(({ kind, passed, failed }) => [kind, passed, failed]).toSorted(), [
      ["dmarc", 3, 2],
      ["tls", 5326, 303],
    ]);
    const { days, failingSources, tlsFailures } = await other!.trends(2);
    assert.deepEqual(days.map(({ kinds }) => kinds), [
      { dmarc: { passed: 3, failed: 2 }, tls: { passed: 5326, failed: 303 } },
      {},
    ]);
    assert.deepEqual(failingSources.map(({ source, failed, reports }) => [source, failed, reports]), [[
      "192.0.2.9",
      2,
      1,
    ]]);
    assert.deepEqual(tlsFailures.map(({ source, failed }) => [source, failed]), [
      ["mx2.example.org", 200],
      ["mx1.example.org", 103],
    ]);
    assert.equal(await other!.remove(listed[0]!.id), true);
    await purgeReports(stores[0]!, NOW + DAY);
    assert.deepEqual(await other!.list({ limit: 10 }), []);
    for (const store of stores) await store.close();
  });
}
