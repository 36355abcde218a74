import assert from "node:assert/strict";
import { handshakeProves } from "../../../src/net/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { versionOne, withUniqueId } from "../../support/odd_certificate.ts";

const ec = await makeCertificate({ names: ["mx.example"] });

Deno.test("a handshake proves the key of usual certificates", async () => {
  assert.equal(handshakeProves(ec.der), true);
  assert.equal(handshakeProves((await makeCertificate({ names: ["mx.example"], key: "rsa" })).der), true);
});

Deno.test("it does not for certificates that the runtime's verifier cannot read", async () => {
  assert.equal(handshakeProves((await versionOne(ec)).der), false);
  assert.equal(handshakeProves((await withUniqueId(ec)).der), false);
});

Deno.test("what is no certificate proves nothing", () => {
  for (const der of [new Uint8Array(), Uint8Array.of(0x30), ec.der.subarray(0, 100), new Uint8Array(500).fill(0xff)]) {
    assert.equal(handshakeProves(der), false);
  }
});
