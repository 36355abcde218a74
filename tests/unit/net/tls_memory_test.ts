import assert from "node:assert/strict";
import { createTlsMemory } from "../../../src/net/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const HOUR = 3_600_000;
const certificate = (number: number) => Uint8Array.of(number & 255, number >> 8);

Deno.test("a certificate is vouched for under its name and trust alone, until its chain expires", async () => {
  const clock = new FakeClock();
  const memory = createTlsMemory(clock);
  memory.verified("mx.example", "1", certificate(1), clock.now() + HOUR / 2);
  assert.equal(memory.vouches("mx.example", "1", certificate(1)), true);
  assert.equal(memory.vouches("mx.example", "1", certificate(2)), false);
  assert.equal(memory.vouches("mx.example", "2", certificate(1)), false);
  assert.equal(memory.vouches("mx2.example", "1", certificate(1)), false);
  assert.equal(memory.knows("mx.example", "1"), true);
  assert.equal(memory.knows("mx.example", "2"), false);
  await clock.advance(HOUR / 2);
  assert.equal(memory.vouches("mx.example", "1", certificate(1)), false);
  assert.equal(memory.knows("mx.example", "1"), false);
});

Deno.test("a certificate that is good for years is vouched for during an hour", async () => {
  const clock = new FakeClock();
  const memory = createTlsMemory(clock);
  memory.verified("mx.example", "1", certificate(1), clock.now() + 9999 * HOUR);
  await clock.advance(HOUR - 1);
  assert.equal(memory.vouches("mx.example", "1", certificate(1)), true);
  await clock.advance(1);
  assert.equal(memory.vouches("mx.example", "1", certificate(1)), false);
});

Deno.test("what is remembered has a bound, the oldest goes first", () => {
  const clock = new FakeClock();
  const memory = createTlsMemory(clock);
  const until = clock.now() + HOUR;
  for (let i = 0; i <= 16; i++) memory.verified("mx.example", "1", certificate(i), until);
  assert.equal(memory.vouches("mx.example", "1", certificate(0)), false);
  assert.equal(memory.vouches("mx.example", "1", certificate(1)), true);
  assert.equal(memory.vouches("mx.example", "1", certificate(16)), true);
  for (let i = 0; i <= 4096; i++) {
    memory.keepSession(`mx${i}.example`, certificate(i));
    memory.verified(`mx${i}.example`, "1", certificate(i), until);
  }
  assert.equal(memory.session("mx0.example"), undefined);
  assert.deepEqual(memory.session("mx1.example"), certificate(1));
  assert.equal(memory.knows("mx0.example", "1"), false);
  assert.equal(memory.knows("mx1.example", "1"), true);
  memory.forgetSession("mx1.example");
  assert.equal(memory.session("mx1.example"), undefined);
});
