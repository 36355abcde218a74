/** Answers of real servers about zones that ldns has signed: what they are worth, and after meddling. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import type { WireRecord } from "../../../../src/dns/dns_packet.d.ts";
import { readResponse } from "../../../../src/dns/wire.ts";
import { runs } from "../../../support/fuzz_runs.ts";
import { CASES, SIGNED } from "./cases.ts";
import { ANCHOR, answerTo, type Asked, changed, DAY, RECORDED, validate, verdict, without } from "./recorded.ts";

for (const { name, type, becomes, exists } of CASES) {
  Deno.test(`${type} of ${name} is ${becomes}${exists === undefined ? "" : exists ? ", no data" : ", no name"}`, async () => {
    assert.equal(await verdict(`${name} ${type}`), becomes);
    if (exists !== undefined) assert.equal((await validate(`${name} ${type}`)).exists, exists);
  });
}

const isA = (...types: readonly string[]) => ({ type }: WireRecord) => types.includes(type);
const signaturesOf = (covered: string) => ({ type, data }: WireRecord) =>
  type === "RRSIG" && (data as { typeCovered: string }).typeCovered === covered;

for (const zone of SIGNED) {
  const tlsa: Asked = `_25._tcp.mx.${zone} TLSA`;

  Deno.test(`${zone}: TLSA records that are changed, added or without signature are bogus`, async () => {
    const forged = (record: WireRecord): WireRecord =>
      record.type === "TLSA"
        ? { ...record, data: { ...record.data as object, certificate: Buffer.alloc(32) } }
        : record;
    const attacks = {
      changed: (message: Uint8Array) => changed(message, ({ answers }) => ({ answers: answers.map(forged) })),
      added: (message: Uint8Array) =>
        changed(message, ({ answers }) => ({
          answers: [...answers, ...answers.filter(isA("TLSA")).map(forged)],
        })),
      unsigned: (message: Uint8Array) => without(message, isA("RRSIG")),
      gone: (message: Uint8Array) => without(message, () => true),
    };
    for (const [what, attack] of Object.entries(attacks)) {
      const meddler = (message: Uint8Array, asked: string) => asked === tlsa ? attack(message) : message;
      assert.equal(await verdict(tlsa, { meddler }), "bogus", what);
    }
  });

  Deno.test(`${zone}: nobody can deny TLSA records with the proof for another name`, async () => {
    for (
      const proof of [`none.${zone} MX`, `_26._tcp.mx.${zone} TLSA`, `mx.${zone} AAAA`, `q.wild.${zone} TLSA`] as const
    ) {
      const meddler = (message: Uint8Array, asked: string) =>
        asked === tlsa
          ? changed(answerTo(proof), () => ({ questions: [{ name: `_25._tcp.mx.${zone}`, type: "TLSA" }] }))
          : message;
      assert.equal(await verdict(tlsa, { meddler }), "bogus", proof);
    }
  });

  Deno.test(`${zone}: a proof of absence without its NSEC or NSEC3 records is bogus`, async () => {
    for (const asked of [`none.${zone} MX`, `mx.${zone} AAAA`, `q.wild.${zone} A`] as const) {
      const meddler = (message: Uint8Array) => without(message, isA("NSEC", "NSEC3"));
      assert.equal(await verdict(asked, { meddler: (m, of) => of === asked ? meddler(m) : m }), "bogus", asked);
      const unsigned = (message: Uint8Array) =>
        without(message, (record) => signaturesOf("NSEC")(record) || signaturesOf("NSEC3")(record));
      assert.equal(await verdict(asked, { meddler: (m, of) => of === asked ? unsigned(m) : m }), "bogus", asked);
    }
  });

  Deno.test(`${zone}: it cannot be made to look unsigned`, async () => {
    const attacks = {
      "no DS": (message: Uint8Array) => without(message, isA("DS", "RRSIG")),
      "the DS denial of an unsigned zone": (message: Uint8Array) =>
        changed(answerTo("plain.example DS"), () => ({ questions: [{ name: zone, type: "DS" }] })) ?? message,
      "nothing": (message: Uint8Array) => without(message, () => true),
    };
    for (const [what, attack] of Object.entries(attacks)) {
      const meddler = (message: Uint8Array, asked: string) => asked === `${zone} DS` ? attack(message) : message;
      assert.equal(await verdict(tlsa, { meddler }), "bogus", what);
      // ... nor if the signatures of the answer are taken away as well.
      const both = (message: Uint8Array, asked: string) =>
        asked === tlsa ? without(message, isA("RRSIG")) : meddler(message, asked);
      assert.equal(await verdict(tlsa, { meddler: both }), "bogus", what);
    }
  });

  Deno.test(`${zone}: keys that the zone above does not know are not believed`, async () => {
    const strangers = SIGNED.filter((other) => other !== zone).map((other) => `${other} DNSKEY`);
    for (const stranger of strangers) {
      const meddler = (message: Uint8Array, asked: string) =>
        asked === `${zone} DNSKEY`
          ? changed(message, ({ answers }) => ({
            answers: [
              ...answers.filter(isA("RRSIG")),
              ...changedNames(answerTo(stranger), zone),
            ],
          }))
          : message;
      assert.equal(await verdict(tlsa, { meddler }), "bogus", stranger);
    }
  });

  Deno.test(`${zone}: signatures count only in their time`, async () => {
    assert.equal(await verdict(tlsa, { now: RECORDED - 3 * DAY }), "bogus");
    assert.equal(await verdict(tlsa, { now: RECORDED + 60 * DAY }), "bogus");
  });

  Deno.test(`${zone}: an answer is kept no longer than its signatures`, async () => {
    const { ttl } = await validate(tlsa);
    assert.equal(ttl, 300);
    // ldns signs for four weeks; the last second is somewhere there.
    let good = RECORDED + 20 * DAY;
    let bad = RECORDED + 40 * DAY;
    while (bad - good > 1000) {
      const middle = Math.floor((good + bad) / 2);
      if (await verdict(tlsa, { now: middle }) === "secure") good = middle;
      else bad = middle;
    }
    assert.equal((await validate(tlsa, { now: good - 60_000 })).ttl <= 62, true);
  });
}

/** The records of a response under another name. */
function changedNames(response: Uint8Array, name: string): WireRecord[] {
  let records: WireRecord[] = [];
  changed(response, ({ answers }) => {
    records = answers.map((record) => ({ ...record, name }));
    return {};
  });
  return records;
}

