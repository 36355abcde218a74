/** Properties of DKIM, ARC and DMARC that hold for every message and every record. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { evaluateDmarc, verifySignatures } from "../../src/authentication/mod.ts";
import { runs } from "../support/fuzz_runs.ts";
import { checkContext, ed25519Key, received, rsaKey, seal, sign } from "../support/signed_message.ts";
import type { ZoneEntry } from "../support/zone.ts";

const RSA = rsaKey();
const ED25519 = ed25519Key();
const MESSAGE = "From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

const ZONE: Readonly<Record<string, ZoneEntry>> = {
  "mail._domainkey.example.org": { txt: [RSA.record] },
  "_dmarc.example.org": { txt: ["v=DMARC1; p=reject"] },
};

const ALL = { dkim: true, arc: true, strict: false };

const text = (...words: string[]) =>
  fc.array(fc.constantFrom(...words), { maxLength: 12 }).map((parts) => parts.join(""));

const value = fc.oneof(
  text(
    "a",
    "rsa-sha256",
    "1",
    "example.org",
    "mail",
    "from",
    ":",
    "=",
    ";",
    " ",
    "\r\n\t",
    "@",
    "/",
    "relaxed",
    "\0",
    "\xff",
  ),
  fc.constantFrom("", "0", "1", "-1", "51", "9".repeat(80), "A===", "=", "from:to", "relaxed/simple", "none", "pass"),
);

const tags = fc.array(
  fc.tuple(
    fc.constantFrom("v", "a", "b", "bh", "c", "d", "h", "i", "l", "q", "s", "t", "x", "r", "cv", "z", "A", ""),
    value,
  ),
  { maxLength: 12 },
).map((pairs) => pairs.map(([name, content]) => `${name}=${content}`).join(";"));

const fields = fc.array(
  fc.oneof(
    fc.tuple(
      fc.constantFrom("DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results", "From"),
      fc.oneof(tags, value),
    ).map(([name, content]) => `${name}: ${content}\r\n`),
    text("From: ", "<", ">", '"', "(", ")", "@", "a", ",", ";", ":", "\\", "\r\n", " ", "[", "]", ".", "\xe4"),
  ),
  { maxLength: 8 },
).map((parts) => parts.join(""));

Deno.test("no header makes a check fail to give a result", async () => {
  await fc.assert(
    fc.asyncProperty(fields, fc.boolean(), async (header, strict) => {
      const message = received(`${header}${MESSAGE}`);
      const context = checkContext(ZONE);
      const results = await verifySignatures(message, { ...ALL, strict }, context);
      assert.ok((results.dkim?.length ?? 0) >= 1 && (results.dkim?.length ?? 0) <= 10);
      assert.ok(results.dkim?.every(({ result }) => result !== "pass"));
      assert.ok(results.arc !== undefined && results.arc.result !== "pass");
      const dmarc = await evaluateDmarc(message.header, results, context);
      assert.ok(["none", "fail", "temperror", "permerror"].includes(dmarc.result));
    }),
    { numRuns: runs(500) },
  );
});

Deno.test("no octet of a signed message can change", async () => {
  const message = sign(MESSAGE, RSA, { c: "simple/simple", h: "from:subject:from:subject" });
  // Base64 itself leaves some freedom: blanks, one of which may stand for the CR, and bits that nothing uses.
  const start = message.indexOf("; b=") + 4;
  const end = message.indexOf("\r\n") + 1;
  await fc.assert(
    fc.asyncProperty(fc.nat(message.length - 1), fc.integer({ min: 1, max: 255 }), async (at, difference) => {
      fc.pre(at < start || at >= end);
      const octet = String.fromCharCode(message.charCodeAt(at) ^ difference);
      const changed = message.slice(0, at) + octet + message.slice(at + 1);
      const { dkim = [] } = await verifySignatures(received(changed), ALL, checkContext(ZONE));
      assert.ok(dkim.length === 1 && dkim[0]?.result !== "pass");
    }),
    { numRuns: runs(500) },
  );
});

Deno.test("no octet of a sealed chain can change and leave another meaning", async () => {
  const message = seal(seal(MESSAGE, RSA, 1), RSA, 2);
  // All but the last seal is under a seal.
  const start = message.indexOf("; b=") + 4;
  const first = message.indexOf("\r\n");
  const end = message.indexOf("From:");
  await fc.assert(
    fc.asyncProperty(fc.nat(end - 1), fc.constantFrom("x", "2", ";", "=", ":", "\r", "\0"), async (at, octet) => {
      fc.pre((at < start || at >= first) && message[at] !== octet && !/\s/.test(message[at] ?? ""));
      const changed = message.slice(0, at) + octet + message.slice(at + 1);
      const { arc } = await verifySignatures(received(changed), ALL, checkContext(ZONE));
      assert.notEqual(arc?.result, "pass");
    }),
    { numRuns: runs(300) },
  );
});

const record = fc.oneof(
  text(
    "v=DKIM1",
    "v=DMARC1",
    ";",
    "p=",
    "k=",
    "rsa",
    "ed25519",
    "h=",
    "t=",
    "s=",
    "A",
    "\0",
    " ",
    "=",
    "none",
    "rua=",
    ",",
  ),
  fc.constantFrom(RSA.record, ED25519.record).chain((whole) => fc.nat(whole.length).map((at) => whole.slice(0, at))),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => `p=${btoa(String.fromCharCode(...bytes))}`),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => `v=DMARC1;${String.fromCharCode(...bytes)}`),
);

Deno.test("no record makes a check fail to give a result", async () => {
  const message = received(seal(sign(MESSAGE, RSA, { h: "from" }), RSA, 1));
  await fc.assert(
    fc.asyncProperty(fc.array(record, { maxLength: 4 }), fc.array(record, { maxLength: 3 }), async (keys, policies) => {
      const context = checkContext({
        "mail._domainkey.example.org": { txt: keys },
        "_dmarc.example.org": { txt: policies },
      });
      const results = await verifySignatures(message, ALL, context);
      assert.ok(["pass", "fail", "permerror"].includes(results.dkim?.[0]?.result ?? ""));
      const dmarc = await evaluateDmarc(message.header, results, context);
      assert.ok(["none", "pass", "fail", "permerror"].includes(dmarc.result));
    }),
    { numRuns: runs(500) },
  );
});

Deno.test("records of 64 KB, a hundred signatures and thousands of fields are bounded work", async () => {
  const long = `v=DKIM1; ${"x=".padEnd(65_000, "y")}; p=AAAA`;
  const zone: Record<string, ZoneEntry> = {};
  let message = `From: ${"(".repeat(30_000)}\r\n${MESSAGE}`;
  for (let i = 0; i < 100; i++) {
    zone[`s${i}._domainkey.example.org`] = { txt: [long, long, long, long, RSA.record] };
    message = `DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s${i}; l=${i}; bh=AAAA; b=AAAA; h=from${
      ":from".repeat(1000)
    }\r\n${message}`;
  }
  for (let i = 0; i < 9000; i++) message = `From: a@example${i}.org\r\n${message}`;
  const context = checkContext({
    ...zone,
    "_dmarc.example.org": { txt: [`v=DMARC1; p=none; rua=${"a:b,".repeat(16_000)}`] },
  });
  const whole = received(message);
  const results = await verifySignatures(whole, ALL, context);
  assert.deepEqual(results.dkim?.map(({ result }) => result), Array(10).fill("permerror"));
  const dmarc = await evaluateDmarc(whole.header, results, context);
  assert.equal(dmarc.result, "permerror");
  assert.ok(context.zone.asked.length < 40);
});
