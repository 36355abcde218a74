import assert from "node:assert/strict";
import { FakeClock } from "../../../support/fake_clock.ts";
import { reportTraffic } from "../../../support/report_traffic.ts";
import { openTemporaryStore, temporaryFolder } from "../../../support/store.ts";

Deno.test("a week of traffic comes to one report for each domain and day, and every message is in one of them", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const { counted, reported, reports, records } = await reportTraffic({
    store,
    clock: new FakeClock(Date.UTC(2026, 0, 5)),
    days: 7,
    messages: 20_000,
    domains: 20,
    sources: 500,
  });
  await store.close();
  assert.equal(counted.size, 7 * 20);
  assert.equal(reports, counted.size);
  assert.deepEqual(new Map([...reported].sort()), new Map([...counted].sort()));
  // Alike messages share a record.
  assert.ok(records > 1_000 && records < 20_000, `${records} records`);
});
