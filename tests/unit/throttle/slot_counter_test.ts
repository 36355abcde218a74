import assert from "node:assert/strict";
import type { Store } from "../../../src/store/mod.ts";
import { openSlotCounter, type Release } from "../../../src/throttle/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";

const LEASE = 60_000;

function node(store: Store, clock: FakeClock, holder: string) {
  return openSlotCounter({ store, clock, holder, lease: LEASE });
}

/** Waits until the store says that `wanted` slots of `key` are taken; what was released gets there by itself. */
async function settled(store: Store, key: string, wanted: number): Promise<void> {
  let used = -1;
  for (let round = 0; round < 100 && used !== wanted; round++) {
    // A round trip through the store's worker, behind the writes that were asked for before.
    await store.write([]);
    const { rows } = await store.read("SELECT coalesce(sum(used), 0) FROM slots WHERE key = ?", [key]);
    used = Number(rows[0]?.[0]);
  }
  assert.equal(used, wanted);
}

Deno.test("as many as the limit at a time, on two nodes together", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const other = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const a = await node(store, clock, "a");
  const b = await node(other, clock, "b");
  const first = await a.acquire("k", 2);
  const second = await b.acquire("k", 2);
  assert.ok(first && second);
  assert.equal(await a.acquire("k", 2), undefined);
  assert.equal(await b.acquire("k", 2), undefined);
  // Another key is another count.
  assert.ok(await a.acquire("other", 1));
  first();
  first();
  await settled(store, "k", 1);
  assert.ok(await b.acquire("k", 2));
  assert.equal(await a.acquire("k", 2), undefined);
  await store.close();
  await other.close();
});

Deno.test("many that come at once share statements and get no more than there are", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const slots = await node(store, new FakeClock(), "a");
  const taken = await Promise.all(Array.from({ length: 50 }, () => slots.acquire("k", 7)));
  assert.equal(taken.filter((release) => release !== undefined).length, 7);
  for (const release of taken) release?.();
  await settled(store, "k", 0);
  await store.close();
});

Deno.test("what a node that fell silent held is free when its lease is over, not before", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  // The clock of the crashed node stands still: it renews nothing.
  const crashed = await node(store, new FakeClock(clock.now()), "crashed");
  assert.ok(await crashed.acquire("k", 1));
  const alive = await node(store, clock, "alive");
  await clock.advance(LEASE - 1);
  assert.equal(await alive.acquire("k", 1), undefined);
  await clock.advance(1);
  assert.ok(await alive.acquire("k", 1));
  await store.close();
});

Deno.test("a node that starts again gives back what its last run held", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const crashed = await node(store, clock, "a");
  assert.ok(await crashed.acquire("k", 1));
  const restarted = await node(store, clock, "a");
  assert.ok(await restarted.acquire("k", 1));
  await store.close();
});

Deno.test("a node that lives keeps what it holds, however long", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const a = await node(store, clock, "a");
  const b = await node(store, clock, "b");
  assert.ok(await a.acquire("k", 1));
  for (let i = 0; i < 12; i++) {
    await clock.advance(LEASE / 3);
    await settled(store, "k", 1);
  }
  assert.equal(await b.acquire("k", 1), undefined);
  await store.close();
});

Deno.test("a large limit keeps a tenth at hand, and gives it back when nobody comes", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const slots = await node(store, clock, "a");
  const release = await slots.acquire("k", 20);
  release?.();
  await settled(store, "k", 2);
  // No promise: the store is not asked.
  const again = slots.acquire("k", 20);
  assert.equal(typeof again, "function");
  (again as Release)();
  await clock.advance(LEASE / 3);
  await settled(store, "k", 0);
  await store.close();
});

Deno.test("closing gives everything back", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const slots = await node(store, clock, "a");
  assert.ok(await slots.acquire("k", 1));
  await slots.close();
  await settled(store, "k", 0);
  assert.equal(clock.pending, 0);
  await store.close();
});
