import assert from "node:assert/strict";
import { createDeadline } from "../../../src/outbound/deadline.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function setUp() {
  const clock = new FakeClock();
  const start = clock.now();
  const expired: number[] = [];
  return { clock, expired, deadline: createDeadline(clock, () => expired.push(clock.now() - start)) };
}

Deno.test("a deadline expires once, at its time", async () => {
  const { clock, expired, deadline } = setUp();
  deadline.set(1000);
  await clock.advance(999);
  assert.deepEqual(expired, []);
  await clock.advance(10_000);
  assert.deepEqual(expired, [1000]);
});

Deno.test("a later deadline replaces an earlier one without another timer", async () => {
  const { clock, expired, deadline } = setUp();
  for (let i = 0; i < 100; i++) {
    deadline.set(1000);
    await clock.advance(10);
  }
  assert.equal(clock.pending, 1);
  await clock.advance(5000);
  assert.deepEqual(expired, [99 * 10 + 1000]);
});

Deno.test("an earlier deadline replaces a later one", async () => {
  const { clock, expired, deadline } = setUp();
  deadline.set(10_000);
  deadline.set(1000);
  await clock.advance(20_000);
  assert.deepEqual(expired, [1000]);
});

Deno.test("a deadline that was cleared does not expire, and can be set again", async () => {
  const { clock, expired, deadline } = setUp();
  deadline.set(1000);
  deadline.clear();
  await clock.advance(2000);
  assert.deepEqual([expired, clock.pending], [[], 0]);
  deadline.set(500);
  await clock.advance(500);
  assert.deepEqual(expired, [2500]);
});

Deno.test("a cancelled deadline leaves no timer", () => {
  const { clock, deadline } = setUp();
  deadline.set(1000);
  deadline.cancel();
  assert.equal(clock.pending, 0);
});
