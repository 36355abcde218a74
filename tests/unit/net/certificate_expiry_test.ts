import assert from "node:assert/strict";
import { certificateEnd } from "../../../src/net/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";

const DAY = 86_400_000;
const BEGIN = Date.UTC(2026, 0, 1);
const END = Date.UTC(2026, 3, 1);
const quarter = await makeCertificate({
  names: ["mx.example"],
  notBefore: new Date(BEGIN),
  notAfter: new Date(END),
});
const week = await makeCertificate({
  names: ["mx.example"],
  notBefore: new Date(BEGIN),
  notAfter: new Date(BEGIN + 6 * DAY),
});
const root = await makeCertificate({ names: ["root"], authority: true, notBefore: new Date(BEGIN - DAY) });
const middle = await makeCertificate({
  names: ["middle"],
  authority: true,
  issuer: root,
  notBefore: new Date(BEGIN),
  notAfter: new Date(BEGIN + 60 * DAY),
});
const below = await makeCertificate({
  names: ["mx.example"],
  issuer: middle,
  notBefore: new Date(BEGIN),
  notAfter: new Date(END),
});

Deno.test("a certificate is warned about from three weeks before its end", () => {
  assert.deepEqual(certificateEnd(quarter.cert, END - 21 * DAY), { expires: END, warning: undefined });
  assert.deepEqual(certificateEnd(quarter.cert, END - 21 * DAY + 1), {
    expires: END,
    warning: "the certificate expires on 2026-04-01, in 20 days",
  });
  assert.match(certificateEnd(quarter.cert, END - DAY)?.warning ?? "", /in a day$/);
  assert.match(certificateEnd(quarter.cert, END - 1)?.warning ?? "", /today or tomorrow$/);
  assert.match(certificateEnd(quarter.cert, END)?.warning ?? "", /^the certificate expired on 2026-04-01; /);
});

Deno.test("one that lives for days is warned about in the last third", () => {
  assert.equal(certificateEnd(week.cert, BEGIN + 4 * DAY)?.warning, undefined);
  assert.match(certificateEnd(week.cert, BEGIN + 4 * DAY + 1)?.warning ?? "", /expires on 2026-01-07, in a day$/);
});

Deno.test("one that is not valid yet is warned about", () => {
  assert.match(certificateEnd(quarter.cert, BEGIN - 1)?.warning ?? "", /not valid before 2026-01-01T00:00Z$/);
});

Deno.test("the chain ends with the first certificate that does", () => {
  const end = certificateEnd(below.cert, BEGIN + 59 * DAY);
  assert.equal(end?.expires, BEGIN + 60 * DAY);
  assert.equal(end?.warning, "the certificate of middle, which is sent along, expires on 2026-03-02, in a day");
});

Deno.test("what is no certificate has no end", () => {
  assert.equal(certificateEnd("", BEGIN), undefined);
  assert.equal(certificateEnd("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", BEGIN), undefined);
});
