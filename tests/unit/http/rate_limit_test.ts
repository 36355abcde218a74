import assert from "node:assert/strict";
import { createTokenBuckets } from "../../../src/http/rate_limit.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("a bucket holds count tokens and fills up evenly over the period", async () => {
  const clock = new FakeClock();
  const buckets = createTokenBuckets({ count: 4, period: 1000 }, clock);
  for (let i = 0; i < 4; i++) assert.equal(buckets.take("a"), 0);
  assert.equal(buckets.take("a"), 250);
  assert.equal(buckets.take("b"), 0, "keys do not share");
  await clock.advance(100);
  assert.equal(buckets.peek("a"), 150);
  await clock.advance(150);
  assert.equal(buckets.peek("a"), 0, "looking takes nothing");
  assert.equal(buckets.take("a"), 0);
  assert.equal(buckets.take("a"), 250);
  await clock.advance(60_000);
  for (let i = 0; i < 4; i++) assert.equal(buckets.take("a"), 0);
  assert.equal(buckets.take("a"), 250, "a rest does not save up more than count");
});

Deno.test("a clock that is set back gives no tokens and takes none", async () => {
  let now = 10_000;
  const buckets = createTokenBuckets({ count: 1, period: 1000 }, { now: () => now, after: () => ({ cancel() {} }) });
  assert.equal(buckets.take("a"), 0);
  now = 0;
  assert.equal(buckets.take("a"), 1000);
  now = 1000;
  assert.equal(buckets.take("a"), 0);
  await Promise.resolve();
});

Deno.test("memory is bounded: the key used longest ago is forgotten", () => {
  const buckets = createTokenBuckets({ count: 1, period: 1000 }, new FakeClock(), 2);
  buckets.take("a");
  buckets.take("b");
  buckets.take("a");
  buckets.take("c");
  assert.equal(buckets.peek("b"), 0, "forgotten");
  assert.equal(buckets.peek("a"), 1000);
  assert.equal(buckets.peek("c"), 1000);
});
