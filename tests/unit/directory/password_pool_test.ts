import assert from "node:assert/strict";
import { createPasswordPool } from "../../../src/directory/mod.ts";
import { LookupUnavailable } from "../../../src/expression/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

// 1000 rounds of SHA crypt: slow by kind, quick enough for a test.
const SECRET =
  "$6$rounds=1000$ab$.wgSWarRDZHJ/.AAZr6wXHAk8UNRj3Z6oBRH.eJ3Wtg.7W81hh4pAAz3/U1LkgB.b5lA696GF7vLNaUNdGMxa.";
const PASSWORD = "correct horse battery staple";
// Asks for hours.
const ENDLESS = SECRET.replace("rounds=1000", "rounds=999999999");

Deno.test("plain text and digests are checked at once, without a worker", () => {
  const pool = createPasswordPool({ threads: 1 });
  assert.equal(pool.verify("secret", "secret"), true);
  assert.equal(pool.verify("{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "wrong"), false);
});

Deno.test("slow hashes are checked by workers, more at once than there are workers", async () => {
  const pool = createPasswordPool({ threads: 2 });
  try {
    const answers = await Promise.all(
      Array.from({ length: 7 }, (_, index) => pool.verify(SECRET, index % 2 === 0 ? PASSWORD : "wrong")),
    );
    assert.deepEqual(answers, [true, false, true, false, true, false, true]);
  } finally {
    pool.close();
  }
});

Deno.test("more passwords than may wait are refused for now", async () => {
  const pool = createPasswordPool({ threads: 1, queueLimit: 2 });
  try {
    const checked = [1, 2, 3].map(() => pool.verify(SECRET, PASSWORD));
    await assert.rejects(Promise.resolve(pool.verify(SECRET, PASSWORD)), LookupUnavailable);
    assert.deepEqual(await Promise.all(checked), [true, true, true]);
  } finally {
    pool.close();
  }
});

Deno.test("a hash that takes too long fails alone; what waits behind it is checked", async () => {
  const clock = new FakeClock();
  const pool = createPasswordPool({ threads: 1, clock, timeout: 5_000 });
  try {
    const endless = pool.verify(ENDLESS, PASSWORD);
    clock.advance(1_000);
    const behind = pool.verify(SECRET, PASSWORD);
    clock.advance(4_000);
    await assert.rejects(Promise.resolve(endless), /not checked within 5000 ms/);
    assert.equal(await behind, true);
  } finally {
    pool.close();
  }
});

Deno.test("a password that waits too long for a worker fails", async () => {
  const clock = new FakeClock();
  const pool = createPasswordPool({ threads: 1, clock, timeout: 5_000 });
  try {
    const first = pool.verify(ENDLESS, PASSWORD);
    const second = pool.verify(ENDLESS, PASSWORD);
    clock.advance(5_000);
    await assert.rejects(Promise.resolve(first), LookupUnavailable);
    await assert.rejects(Promise.resolve(second), LookupUnavailable);
  } finally {
    pool.close();
  }
});

Deno.test("a worker without work ends, and another starts when it is needed", async () => {
  const clock = new FakeClock();
  const pool = createPasswordPool({ threads: 1, clock, idle: 1_000 });
  assert.equal(await pool.verify(SECRET, PASSWORD), true);
  // A worker that lived on would be reported as a leak of this test: it is not closed by hand.
  clock.advance(1_000);
  assert.equal(await pool.verify(SECRET, "wrong"), false);
  clock.advance(1_000);
});

Deno.test("closing fails what is under way and what waits", async () => {
  const pool = createPasswordPool({ threads: 1 });
  const answers = [pool.verify(ENDLESS, PASSWORD), pool.verify(ENDLESS, PASSWORD)].map((answer) =>
    assert.rejects(Promise.resolve(answer), LookupUnavailable)
  );
  pool.close();
  await Promise.all(answers);
});
