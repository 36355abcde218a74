import assert from "node:assert/strict";
import { type ArcResult, verifySignatures } from "../../../../src/authentication/mod.ts";
import { checkContext, ed25519Key, received, rsaKey, seal, sign } from "../../../support/signed_message.ts";
import type { ZoneEntry } from "../../../support/zone.ts";

const RSA = rsaKey();
const SHORT = rsaKey(512);
const ED25519 = ed25519Key();

const MESSAGE = "From: Alice <alice@example.org>\r\nTo: list@example.net\r\nSubject: Minutes\r\n\r\nAll agreed.\r\n";

const ZONE: Readonly<Record<string, ZoneEntry>> = {
  "mail._domainkey.example.org": { txt: [RSA.record] },
  "ed._domainkey.example.net": { txt: [ED25519.record] },
  "short._domainkey.example.org": { txt: [SHORT.record] },
  "slow._domainkey.example.org": { error: "timeout" },
};

async function verify(message: string, strict = true, zone = ZONE): Promise<ArcResult> {
  const { arc } = await verifySignatures(received(message), { dkim: false, arc: true, strict }, checkContext(zone));
  assert.ok(arc !== undefined);
  return arc;
}

async function fails(message: string, reason: RegExp): Promise<void> {
  const result = await verify(message);
  assert.equal(result.result, "fail");
  assert.match(result.reason ?? "", reason);
}

/** A message that `count` handlers have sealed. */
function chain(count: number, message = MESSAGE): string {
  let text = message;
  for (let i = 1; i <= count; i++) text = seal(text, RSA, i);
  return text;
}

Deno.test("a message without ARC fields has no chain", async () => {
  assert.deepEqual(await verify(MESSAGE), {
    method: "arc",
    result: "none",
    instance: 0,
    domain: "",
    selector: "",
    oldestPass: 0,
    temporary: false,
  });
});

Deno.test("chains of one, two and fifty sets pass", async () => {
  for (const count of [1, 2, 50]) {
    const result = await verify(chain(count));
    assert.deepEqual([result.result, result.instance, result.domain, result.selector], [
      "pass",
      count,
      "example.org",
      "mail",
    ]);
  }
});

Deno.test("handlers may use different keys, domains and algorithms", async () => {
  const own = { d: "example.net", s: "ed" };
  const result = await verify(seal(chain(1), ED25519, 2, { signature: own, seal: own }));
  assert.deepEqual([result.result, result.domain, result.selector], ["pass", "example.net", "ed"]);
});

Deno.test("the order of the fields in the header does not matter", async () => {
  const message = chain(2);
  const end = message.indexOf("From:");
  const fields = message.slice(0, end).split(/(?<=\r\n)(?![ \t])/);
  assert.equal((await verify(fields.reverse().join("") + message.slice(end))).result, "pass");
});

Deno.test("the last message signature must fit; older ones tell how far back nothing has changed", async () => {
  // The list changes the subject after the first two handlers.
  const changed = chain(2).replace("Subject: Minutes", "Subject: [list] Minutes");
  const sealed = seal(seal(changed, RSA, 3), RSA, 4);
  const result = await verify(sealed);
  assert.deepEqual([result.result, result.oldestPass], ["pass", 3]);
  assert.equal((await verify(chain(4))).oldestPass, 0);
  await fails(sealed.replace("[list]", "[other]"), /^message signature 4: the signature does not fit/);
  await fails(sealed.replace("agreed", "refused"), /^message signature 4: the body has changed/);
});

Deno.test("an older message signature that could not count by itself ends the search", async () => {
  for (const signature of [{ a: "rsa-sha1" }, { x: "1000" }, { l: "3" }, { bh: undefined }]) {
    const message = seal(seal(seal(MESSAGE, RSA, 1), RSA, 2, { signature }), RSA, 3);
    const result = await verify(message);
    assert.deepEqual([result.result, result.oldestPass], ["pass", 3], JSON.stringify(signature));
  }
});

