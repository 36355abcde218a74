/**
 * What verifying costs, in microseconds of processor time for a message: DKIM by kind of key, an ARC chain of three
 * sets, DMARC, all of them, and the same by mailauth. DNS answers from memory. The exit status is 1 if all of ours take
 * half as long as mailauth's DKIM alone, or longer.
 *
 * ```sh
 * deno run -A tests/bench/verification_bench.ts [--messages 5000] [--size 4096]
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import { parseArgs } from "node:util";
import { authenticate } from "mailauth";
import { dkimVerify } from "mailauth/lib/dkim/verify.js";
import { evaluateDmarc, verifySignatures } from "../../src/authentication/mod.ts";
import { memoryContent, parseHeader } from "../../src/message/mod.ts";
import { composeMessage } from "../../scripts/mail/dialogue.ts";
import { ed25519Key, rsaKey, seal, sign } from "../support/signed_message.ts";
import { createZone } from "../support/zone.ts";

const { values } = parseArgs({
  options: { messages: { type: "string", default: "5000" }, size: { type: "string", default: "4096" } },
});
const count = Number(values.messages);

const RSA = rsaKey(2048);
const ED25519 = ed25519Key();
const TEXTS: Readonly<Record<string, string>> = {
  "mail._domainkey.example.org": RSA.record,
  "ed._domainkey.example.org": ED25519.record,
  "_dmarc.example.org": "v=DMARC1; p=reject",
};

// Without the dot that ends DATA.
const composed = composeMessage(Number(values.size)).subarray(0, -3);
const plain = Buffer.from(composed).toString("latin1").replace(/^From: .*$/m, "From: Ana <ana@example.org>");
const names = "from:to:subject:date:message-id:mime-version:content-type:from:subject";
const byRsa = Buffer.from(sign(plain, RSA, { h: names }), "latin1");
const byEd25519 = Buffer.from(sign(plain, ED25519, { h: names, s: "ed" }), "latin1");
const chain = Buffer.from(seal(seal(seal(plain, RSA, 1), RSA, 2), RSA, 3), "latin1");

const context = {
  resolver: createZone(Object.fromEntries(Object.entries(TEXTS).map(([name, text]) => [name, { txt: [text] }]))),
  now: Date.now,
  random: Math.random,
};

async function ours(bytes: Uint8Array, checks: { dkim: boolean; arc: boolean }, dmarc = false): Promise<string> {
  const header = parseHeader(bytes);
  const results = await verifySignatures(
    { content: memoryContent(bytes), header },
    { ...checks, strict: true },
    context,
  );
  const verdict = dmarc ? (await evaluateDmarc(header, results, context)).result : "";
  return [results.dkim?.[0]?.result, results.arc?.result, verdict].join(" ").trim();
}

function resolver(name: string, type: string): Promise<string[][]> {
  const text = type === "TXT" ? TEXTS[name] : undefined;
  if (text !== undefined) return Promise.resolve([[text]]);
  return Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }));
}

/** Microseconds of processor time: the least of five rounds, since others use the machine too. */
async function measure(name: string, work: () => Promise<unknown>): Promise<number> {
  const round = Math.ceil(count / 5);
  let best = Infinity;
  for (let i = 0; i < 6; i++) {
    const before = process.cpuUsage();
    for (let done = 0; done < round; done++) await work();
    const { user, system } = process.cpuUsage(before);
    // The first is for the compiler.
    if (i > 0) best = Math.min(best, (user + system) / round);
  }
  console.log(
    `${name.padEnd(34)} ${best.toFixed(0).padStart(5)} µs  ${(1e6 / best).toFixed(0).padStart(6)} per second`,
  );
  return best;
}

async function expect(verdict: Promise<string>, expected: string): Promise<void> {
  if (await verdict !== expected) throw new Error(`got ${await verdict} instead of ${expected}`);
}

const dkim = { dkim: true, arc: false };
await expect(ours(byRsa, { dkim: true, arc: true }, true), "pass none pass");
await expect(ours(byEd25519, dkim, true), "pass  pass");
await expect(ours(chain, { dkim: false, arc: true }), "pass");
await measure("DKIM, RSA-2048", () => ours(byRsa, dkim));
await measure("DKIM, Ed25519", () => ours(byEd25519, dkim));
await measure("ARC, three sets of RSA-2048", () => ours(chain, { dkim: false, arc: true }));
const all = await measure("DKIM, ARC (none) and DMARC", () => ours(byRsa, { dkim: true, arc: true }, true));
const theirs = await measure("mailauth, DKIM", () => dkimVerify(byRsa, { resolver }));
const client = { ip: "192.0.2.1", helo: "mail.example.org", sender: "ana@example.org", mta: "mx.example.net" };
await measure("mailauth, all checks", () => authenticate(byRsa, { ...client, resolver }));
Deno.exit(all * 2 >= theirs ? 1 : 0);
