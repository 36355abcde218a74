/** Certificates and TLSA records are what a stranger sends: whatever they hold, the verdict comes, and soon. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { daneFault } from "../../src/outbound/dane_match.ts";
import { strongestRecords, usableRecords } from "../../src/outbound/dane_records.ts";
import { makeCertificate } from "../support/certificates.ts";
import { runs } from "../support/fuzz_runs.ts";
import { tlsaFor } from "../support/tlsa.ts";

const anchor = await makeCertificate({ names: ["anchor"], authority: true });
const own = await makeCertificate({ names: ["mx.d.example"], issuer: anchor });
const NAMES = ["mx.d.example"];

const record = fc.record({
  usage: fc.integer({ min: 0, max: 5 }),
  selector: fc.integer({ min: 0, max: 2 }),
  matchingType: fc.integer({ min: 0, max: 3 }),
  data: fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.constant(own.der.slice(0, 100))),
});

Deno.test("records and certificates of any octets agree with nothing", () => {
  fc.assert(
    fc.property(fc.array(record), fc.array(fc.uint8Array({ maxLength: 300 })), (records, sent) => {
      const usable = usableRecords(records);
      assert.notEqual(daneFault(sent, strongestRecords(usable), NAMES, Date.now()), undefined);
    }),
    { numRuns: runs(300) },
  );
});

Deno.test("a certificate that was changed does not agree with records of the whole or below an anchor", async () => {
  const records = [await tlsaFor(own, 3, 0, 1), await tlsaFor(anchor, 2, 0, 1)];
  // What is signed: a SEQUENCE behind the header of four octets, with its own of three. The name of the algorithm behind
  // it is not, and the runtime does not mind it.
  const end = 4 + 3 + (own.der[6] ?? 0);
  fc.assert(
    fc.property(fc.integer({ min: 4, max: end - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const meddled = own.der.slice();
      meddled[at] = (meddled[at] ?? 0) ^ change;
      assert.notEqual(daneFault([meddled, anchor.der], records, NAMES, Date.now()), undefined);
    }),
    { numRuns: runs(300) },
  );
});

Deno.test("authorities that all sign each other are looked through once", async () => {
  // By their names each could have signed each; only signatures tell.
  const twins = await Promise.all(
    Array.from(
      { length: 15 },
      () => makeCertificate({ names: ["anchor"], authority: true, issuer: anchor }),
    ),
  );
  const stranger = await tlsaFor(own, 2, 0, 2);
  const fault = daneFault([own.der, ...twins.map(({ der }) => der), anchor.der], [stranger], NAMES, Date.now());
  assert.equal(fault?.type, "validation-failure");
});
