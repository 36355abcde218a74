/** Content in pieces is the content as a whole. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeTransfer, parseMime } from "../../../../src/message/mod.ts";
import { contentPieces, contentStart } from "../../../../src/report/analysis/part_content.ts";
import { latin1 } from "./samples.ts";

const encoder = new TextEncoder();

function partOf(encoding: string, body: Uint8Array) {
  const head = encoder.encode(encoding === "" ? "\r\n" : `Content-Transfer-Encoding: ${encoding}\r\n\r\n`);
  return parseMime(Uint8Array.from([...head, ...body]), { parts: 1, depth: 1 }).root;
}

function joined(pieces: Iterable<Uint8Array>): Uint8Array {
  return Uint8Array.from([...pieces].flatMap((piece) => [...piece]));
}

/** Octets that are many times as long as a piece, from few that a property makes up. */
const content = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.integer({ min: 1, max: 600 }))
  .map(([octets, times]) => Uint8Array.from({ length: octets.length * times }, (_, i) => octets[i % octets.length]!));

for (const encoding of ["base64", "quoted-printable", "7bit"]) {
  Deno.test(`${encoding} in pieces`, () => {
    fc.assert(
      fc.property(content, (octets) => {
        const part = partOf(encoding, encodeTransfer(octets, encoding));
        const whole = part.content();
        assert.deepEqual(joined(contentPieces(part)), whole);
        assert.deepEqual(contentStart(part, 100), whole.subarray(0, 100));
      }),
      { numRuns: 60 },
    );
  });
}

Deno.test("Base64 in lines of any length, with blanks and what does not belong there", () => {
  const octets = Uint8Array.from({ length: 100_000 }, (_, i) => i & 255);
  for (const width of [1, 3, 61, 77, 1_000, 200_000]) {
    const text = octets.toBase64().replace(new RegExp(`.{${width}}`, "g"), "$& \t\r\n!");
    assert.deepEqual(joined(contentPieces(partOf("BASE64", latin1(text)))), octets, `${width}`);
  }
});

Deno.test("Base64 ends at its padding, whatever follows", () => {
  const text = `${latin1("x".repeat(50_000)).toBase64()}\r\n${"QUJD".repeat(20_000)}`;
  assert.equal(joined(contentPieces(partOf("base64", latin1(text)))).length, 50_000);
});

Deno.test("nothing but blanks, and one line without end", () => {
  assert.equal(joined(contentPieces(partOf("base64", latin1(" \r\n".repeat(100_000))))).length, 0);
  const line = "=41".repeat(100_000);
  assert.ok(joined(contentPieces(partOf("quoted-printable", latin1(line)))).length >= 100_000);
  assert.equal(joined(contentPieces(partOf("", new Uint8Array(0)))).length, 0);
});
