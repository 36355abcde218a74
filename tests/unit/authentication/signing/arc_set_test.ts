import assert from "node:assert/strict";
import { sign, verify } from "node:crypto";
import { type ArcVerdict, verifySignatures } from "../../../../src/authentication/mod.ts";
import { memoryContent, parseHeader } from "../../../../src/message/mod.ts";
import { NOW, octets, RSA, signature, signerOf, text, zoneOf } from "./signing_keys.ts";

const MESSAGE =
  "From: ana@example.net\r\nTo: bob@example.org\r\nSubject: x\r\nDate: Mon, 05 Jan 2026 12:00:00 +0000\r\n" +
  "\r\nHello\r\n";
const SEALER = signature("r");

async function seal(message: string, chain: ArcVerdict, signatures: readonly string[] = []) {
  const { signer, events } = signerOf(SEALER, signature("d"));
  const fields = await signer.sign({
    content: memoryContent(octets(message)),
    signatures,
    seal: { signature: "r", chain, results: "mx.example.net;\r\n\tdkim=pass header.d=example.org" },
    about: { id: "m1" },
  });
  return { message: text(fields) + message, fields: text(fields), events };
}

/** The fields of a text, with their folds. */
function fieldsOf(message: string): string[] {
  return message.slice(0, message.indexOf("\r\n\r\n") + 2).match(/[^\r].*\r\n(?:[ \t].*\r\n)*/g) ?? [];
}

/** RFC 6376 §3.4.2. */
function relaxed(field: string): string {
  const colon = field.indexOf(":");
  return `${field.slice(0, colon).toLowerCase()}:${field.slice(colon + 1).replaceAll(/\s+/g, " ").trim()}\r\n`;
}

/** The signature in a field, and the field without it. */
function parted(field: string): { value: Uint8Array; bare: string } {
  const at = field.search(/\bb=[A-Za-z0-9+/]/) + 2;
  return { value: octets(atob(field.slice(at).replaceAll(/\s/g, ""))), bare: field.slice(0, at) };
}

/** Octets that RFC 8617 §5.1.1 has sealed: sets in their order, of each results, signature, seal; the last seal bare. */
function sealed(sets: readonly (readonly string[])[]): string {
  const flat = sets.flat().map(relaxed);
  const last = relaxed(parted(sets.at(-1)!.at(-1)!).bare).slice(0, -2);
  return [...flat.slice(0, -1), last].join("");
}

async function chainOf(message: string) {
  const content = memoryContent(octets(message));
  const { arc } = await verifySignatures({ content, header: parseHeader(content.head) }, {
    dkim: false,
    arc: true,
    strict: true,
  }, { resolver: zoneOf(SEALER), now: () => NOW, random: () => 0.5 });
  return [arc?.result, arc?.instance];
}

Deno.test("the first set has no chain before it; its three fields stand in the usual order", async () => {
  const { message, events } = await seal(MESSAGE, "none");
  const [own, signed, results] = fieldsOf(message);
  assert.match(own!, /^ARC-Seal: i=1; a=rsa-sha256; t=1767614400; cv=none; d=example\.net; s=r;\s+b=/);
  assert.match(signed!, /^ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed\/relaxed; d=example\.net;\s+s=r; t=/);
  assert.equal(
    results,
    "ARC-Authentication-Results: i=1; mx.example.net;\r\n\tdkim=pass header.d=example.org\r\n",
  );
  // RFC 8617 §4.1.3: a seal has neither c=, h= nor bh=; §4.1.2: a message signature has no v=.
  assert.doesNotMatch(own!, /\b(?:c|h|bh|v)=/);
  assert.doesNotMatch(signed!, /\bv=/);
  const { value } = parted(own!);
  assert.ok(verify("sha256", octets(sealed([[results!, signed!, own!]])), RSA.publicKey, value));
  assert.deepEqual(await chainOf(message), ["pass", 1]);
  const about = { id: "m1", signature: "r", domain: "example.net", selector: "r" };
  assert.deepEqual(events, [{ name: "arc.sealed", fields: { ...about, instance: 1, chain: "none" } }]);
});