Deno.test("records that nobody asked for make an answer neither better nor worse", async () => {
  const tlsa = "_25._tcp.mx.p256.example TLSA";
  const meddler = (message: Uint8Array, asked: string) =>
    asked === tlsa
      ? changed(message, ({ answers }) => ({
        answers: [...answers, { name: "mx.plain.example", type: "A", class: "IN", ttl: 300, data: "192.0.2.66" }],
      }))
      : message;
  assert.equal(await verdict(tlsa, { meddler }), "secure");
});

Deno.test("an alias put beside signed records is bogus: lookups would follow it", async () => {
  const tlsa = "_25._tcp.mx.p256.example TLSA";
  const alias = { name: "_25._tcp.mx.p256.example", type: "CNAME", class: "IN", ttl: 300, data: "mx.plain.example" };
  const meddler = (message: Uint8Array, asked: string) =>
    asked === tlsa ? changed(message, ({ answers }) => ({ answers: [alias, ...answers] })) : message;
  assert.equal(await verdict(tlsa, { meddler }), "bogus");
});

Deno.test("the proof of an unsigned zone, or of one elsewhere, says nothing about a signed name", async () => {
  const tlsa = "_25._tcp.mx.p256.example TLSA";
  const question = { questions: [{ name: "_25._tcp.mx.p256.example", type: "TLSA" }] };
  for (
    const proof of ["none.sha1.example A", "none.optout.example A", "none.costly.example A", "none.plain.example A"]
  ) {
    const meddler = (message: Uint8Array, asked: string) =>
      asked === tlsa ? changed(answerTo(proof), () => question) : message;
    assert.equal(await verdict(tlsa, { meddler }), "bogus", proof);
  }
});

Deno.test("no such name, said where the chain of aliases ends, has to be proven", async () => {
  const asked = "near.p256.example A";
  const meddler = (message: Uint8Array, of: string) => {
    if (of !== asked) return message;
    const cut = without(message, (record) => record.name === "mx.p256.example");
    cut[3] = (cut[3] ?? 0) & 0xf0 | 3;
    return cut;
  };
  assert.equal(await verdict(asked, { meddler }), "bogus");
});

Deno.test("without a trusted key above it nothing is secure, and nothing is bogus", async () => {
  assert.equal(await verdict("mx.p256.example A", { anchors: [] }), "indeterminate");
  assert.equal(
    await verdict("mx.p256.example A", { anchors: [ANCHOR.replace("example.", "elsewhere.")] }),
    "indeterminate",
  );
});

Deno.test("a trusted key that the zone does not use makes all below bogus", async () => {
  const wrong = ANCHOR.replace(/([0-9a-f])$/, (digit) => digit === "0" ? "1" : "0");
  assert.notEqual(wrong, ANCHOR);
  assert.equal(await verdict("mx.p256.example A", { anchors: [wrong] }), "bogus");
  // While keys change, the old and the new one are trusted.
  assert.equal(await verdict("mx.p256.example A", { anchors: [wrong, ANCHOR] }), "secure");
});

Deno.test("whatever octets are changed, wrong data is never secure, and signed data never unsigned", async () => {
  const asked = fc.constantFrom<Asked>(
    "_25._tcp.mx.p256.example TLSA",
    "_25._tcp.mx.ed.example TLSA",
    "none.p384.example MX",
    "near.p256.example A",
    "q.wild.ed.example A",
  );
  const place = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(asked, fc.array(place, { minLength: 1, maxLength: 4 }), async (question, places) => {
      const original = answerTo(question);
      const meddled = original.slice();
      // The header, which nothing signs, is not in question.
      for (const { at, to } of places) meddled[12 + at % (meddled.length - 12)] = to;
      const outcome = await verdict(question, { meddler: (message, of) => of === question ? meddled : message });
      // Neither may it look as if it needed no signature.
      assert.ok(["secure", "bogus", "unanswered"].includes(outcome), outcome);
      if (outcome !== "secure") return;
      const genuine = signedData(original, question);
      const names = new Set(genuine.map(([name]) => name));
      for (const [name, data] of signedData(meddled, question)) {
        // What stands under other names is not looked at.
        if (names.has(name)) assert.deepEqual(genuine.filter((one) => one[0] === name).map((one) => one[1]), [data]);
      }
    }),
    { numRuns: runs(400) },
  );
});

/** Names and data of the TLSA and A records that lookups would find in a message. */
function signedData(message: Uint8Array, asked: Asked): (readonly [string, string])[] {
  const [name = "", type = "A"] = asked.split(" ");
  const reading = readResponse(message, (message[0] ?? 0) * 256 + (message[1] ?? 0), { name, type: type as "A" });
  if (reading.kind !== "response") return [];
  return reading.response.answers.filter(isA("TLSA", "A"))
    .map((record) => [record.name.toLowerCase(), JSON.stringify(record.data)] as const);
}
