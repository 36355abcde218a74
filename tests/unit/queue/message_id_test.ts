import assert from "node:assert/strict";
import fc from "fast-check";
import { createIdSource, firstIdAt, formatMessageId, parseMessageId } from "../../../src/queue/message_id.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const someId = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

Deno.test("an id reads back from its text in either case", () => {
  fc.assert(fc.property(someId, (id) => {
    const text = formatMessageId(id);
    assert.match(text, /^[0-9a-hjkmnp-tv-z]{11}$/);
    assert.equal(parseMessageId(text), id);
    assert.equal(parseMessageId(text.toUpperCase()), id);
  }));
});

Deno.test("ids sort as text as they do as numbers", () => {
  fc.assert(fc.property(someId, someId, (a, b) => {
    assert.equal(formatMessageId(a) < formatMessageId(b), a < b);
  }));
});

Deno.test("letters that are easily mistaken for digits are read as those", () => {
  assert.equal(parseMessageId("0000000001O"), 32);
  assert.equal(parseMessageId("0000000000i"), 1);
  assert.equal(parseMessageId("0000000000L"), 1);
});

Deno.test("what is no id is refused", () => {
  for (
    const text of ["", "0", "00000000000", "zzzzzzzzzzz", "0000000000u", "0000000000-", "000000000001", "' OR 1=1 --"]
  ) {
    assert.equal(parseMessageId(text), undefined, text);
  }
});

Deno.test("ids grow although the clock stands still or steps back, and carry their slot", () => {
  const clock = new FakeClock();
  const ids = createIdSource(clock, 7);
  const first = ids.next();
  assert.equal(first % 1024, 7);
  assert.equal(first, firstIdAt(clock.now()) + 7);
  let last = first;
  for (let i = 0; i < 100; i++) {
    const next = ids.next();
    assert.ok(next > last);
    last = next;
  }
  const earlier = createIdSource(new FakeClock(clock.now() - 3_600_000), 7, last);
  assert.ok(earlier.next() > last);
});

Deno.test("ids stay exact integers for decades", () => {
  const ids = createIdSource(new FakeClock(Date.UTC(2090, 0, 1)), 1022);
  assert.ok(Number.isSafeInteger(ids.next()));
});
