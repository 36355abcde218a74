/** Counters and bans of two nodes on a real libSQL server, over both of its protocols. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock/mod.ts";
import { openStore } from "../../src/store/mod.ts";
import { createRateCounter, openBanList, openSlotCounter } from "../../src/throttle/mod.ts";
import { startSqld } from "../support/sqld.ts";
import { storeConfig } from "../support/store.ts";

for (const scheme of ["http", "ws"]) {
  Deno.test(`sqld over ${scheme}: two nodes never exceed a rate or a concurrency together, and share bans`, async () => {
    await using server = await startSqld();
    const open = () =>
      openStore(storeConfig(`${scheme}://127.0.0.1:${server.port}`), { emit: () => {}, clock: systemClock });
    const stores = [await open(), await open()];
    const nodes = await Promise.all(stores.map(async (store, index) => ({
      rates: createRateCounter({ store, clock: systemClock }),
      slots: await openSlotCounter({ store, clock: systemClock, holder: `node-${index}`, lease: 60_000 }),
    })));
    const attempts = Array.from({ length: 40 }, (_, index) => nodes[index % nodes.length]!);

    const rate = { count: 7, period: 3_600_000 };
    const taken = await Promise.all(attempts.map(({ rates }) => rates.take("k", rate)));
    assert.equal(taken.filter((granted) => granted).length, 7);
    assert.equal(await nodes[0]!.rates.isUsedUp("k", rate), true);

    const held = await Promise.all(attempts.map(({ slots }) => slots.acquire("k", 5)));
    assert.equal(held.filter((release) => release !== undefined).length, 5);
    // A node that stops gives back what it holds.
    await nodes[0]!.slots.close();
    const more = await Promise.all(Array.from({ length: 10 }, () => nodes[1]!.slots.acquire("k", 5)));
    const onSecond = held.filter((release, index) => release !== undefined && index % 2 === 1).length;
    assert.equal(onSecond + more.filter((release) => release !== undefined).length, 5);
    await nodes[1]!.slots.close();

    const bans = await openBanList({ store: stores[0]!, clock: systemClock, onBan: () => {} });
    bans.add("192.0.2.1", "abuse");
    bans.close();
    await stores[0]!.close();
    const heard = await openBanList({ store: stores[1]!, clock: systemClock, onBan: () => {} });
    assert.equal(heard.has("192.0.2.1"), true);
    heard.close();
    await stores[1]!.close();
  });
}
