import assert from "node:assert/strict";
import { readTlsReportRecord } from "../../../../src/report/tls/record.ts";

Deno.test("a record names places, several with commas between (RFC 8460 section 3)", () => {
  assert.deepEqual(readTlsReportRecord(["v=TLSRPTv1;rua=mailto:reports@example.com"]), ["mailto:reports@example.com"]);
  assert.deepEqual(
    readTlsReportRecord(["v=TLSRPTv1; x=1; rua = mailto:a@example.com , https://r.example.com/v1/tlsrpt;"]),
    ["mailto:a@example.com", "https://r.example.com/v1/tlsrpt"],
  );
});

Deno.test("records of other kinds are left out, several of this kind are none", () => {
  const record = "v=TLSRPTv1;rua=mailto:reports@example.com";
  assert.deepEqual(readTlsReportRecord(["v=spf1 -all", record, "v=TLSRPTv2;rua=mailto:b@example.com"]), [
    "mailto:reports@example.com",
  ]);
  assert.equal(readTlsReportRecord([record, record]), undefined);
  for (
    const text of ["", "v=TLSRPTv1", "v=TLSRPTv1;", "V=TLSRPTV1;rua=mailto:a@example.com", "x; v=TLSRPTv1;rua=a:b"]
  ) {
    assert.equal(readTlsReportRecord([text]), undefined, text);
  }
});

Deno.test("a record cannot name any number of places", () => {
  const uris = Array.from({ length: 5000 }, (_, index) => `mailto:a${index}@example.com`);
  assert.deepEqual(readTlsReportRecord([`v=TLSRPTv1;rua=${uris.join(",")}`]), uris.slice(0, 10));
});
