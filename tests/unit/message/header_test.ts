import assert from "node:assert/strict";
import { countFields, fieldsNamed, firstField, isFieldName, parseHeader } from "../../../src/message/mod.ts";

const encoder = new TextEncoder();

function parse(text: string) {
  return parseHeader(encoder.encode(text));
}

Deno.test("fields are found with their offsets, the body after the empty line", () => {
  const text = "From: a@example.org\r\nSubject: one\r\n two\r\n\r\nBody: no\r\n";
  const header = parse(text);
  assert.ok(header.complete);
  assert.equal(header.end, text.indexOf("\r\n\r\n") + 2);
  assert.equal(header.bodyOffset, text.indexOf("Body"));
  assert.deepEqual(
    header.fields.map(({ name, lower, start, end }) => ({ name, lower, text: text.slice(start, end) })),
    [
      { name: "From", lower: "from", text: "From: a@example.org\r\n" },
      { name: "Subject", lower: "subject", text: "Subject: one\r\n two\r\n" },
    ],
  );
});

Deno.test("values are unfolded and trimmed, encoded words decoded on request", () => {
  const header = parse("A:  one\r\n\t two \r\nB:\r\nC : x\r\nD: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nE: grün\r\n\r\n");
  assert.deepEqual(header.fields.map((field) => field.value()), [
    "one\t two",
    "",
    "x",
    "=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
    "grün",
  ]);
  assert.equal(header.fields[3]?.text(), "Grüße");
  assert.equal(header.fields[2]?.name, "C");
});

Deno.test("a header without an empty line is incomplete", () => {
  for (const text of ["", "A: b", "A: b\r\n", "A: b\r\n c", "A: b\r\nC"]) {
    const header = parse(text);
    assert.ok(!header.complete, text);
    assert.equal(header.end, text.length);
    assert.equal(header.bodyOffset, text.length);
  }
  assert.equal(parse("A: b").fields[0]?.value(), "b");
});

Deno.test("a message may start with its body", () => {
  const header = parse("\r\nA: b\r\n");
  assert.deepEqual([header.fields.length, header.end, header.bodyOffset, header.complete], [0, 0, 2, true]);
});

Deno.test("lines that are no fields are passed over with their continuations", () => {
  const header = parse(
    "From someone Mon Jan  5 2026\r\nA: 1\r\ngarbage\r\n more garbage\r\n: no name\r\nb c: no\r\n\u00fc: no\r\nD: 2\r\n\r\n",
  );
  assert.deepEqual(header.fields.map(({ name, value }) => [name, value()]), [["A", "1"], ["D", "2"]]);
});

Deno.test("a lone LF ends a line of a header", () => {
  const header = parse("A: 1\nB: 2\n\nbody");
  assert.deepEqual(header.fields.map((field) => field.value()), ["1", "2"]);
  assert.equal(header.bodyOffset, 11);
});

Deno.test("a continuation before any field belongs to none", () => {
  assert.deepEqual(parse(" x\r\nA: 1\r\n\r\n").fields.map((field) => field.value()), ["1"]);
});

Deno.test("octets that are no UTF-8 do not matter", () => {
  const header = parseHeader(Uint8Array.from([0x41, 0x3a, 0x20, 0xff, 0x0d, 0x0a, 0x0d, 0x0a]));
  assert.equal(header.fields[0]?.value(), "\ufffd");
});

Deno.test("the number of fields is bounded, the body is found all the same", () => {
  const header = parse("A: 1\r\n".repeat(20_000) + "\r\nbody");
  assert.equal(header.fields.length, 10_000);
  assert.equal(header.bodyOffset, 120_002);
});

Deno.test("fields are counted and found by name in any case", () => {
  const header = parse("Received: 1\r\nreceived: 2\r\nX: y\r\nRECEIVED: 3\r\n\r\n");
  assert.equal(countFields(header, "Received"), 3);
  assert.equal(firstField(header, "received")?.value(), "1");
  assert.deepEqual(fieldsNamed(header, "rEceived").map((field) => field.value()), ["1", "2", "3"]);
  assert.equal(firstField(header, "nope"), undefined);
});

Deno.test("field names are printable ASCII without colon", () => {
  assert.ok(isFieldName("X-Spam_Score!"));
  for (const bad of ["", "a b", "a:b", "ü", "a\r\n"]) assert.ok(!isFieldName(bad), bad);
});

Deno.test("a field of a million blanks is read in a moment", () => {
  const blanks = " \t".repeat(500_000);
  const bytes = new TextEncoder().encode(`Subject:${blanks}a${blanks}b${blanks}\r\n\r\n`);
  assert.equal(parseHeader(bytes).fields[0]!.value(), `a${blanks}b`);
});
