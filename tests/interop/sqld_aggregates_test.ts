/** Aggregate reports of two nodes on a real libSQL server, over both of its protocols. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock/mod.ts";
import { claimDue, handOver, readResults } from "../../src/report/aggregate/ledger.ts";
import { createDmarcRecorder, outgoingReports, purgeAggregates } from "../../src/report/mod.ts";
import { openStore, StoreUnavailable } from "../../src/store/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startSqld } from "../support/sqld.ts";
import { newMessage, openTestQueue, storeConfig } from "../support/store.ts";
import { observation } from "../unit/report/dmarc/observation.ts";

const DAY = 86_400_000;

for (const scheme of ["http", "ws"]) {
  Deno.test(`sqld over ${scheme}: results of two nodes make one report, and one of them sends it`, async () => {
    await using server = await startSqld();
    const open = () =>
      openStore(storeConfig(`${scheme}://127.0.0.1:${server.port}`), { emit: () => {}, clock: systemClock });
    const stores = [await open(), await open()];
    const clock = new FakeClock();
    await Promise.all(stores.map(async (store) => {
      const recorder = createDmarcRecorder({ store, clock, reporter: "example.net", intervalOf: () => "daily" });
      for (let i = 0; i < 1_500; i++) recorder.observe(observation({ ip: `192.0.2.${i % 250}` }));
      await recorder.close();
    }));

    const now = clock.now() + 2 * DAY;
    const claims = await Promise.all(
      stores.map((store, node) => claimDue(store, { owner: `node-${node}`, now, until: now + DAY, limit: 10 })),
    );
    const winner = claims.findIndex((claimed) => claimed.length === 1);
    const report = claims[winner]?.[0];
    assert.ok(report);
    assert.deepEqual(claims[1 - winner], []);
    const [results = []] = await Array.fromAsync(readResults(stores[winner]!, report.id));
    assert.equal(results.length, 250);
    assert.equal(results.reduce((sum, { count }) => sum + count, 0), 3_000);

    // The mail and the note that it was sent are one commit; a second one does not come about.
    const queue = await openTestQueue(stores[winner]!, clock);
    const rows = handOver(report, `node-${winner}`, ["mailto:r@example.org"], true);
    await queue.enqueue(newMessage(queue), [], rows);
    await assert.rejects(queue.enqueue(newMessage(queue), [], rows), StoreUnavailable);
    assert.equal((await queue.list()).length, 1);
    await queue.close();
    const seen = outgoingReports(stores[1 - winner]!);
    assert.deepEqual((await seen.list({ limit: 5 })).map(({ state, handedTo }) => [state, handedTo]), [
      ["sent", ["mailto:r@example.org"]],
    ]);
    assert.equal(await purgeAggregates(stores[0]!, now), 250);
    for (const store of stores) await store.close();
  });
}
