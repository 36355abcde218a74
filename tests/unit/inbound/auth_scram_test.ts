/** The messages of SCRAM-SHA-256, held against the examples of the RFCs. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { parseOauthBearer, parseXoauth2 } from "../../../src/inbound/sasl_oauth.ts";
import { cramMd5Digest } from "../../../src/inbound/sasl_cram_md5.ts";
import { isProof, parseClientFinal, parseClientFirst, serverFinal, serverFirst } from "../../../src/inbound/scram.ts";
import { saslPrepare, scramKeys } from "../../../src/smtp/mod.ts";

// RFC 7677 §3: user "user", password "pencil".
const CLIENT_FIRST = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
  "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

const salt = Uint8Array.from(atob("W22ZaJ0SNY7soEsUEjb6gQ=="), (char) => char.charCodeAt(0));

Deno.test("the exchange of RFC 7677 is spoken as it stands there", async () => {
  const first = parseClientFirst(CLIENT_FIRST)!;
  assert.deepEqual(first, {
    header: "n,,",
    authorize: "",
    name: "user",
    nonce: "rOprNGfwEbeRWgbNEkqO",
    bare: "n=user,r=rOprNGfwEbeRWgbNEkqO",
  });
  assert.equal(serverFirst("rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", salt, 4096), SERVER_FIRST);
  const final = parseClientFinal(CLIENT_FINAL)!;
  assert.equal(final.binding, btoa(first.header));
  const message = `${first.bare},${SERVER_FIRST},${final.withoutProof}`;
  const keys = await scramKeys("pencil", salt, 4096);
  assert.equal(isProof(final.proof, message, keys), true);
  assert.equal(serverFinal(message, keys), SERVER_FINAL);
});

Deno.test("a proof fits one password, one exchange and its whole length only", async () => {
  const final = parseClientFinal(CLIENT_FINAL)!;
  const message = `n=user,r=rOprNGfwEbeRWgbNEkqO,${SERVER_FIRST},${final.withoutProof}`;
  assert.equal(isProof(final.proof, message, await scramKeys("Pencil", salt, 4096)), false);
  const keys = await scramKeys("pencil", salt, 4096);
  assert.equal(isProof(final.proof, `${message} `, keys), false);
  assert.equal(isProof(final.proof.subarray(1), message, keys), false);
  assert.equal(isProof(new Uint8Array(0), message, keys), false);
});

Deno.test("names with commas and equals signs are decoded, other uses of = refused", () => {
  assert.equal(parseClientFirst("n,,n=a=2Cb=3Dc,r=x")?.name, "a,b=c");
  assert.equal(parseClientFirst("y,a=other=2Cone,n=ana,r=x,ext=1")?.authorize, "other,one");
  for (
    const text of [
      "n,,n=a=2cb,r=x",
      "n,,n=a=b,r=x",
      "n,,n=,r=x",
      "n,,n=ana,r=",
      "n,,n=ana",
      "n,,n=ana,r=a b",
      // Channel binding and mandatory extensions.
      "p=tls-exporter,,n=ana,r=x",
      "n,,m=ext,n=ana,r=x",
      "n,n=ana,r=x",
      "",
    ]
  ) {
    assert.equal(parseClientFirst(text), undefined, text);
  }
  for (const text of ["c=biws,r=x", "r=x,p=AAAA", "c=biws,p=AAAA", "c=biws,r=x,p=", ""]) {
    assert.equal(parseClientFinal(text), undefined, text);
  }
});

Deno.test("names and passwords are prepared as RFC 4013 has it", () => {
  // RFC 4013 §3
  assert.equal(saslPrepare("I\u00adX"), "IX");
  assert.equal(saslPrepare("USER"), "USER");
  assert.equal(saslPrepare("\u00aa"), "a");
  assert.equal(saslPrepare("\u2168"), "IX");
  assert.equal(saslPrepare("\u0007"), undefined);
  assert.equal(saslPrepare("a\u00a0b"), "a b");
});

Deno.test("the digest of RFC 2195 comes out", () => {
  assert.equal(
    cramMd5Digest("tanstaaftanstaaf", "<1896.697170952@postoffice.reston.mci.net>"),
    "b913a602c7eda7a495b4e6e7334d3890",
  );
});

Deno.test("whatever a client sends as a message is read or refused, never an error", () => {
  const part = fc.constantFrom(
    "n,,",
    "n=",
    "r=",
    "c=biws",
    ",",
    "=",
    "=2C",
    "p=AAAA",
    "user=",
    "auth=Bearer x",
    "\x01",
    "y,a=",
  );
  const text = fc.array(fc.oneof(part, fc.string({ unit: "binary", maxLength: 8 })), { maxLength: 12 });
  fc.assert(
    fc.property(text, (parts) => {
      const message = parts.join("");
      const first = parseClientFirst(message);
      if (first !== undefined) assert.equal(first.header + first.bare, message);
      const final = parseClientFinal(message);
      if (final !== undefined) assert.ok(message.startsWith(final.withoutProof));
      for (const credentials of [parseOauthBearer(message), parseXoauth2(message)]) {
        if (credentials !== undefined) assert.match(credentials.token, /^\S+$/);
      }
    }),
    { numRuns: 500 },
  );
});
