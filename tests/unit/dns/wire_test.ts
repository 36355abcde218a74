import assert from "node:assert/strict";
import fc from "fast-check";
// @ts-types="../../../src/dns/dns_packet.d.ts"
import * as packet from "dns-packet";
import { A, MX, TLSA, TXT } from "../../../src/dns/records.ts";
import { encodeQuery, type Question, readResponse } from "../../../src/dns/wire.ts";
import { record, soa } from "../../support/dns_server.ts";

const question: Question = { name: "example.net", type: "MX" };

const response = new Uint8Array(packet.encode({
  id: 4711,
  type: "response",
  flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE,
  questions: [{ name: "example.net", type: "MX", class: "IN" }],
  answers: [record("example.net", "MX", { preference: 10, exchange: "mx1.example.net" })],
  authorities: [soa("example.net", 60)],
}));

Deno.test("a response is read only with its id, as a response, to its question", () => {
  assert.equal(readResponse(response, 4711, question).kind, "response");
  assert.equal(readResponse(response, 4712, question).kind, "foreign");
  assert.equal(readResponse(response, 4711, { name: "example.org", type: "MX" }).kind, "foreign");
  assert.equal(readResponse(response, 4711, { name: "example.net", type: "A" }).kind, "foreign");
  assert.equal(readResponse(encodeQuery(4711, question, true), 4711, question).kind, "foreign");
});

Deno.test("the case of the repeated question does not matter", () => {
  const shouted = new Uint8Array(response);
  shouted[13] = "E".charCodeAt(0);
  assert.equal(readResponse(shouted, 4711, question).kind, "response");
});

Deno.test("no bytes make the reader throw, and what it gives can be read", () => {
  const mutated = fc.tuple(
    fc.array(fc.tuple(fc.nat(response.length - 1), fc.nat(255)), { maxLength: 8 }),
    fc.nat(response.length),
  ).map(([changes, length]) => {
    const bytes = new Uint8Array(response);
    for (const [at, value] of changes) if (at > 1) bytes[at] = value;
    return bytes.subarray(0, length);
  });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 600 })), (bytes) => {
      const reading = readResponse(bytes, 4711, question);
      if (reading.kind !== "response") return;
      for (const { type, data } of reading.response.answers) {
        for (const kind of [A, MX, TXT, TLSA]) if (kind.type === type) kind.read(data);
      }
    }),
    { numRuns: 2000 },
  );
});
