import assert from "node:assert/strict";
import fc from "fast-check";
import { octetsOf, textInPieces, textOf } from "../../../../src/filter/hook/text.ts";
import { concat, octets } from "../../../support/bytes.ts";
import { runs } from "../../../support/fuzz_runs.ts";

Deno.test("text in UTF-8 is the text it says", () => {
  assert.equal(textOf(octets("Grüße 😀\r\n")), "Grüße 😀\r\n");
  assert.deepEqual(octetsOf("Grüße 😀\r\n"), octets("Grüße 😀\r\n"));
});

Deno.test("octets that are no UTF-8 become what Python's surrogateescape makes of them", () => {
  // bytes.decode("utf-8", "surrogateescape") of Python 3.11
  assert.equal(textOf(Uint8Array.of(0x41, 0xe4, 0x42)), "A\udce4B");
  assert.equal(textOf(Uint8Array.of(0xc3, 0xa4, 0xff)), "ä\udcff");
  assert.equal(textOf(Uint8Array.of(0xed, 0xa0, 0x80)), "\udced\udca0\udc80");
  assert.equal(textOf(Uint8Array.of(0xf0, 0x9f, 0x98)), "\udcf0\udc9f\udc98");
  assert.equal(textOf(Uint8Array.of(0xf0, 0x9f, 0x98, 0x80, 0x80)), "😀\udc80");
});

Deno.test("any octets come back as they were, through JSON too", () => {
  const some = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.array(fc.constantFrom(0x41, 0x80, 0xbf, 0xc3, 0xe0, 0xa0, 0xed, 0xf0, 0x9f, 0x98, 0xff), { maxLength: 40 })
      .map((list) => Uint8Array.from(list)),
    fc.string({ unit: "grapheme" }).map(octets),
  );
  fc.assert(fc.property(some, (bytes) => {
    const text: unknown = JSON.parse(JSON.stringify(textOf(bytes)));
    assert.deepEqual([...octetsOf(String(text))], [...bytes]);
  }));
});

Deno.test("a long text that is no UTF-8 is whole", () => {
  const bytes = new Uint8Array(100_000).map((_, index) => index % 251);
  assert.deepEqual(octetsOf(textOf(bytes)), bytes);
});

Deno.test("text in pieces is the text of the whole, wherever it is cut", () => {
  const characters = fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => new TextEncoder().encode(text));
  const chunks = fc.array(fc.oneof(characters, fc.uint8Array({ maxLength: 5 })), { maxLength: 8 });
  fc.assert(
    fc.property(chunks, fc.integer({ min: 1, max: 7 }), (parts, step) => {
      const whole = concat(parts);
      const next = textInPieces();
      const texts: string[] = [];
      for (let at = 0; at < whole.length; at += step) texts.push(next(whole.subarray(at, at + step)));
      texts.push(next(undefined));
      assert.equal(texts.join(""), textOf(whole));
      for (const text of texts) assert.doesNotMatch(text, /[\ud800-\udbff]$/);
    }),
    { numRuns: runs(300) },
  );
});