Deno.test("every field of every set is under a seal", async () => {
  const message = chain(3);
  for (const set of [1, 2, 3]) {
    const mark = `ARC-Authentication-Results: i=${set}; mx.example.org; none`;
    // The last seal covers all of them and is looked at first.
    await fails(message.replace(mark, `${mark} (changed)`), /^seal 3: the signature does not fit/);
  }
  for (const set of [1, 2]) {
    const changed = message.replace(`ARC-Seal: i=${set};`, `ARC-Seal: i=${set}; added=1;`);
    await fails(changed, /^seal 3: the signature does not fit/);
    const signature = message.replace(
      new RegExp(`(ARC-Message-Signature: a=rsa-sha256;[^\\r]*; i=${set};)`),
      "$1 added=1;",
    );
    assert.notEqual(signature, message);
    await fails(signature, /^seal 3: the signature does not fit/);
  }
});

Deno.test("a chain that its last sealer found broken fails", async () => {
  await fails(seal(chain(1), RSA, 2, { seal: { cv: "fail" } }), /broken before set 2/);
  await fails(seal(MESSAGE, RSA, 1, { seal: { cv: "fail" } }), /broken before set 1/);
});

Deno.test("the first seal must say none, all others pass", async () => {
  await fails(seal(MESSAGE, RSA, 1, { seal: { cv: "pass" } }), /seal 1 has a wrong chain status/);
  for (const cv of ["none", "", "PASS", undefined]) {
    await fails(seal(chain(1), RSA, 2, { seal: { cv } }), /seal 2 has a wrong chain status/);
  }
});

Deno.test("sets must be complete, without gaps, and each only once", async () => {
  const message = chain(2);
  for (const name of ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]) {
    await fails(message.replace(`${name}:`, "X-Removed:"), /set 2 is not complete/);
    const at = message.lastIndexOf(`${name}:`);
    await fails(message.slice(0, at) + "X-Removed:" + message.slice(at + name.length + 1), /set 1 is not complete/);
    const field = new RegExp(`${name}:[^\\r]*\\r\\n`).exec(message)?.[0] ?? "";
    await fails(field + message, /set 2 has a field twice/);
  }
  await fails(seal(MESSAGE, RSA, 2), /set 1 is not complete/);
  await fails(seal(chain(1), RSA, 3), /set 2 is not complete/);
});

Deno.test("instances are numbers from 1 to 50", async () => {
  for (const i of ["0", "51", "x", "", "1.0", "-1", undefined]) {
    await fails(seal(MESSAGE, RSA, 1, { seal: { i } }), /arc-seal has no valid instance/);
    await fails(seal(MESSAGE, RSA, 1, { signature: { i } }), /arc-message-signature has no valid instance/);
  }
  const sealed = chain(1);
  for (const start of ["i=0;", "i=51;", "i=1", "mx.example.org; i=1;", "(i=1;", "i=x;"]) {
    const changed = sealed.replace("ARC-Authentication-Results: i=1;", `ARC-Authentication-Results: ${start}`);
    await fails(changed, /arc-authentication-results has no valid instance/);
  }
});

Deno.test("comments and folds may stand around the instance of the results", async () => {
  const sealed = seal(MESSAGE, RSA, 1).replace(
    "ARC-Authentication-Results: i=1;",
    "ARC-Authentication-Results: (a) i = 1 (b) ;",
  );
  // Only the seal notices.
  await fails(sealed, /^seal 1: the signature does not fit/);
});

Deno.test("fifty-one sets are too many", async () => {
  const field = "ARC-Seal: i=1; cv=none; a=rsa-sha256; d=example.org; s=mail; b=AAAA\r\n";
  await fails(field.repeat(51) + MESSAGE, /more than 50/);
  await fails(field.repeat(9000) + MESSAGE, /more than 50/);
});

Deno.test("a seal must not list signed fields, and needs its tags", async () => {
  await fails(seal(MESSAGE, RSA, 1, { seal: { h: "from" } }), /seal 1 lists signed fields/);
  await fails(seal(MESSAGE, RSA, 1, { seal: { d: undefined } }), /^seal 1: the tag d= is missing/);
  await fails(seal(MESSAGE, RSA, 1, { seal: { t: "x" } }), /^seal 1: the tag t= is not/);
  await fails(seal(MESSAGE, RSA, 1, { seal: { a: "rsa-sha512" } }), /^seal 1: the algorithm/);
});

Deno.test("a message signature must not cover a seal, and needs its tags", async () => {
  await fails(seal(chain(1), RSA, 2, { signature: { h: "from:ARC-Seal" } }), /^message signature 2: it covers a seal/);
  await fails(seal(MESSAGE, RSA, 1, { signature: { bh: undefined } }), /^message signature 1: the tag bh= is missing/);
  await fails(seal(MESSAGE, RSA, 1, { signature: { h: undefined } }), /^message signature 1: the tag h= is missing/);
});

