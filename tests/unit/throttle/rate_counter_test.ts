import assert from "node:assert/strict";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import { type Store, StoreUnavailable } from "../../../src/store/mod.ts";
import { createRateCounter } from "../../../src/throttle/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";

const SECOND = 1000;
const rate = (count: number, period: number) => ({ count, period });

/** A store that counts its groups of statements. */
function counting(store: Store): Store & { writes: number } {
  const counted = {
    ...store,
    writes: 0,
    write: (...args: Parameters<Store["write"]>) => {
      counted.writes++;
      return store.write(...args);
    },
  };
  return counted;
}

async function take(count: number, one: () => boolean | Promise<boolean>): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (let i = 0; i < count; i++) answers.push(await one());
  return answers;
}

Deno.test("a rate lets its number through, then nothing until the period that began with the first is over", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const rates = createRateCounter({ store, clock });
  const three = rate(3, 10 * SECOND);
  assert.deepEqual(await take(2, () => rates.take("k", three)), [true, true]);
  await clock.advance(6 * SECOND);
  assert.deepEqual(await take(2, () => rates.take("k", three)), [true, false]);
  await clock.advance(4 * SECOND - 1);
  assert.equal(await rates.take("k", three), false);
  await clock.advance(1);
  assert.deepEqual(await take(4, () => rates.take("k", three)), [true, true, true, false]);
  // Another key has a count of its own.
  assert.equal(await rates.take("other", three), true);
  await store.close();
});

Deno.test("nodes on one store count together, and never let more through than one would", async () => {
  await using folder = await temporaryFolder();
  const stores = [await openTemporaryStore(folder.path), await openTemporaryStore(folder.path)];
  const clock = new FakeClock();
  const [a, b] = stores.map((store) => createRateCounter({ store, clock }));
  const five = rate(5, 60 * SECOND);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? a! : b!).take("k", five)),
  );
  assert.equal(answers.filter((granted) => granted).length, 5);

  // A large rate is taken in parts of a fiftieth: what one node has not used, the other cannot have.
  const many = rate(200, 60 * SECOND);
  assert.deepEqual(await take(1, () => a!.take("m", many)), [true]);
  const rest = await take(200, () => b!.take("m", many));
  assert.equal(rest.filter((granted) => granted).length, 196);
  assert.deepEqual(await take(4, () => a!.take("m", many)), [true, true, true, false]);
  for (const store of stores) await store.close();
});

Deno.test("most events of a large rate, and all that are refused, cost no statement", async () => {
  await using folder = await temporaryFolder();
  const store = counting(await openTemporaryStore(folder.path));
  const clock = new FakeClock();
  const rates = createRateCounter({ store, clock });
  const before = store.writes;
  const answers = await take(3000, () => rates.take("k", rate(1000, 60 * SECOND)));
  assert.equal(answers.filter((granted) => granted).length, 1000);
  assert.ok(store.writes - before <= 51, `${store.writes - before} statements`);
  await store.close();
});

Deno.test("what was given back can be taken again", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const rates = createRateCounter({ store, clock: new FakeClock() });
  const one = rate(1, 60 * SECOND);
  assert.deepEqual(await take(2, () => rates.take("k", one)), [true, false]);
  rates.giveBack("k");
  assert.deepEqual(await take(2, () => rates.take("k", one)), [true, false]);
  await store.close();
});

Deno.test("a count survives a restart, and is found used up without being counted", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const two = rate(2, 60 * SECOND);
  const first = createRateCounter({ store, clock });
  assert.equal(await first.take("k", two), true);
  const second = createRateCounter({ store, clock });
  assert.equal(await second.isUsedUp("k", two), false);
  assert.equal(await second.take("k", two), true);
  assert.equal(await createRateCounter({ store, clock }).isUsedUp("k", two), true);
  await clock.advance(60 * SECOND);
  assert.equal(await createRateCounter({ store, clock }).isUsedUp("k", two), false);
  await store.close();
});

Deno.test("a count that a wrong clock began far in the future does not last until then", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const one = rate(1, 60 * SECOND);
  const wrong = new FakeClock(Date.UTC(2036, 0, 1));
  assert.equal(await createRateCounter({ store, clock: wrong }).take("k", one), true);
  const right = createRateCounter({ store, clock: new FakeClock(Date.UTC(2026, 0, 1)) });
  assert.deepEqual(await take(2, () => right.take("k", one)), [true, false]);
  await store.close();
});

Deno.test("a store that is away is a lookup that failed", async () => {
  const away: Store = {
    write: () => Promise.reject(new StoreUnavailable("away", false)),
    read: () => Promise.reject(new StoreUnavailable("away", false)),
    close: () => Promise.resolve(),
  };
  const rates = createRateCounter({ store: away, clock: new FakeClock() });
  await assert.rejects(async () => await rates.take("k", rate(1, SECOND)), LookupUnavailable);
  await assert.rejects(async () => await rates.isUsedUp("k", rate(1, SECOND)), LookupUnavailable);
});

Deno.test("a key in use is not forgotten for many that come once", async () => {
  await using folder = await temporaryFolder();
  const store = counting(await openTemporaryStore(folder.path));
  const rates = createRateCounter({ store, clock: new FakeClock(), mostKeys: 10 });
  const hundred = rate(100, 60 * SECOND);
  let granted = 0;
  for (let i = 0; i < 120; i++) {
    if (await rates.take("hot", hundred)) granted++;
    await rates.take(`once-${i}`, rate(1, 60 * SECOND));
  }
  // Each time it was forgotten, what it had taken in advance would be lost.
  assert.equal(granted, 100);
  await store.close();
});