Deno.test("a further set seals all sets before it", async () => {
  const once = await seal(MESSAGE, "none");
  const twice = await seal(once.message, "pass");
  const [own, signed, results, own1, signed1, results1] = fieldsOf(twice.message);
  assert.match(own!, /^ARC-Seal: i=2; [^]*cv=pass;/);
  const octetsOfBoth = sealed([[results1!, signed1!, own1!], [results!, signed!, own!]]);
  assert.ok(verify("sha256", octets(octetsOfBoth), RSA.publicKey, parted(own!).value));
  assert.deepEqual(await chainOf(twice.message), ["pass", 2]);
  assert.deepEqual(await chainOf((await seal(twice.message, "pass")).message), ["pass", 3]);
});

Deno.test("results of another handler are sealed, however they are written", async () => {
  const mark = "ARC-Authentication-Results: i=1;";
  for (const start of ["(a; i=3;) i=1;", "\r\n (a)\r\n\ti = 1 (b) ;"]) {
    const { message } = await seal(MESSAGE, "none");
    const [own, signed, results] = fieldsOf(message);
    const written = results!.replace(mark, `ARC-Authentication-Results: ${start}`);
    const octetsOfOne = sealed([[written, signed!, own!]]);
    const value = sign("sha256", octets(octetsOfOne), RSA.privateKey).toString("base64");
    const once = `${parted(own!).bare}${value}\r\n${signed}${written}${MESSAGE}`;
    assert.deepEqual(await chainOf(once), ["pass", 1]);
    assert.deepEqual(await chainOf((await seal(once, "pass")).message), ["pass", 2], start);
  }
});

Deno.test("the message signature covers DKIM signatures, those just made too, and nothing of ARC", async () => {
  const { fields } = await seal(`DKIM-Signature: v=1; b=x\r\n${MESSAGE}`, "none", ["d"]);
  const [, signed, , dkim] = fieldsOf(`${fields}\r\n`);
  assert.match(dkim!, /^DKIM-Signature: /);
  const names = /h=([^;]*);/.exec(signed!)?.[1]?.replaceAll(/\s/g, "").toLowerCase().split(":");
  assert.equal(names?.filter((name) => name === "dkim-signature").length, 2);
  assert.ok(!names?.some((name) => name.startsWith("arc-") || name === "authentication-results"));
});

Deno.test("of a chain that failed only the new set is sealed, and nothing comes after it", async () => {
  const once = await seal(MESSAGE, "none");
  const failed = await seal(once.message, "fail");
  const [own, signed, results] = fieldsOf(failed.message);
  assert.match(own!, /^ARC-Seal: i=2; [^]*cv=fail;/);
  assert.ok(verify("sha256", octets(sealed([[results!, signed!, own!]])), RSA.publicKey, parted(own!).value));
  assert.deepEqual(await chainOf(failed.message), ["fail", 2]);
  const after = await seal(failed.message, "fail");
  assert.equal(after.fields, "");
  assert.deepEqual(after.events, [{ name: "arc.invalid-cv", fields: { id: "m1", signature: "r" } }]);
});

Deno.test("sets that are there without a verdict, or in no order, count as a chain that failed", async () => {
  const { fields } = await seal(`ARC-Seal: i=7; a=rsa-sha256; b=AA==\r\n${MESSAGE}`, "none");
  assert.match(fields, /^ARC-Seal: i=8; [^]*?cv=fail;/);
  const strange = await seal(`ARC-Seal: nonsense\r\nARC-Message-Signature: i=0; x\r\n${MESSAGE}`, "fail");
  assert.match(strange.fields, /^ARC-Seal: i=1; [^]*?cv=fail;/);
});

Deno.test("after fifty sets there is no further one", async () => {
  const { fields, events } = await seal(`ARC-Seal: a=rsa-sha256; cv=pass; i=50\r\n${MESSAGE}`, "pass");
  assert.equal(fields, "");
  assert.deepEqual(events, [{ name: "arc.chain-too-long", fields: { id: "m1", signature: "r" } }]);
});

Deno.test("a seal that is not configured is an event, and the signatures are made all the same", async () => {
  const { signer, events } = signerOf(signature("d"));
  const fields = await signer.sign({
    content: memoryContent(octets(MESSAGE)),
    signatures: ["d"],
    seal: { signature: "gone", chain: "none", results: "x; none" },
    about: { id: "m1" },
  });
  assert.match(text(fields), /^DKIM-Signature: /);
  assert.deepEqual(events[0], { name: "arc.sealer-not-found", fields: { id: "m1", signature: "gone" } });
});