Deno.test("a version and unknown tags are ignored, and From need not be signed", async () => {
  const signature = { v: "7", h: "to:x-not-there", unknown: "1" };
  assert.equal((await verify(seal(MESSAGE, RSA, 1, { signature, seal: { unknown: "1" } }))).result, "pass");
});

Deno.test("without c= a message signature may mean simple or relaxed", async () => {
  assert.equal((await verify(seal(MESSAGE, RSA, 1, { signature: { c: undefined } }))).result, "pass");
  const relaxed = seal(MESSAGE, RSA, 1, { signature: { c: "relaxed/relaxed" } });
  assert.equal((await verify(relaxed)).result, "pass");
  await fails(relaxed.replace("c=relaxed/relaxed; ", ""), /the signature does not fit/);
});

Deno.test("SHA-1 and short keys are worth nothing, strict or not", async () => {
  const old = seal(MESSAGE, RSA, 1, { signature: { a: "rsa-sha1" } });
  const short = { s: "short" };
  for (const strict of [true, false]) {
    assert.match((await verify(old, strict)).reason ?? "", /message signature 1: it is made with SHA-1/);
    const result = await verify(seal(MESSAGE, SHORT, 1, { signature: short, seal: short }), strict);
    assert.match(result.reason ?? "", /message signature 1: the key has only 512 bits/);
    // Those that only the seal is made with.
    const sealed = await verify(seal(MESSAGE, RSA, 1, { sealKey: SHORT, seal: short }), strict);
    assert.equal(sealed.reason, "seal 1: the key has only 512 bits");
    const oldSeal = await verify(seal(MESSAGE, RSA, 1, { seal: { a: "rsa-sha1" } }), strict);
    assert.equal(oldSeal.reason, "seal 1: it is made with SHA-1");
  }
});

Deno.test("an expired message signature, and one with l= where strict, fail", async () => {
  await fails(seal(MESSAGE, RSA, 1, { signature: { x: "1000" } }), /^message signature 1: it has expired/);
  const part = seal(MESSAGE, RSA, 1, { signature: { l: "3" } });
  await fails(part, /only a part of the body/);
  assert.equal((await verify(part, false)).result, "pass");
});

Deno.test("trouble with DNS makes the chain fail, and is told apart", async () => {
  const slow = { s: "slow" };
  const signature = await verify(seal(MESSAGE, RSA, 1, { signature: slow }));
  assert.deepEqual([signature.result, signature.temporary], ["fail", true]);
  const sealed = await verify(seal(MESSAGE, RSA, 1, { seal: slow }));
  assert.deepEqual([sealed.result, sealed.temporary, sealed.reason], [
    "fail",
    true,
    "seal 1: the key could not be looked up: timeout",
  ]);
  const missing = await verify(seal(MESSAGE, RSA, 1, { seal: { s: "missing" } }));
  assert.deepEqual([missing.result, missing.temporary], ["fail", false]);
});

Deno.test("whoever has no key costs two lookups at most, however long the chain", async () => {
  let message = MESSAGE;
  for (let i = 1; i <= 50; i++) message = seal(message, RSA, i, { signature: { s: `a${i}` }, seal: { s: `b${i}` } });
  const context = checkContext({});
  const { arc } = await verifySignatures(received(message), { dkim: false, arc: true, strict: true }, context);
  assert.equal(arc?.result, "fail");
  assert.ok(context.zone.asked.length <= 2);
});

Deno.test("DKIM and ARC of one message are verified together", async () => {
  const message = seal(sign(MESSAGE, RSA), RSA, 1, { signature: { h: "from:dkim-signature" } });
  const { dkim, arc } = await verifySignatures(
    received(message),
    { dkim: true, arc: true, strict: true },
    checkContext(ZONE),
  );
  assert.equal(dkim?.[0]?.result, "pass");
  assert.equal(arc?.result, "pass");
});

Deno.test("what is not asked for is not done", async () => {
  const context = checkContext(ZONE);
  const checks = { dkim: false, arc: false, strict: true };
  assert.deepEqual(await verifySignatures(received(seal(sign(MESSAGE, RSA), RSA, 1)), checks, context), {});
  assert.deepEqual(context.zone.asked, []);
});
