/** Which nodes are alive, and what is told of their coming and going. */

import assert from "node:assert/strict";
import { createPeers } from "../../../src/queue/peers.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const LEASE = 60_000;

/** A node among others: `rows` is what the store has of them. */
function watch() {
  const clock = new FakeClock();
  const nodes = new Map<string, { run: number; seen: number }>();
  const events: string[] = [];
  const peers = createPeers({
    store: {
      read: () =>
        Promise.resolve({ columns: [], rows: [...nodes].map(([name, { run, seen }]) => [run, seen, name] as const) }),
    },
    clock,
    owner: 1,
    lease: LEASE,
    emit: (name, fields) => events.push(`${name} ${fields?.node}`),
  });
  return {
    peers,
    events,
    /** Signs of life of runs, one in a third of a lease, each followed by a look. */
    async pass(thirds: number, alive: Readonly<Record<string, number>>) {
      for (let count = 0; count < thirds; count++) {
        await clock.advance(LEASE / 3);
        for (const [name, run] of Object.entries(alive)) nodes.set(name, { run, seen: clock.now() });
        await peers.look();
      }
    },
    left: (name: string, run: number) => nodes.set(name, { run, seen: clock.now() }),
  };
}

Deno.test("a node that gives signs of life has joined, and is lost when it gives none for a lease", async () => {
  const { pass, events, peers } = watch();
  await pass(1, { one: 1, two: 2 });
  assert.deepEqual([events, peers.alive], [[], [2]], "a single sign may be an old one");
  await pass(2, { one: 1, two: 2 });
  assert.deepEqual(events, ["cluster.node-joined two"]);
  await pass(2, { one: 1 });
  assert.equal(events.length, 1);
  await pass(1, { one: 1 });
  assert.deepEqual(events, ["cluster.node-joined two", "cluster.node-lost two"]);
  await pass(3, { one: 1, two: 5 });
  assert.deepEqual(events.slice(2), ["cluster.node-joined two"]);
});

Deno.test("a node that starts anew within a lease was never gone", async () => {
  const { pass, events } = watch();
  await pass(3, { two: 2 });
  await pass(3, { two: 7 });
  assert.deepEqual(events, ["cluster.node-joined two"]);
});

Deno.test("what a node has left behind before this one began to look is no loss", async () => {
  const { pass, left, events, peers } = watch();
  left("old", 3);
  await pass(5, {});
  assert.deepEqual([events, peers.silent], [[], [3]]);
});
