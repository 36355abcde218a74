import assert from "node:assert/strict";
import fc from "fast-check";
import { createReady } from "../../../src/queue/ready.ts";

Deno.test("jobs leave by priority, then due time, then age of the message", () => {
  const job = fc.record({
    priority: fc.integer({ min: -9, max: 9 }),
    due: fc.integer({ min: 0, max: 5 }),
    message: fc.record({ id: fc.integer({ min: 1, max: 1000 }) }),
  });
  fc.assert(fc.property(fc.array(job), (jobs) => {
    const ready = createReady<(typeof jobs)[number]>();
    for (const one of jobs) ready.push(one);
    assert.equal(ready.size, jobs.length);
    const left: (typeof jobs)[number][] = [];
    for (let next = ready.pop(); next !== undefined; next = ready.pop()) left.push(next);
    const sorted = [...jobs].sort((a, b) => b.priority - a.priority || a.due - b.due || a.message.id - b.message.id);
    const rank = (list: typeof jobs) => list.map(({ priority, due, message }) => [priority, due, message.id]);
    assert.deepEqual(rank(left), rank(sorted));
  }));
});

Deno.test("clearing gives everything back once", () => {
  const ready = createReady<{ priority: number; due: number; message: { id: number } }>();
  for (let id = 1; id <= 3; id++) ready.push({ priority: 0, due: 0, message: { id } });
  assert.equal(ready.clear().length, 3);
  assert.equal(ready.pop(), undefined);
  assert.equal(ready.size, 0);
});
