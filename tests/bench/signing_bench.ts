/**
 * What signing costs: messages signed per second by kind of key, how long the network loop is kept waiting meanwhile, and
 * how fast large bodies are hashed. The exit status is 1 below the targets: several thousand Ed25519 or several hundred
 * RSA-2048 signatures a second per processor.
 *
 * ```sh
 * deno run -A tests/bench/signing_bench.ts [--seconds 3] [--concurrency 20] [--size 4096]
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { createPrivateKey } from "node:crypto";
import { createSigner } from "../../src/authentication/mod.ts";
import type { SignatureConfig } from "../../src/config/config.ts";
import { type Content, memoryContent, planSevenBit, writeSevenBit } from "../../src/message/mod.ts";
import { composeMessage } from "../../scripts/mail/dialogue.ts";
import { usage } from "../../scripts/bench/processes.ts";
import { signingKey } from "../support/signing_keys.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    concurrency: { type: "string", default: "20" },
    size: { type: "string", default: "4096" },
  },
});
const seconds = Number(values.seconds);
const concurrency = Number(values.concurrency);

/** Signatures a second and processor. */
const TARGETS: Readonly<Record<string, number>> = { "ed25519": 3000, "rsa-2048": 300 };

function signature(id: string, algorithm: "rsa-sha256" | "ed25519-sha256"): [string, SignatureConfig] {
  return [id, {
    id,
    algorithm,
    privateKey: createPrivateKey(signingKey(algorithm, id).pem),
    domain: "example.org",
    selector: id,
    headers: ["From", "To", "Date", "Subject", "Message-ID", "MIME-Version", "Content-Type"],
    canonicalization: { header: "relaxed", body: "relaxed" },
    expire: undefined,
    thirdParty: undefined,
    auid: undefined,
    setBodyLength: false,
    report: false,
  }];
}

const signer = createSigner(new Map([signature("ed", "ed25519-sha256"), signature("rsa", "rsa-sha256")]), {
  threads: navigator.hardwareConcurrency,
  now: Date.now,
  emit: () => {},
});

interface Run {
  readonly rate: number;
  /** Signatures for each second of processor time. */
  readonly perProcessor: number;
  /** Longest time the loop was not free, in milliseconds. */
  readonly lag: number;
}

async function measure(signatures: readonly string[], content: Content): Promise<Run> {
  let count = 0;
  let lag = 0;
  let last = performance.now();
  const probe = setInterval(() => {
    const now = performance.now();
    lag = Math.max(lag, now - last - 1);
    last = now;
  }, 1);
  const before = usage(Deno.pid).cpuSeconds;
  const start = performance.now();
  const work = async () => {
    while (performance.now() - start < seconds * 1000) {
      await signer.sign({ content, signatures, about: {} });
      count++;
      // As between two messages: others get their turn.
      if (count % 10 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const elapsed = (performance.now() - start) / 1000;
  clearInterval(probe);
  return { rate: count / elapsed, perProcessor: count / (usage(Deno.pid).cpuSeconds - before), lag };
}

// Without the dot that ends DATA.
const message = memoryContent(composeMessage(Number(values.size)).subarray(0, -3));
let missed = false;
for (const [name, signatures] of [["ed25519", ["ed"]], ["rsa-2048", ["rsa"]], ["both", ["rsa", "ed"]]] as const) {
  await measure(signatures, message);
  const { rate, perProcessor, lag } = await measure(signatures, message);
  const target = TARGETS[name];
  if (target !== undefined && perProcessor < target) missed = true;
  console.log(
    `${name.padEnd(9)} ${rate.toFixed(0).padStart(6)} messages/s, ${perProcessor.toFixed(0)} per second of processor ` +
      `time${target === undefined ? "" : ` (target ${target})`}; the loop was kept for ${lag.toFixed(0)} ms at most`,
  );
}

const large = 50 * 1024 * 1024;
const line = new TextEncoder().encode(`${"A line of text that is as long as lines are. ".repeat(2).trimEnd()}\r\n`);
const chunk = new Uint8Array(Math.floor(512 * 1024 / line.length) * line.length);
for (let at = 0; at < chunk.length; at += line.length) chunk.set(line, at);
const head = new TextEncoder().encode("From: ana@example.org\r\n\r\n");
const content: Content = {
  size: large,
  head,
  complete: false,
  *chunks() {
    yield head;
    for (let at = head.length; at < large; at += chunk.length) yield chunk;
  },
};
for (
  const [name, work] of [
    ["look for 8 bits in", () => planSevenBit(content, { binary: false })],
    ["sign", () => signer.sign({ content, signatures: ["ed"], about: {} })],
    [
      "rewrite as quoted-printable",
      () =>
        writeSevenBit(
          content,
          { leaves: new Map([[0, { encoding: "quoted-printable", charset: "utf-8" }]]), left: "7bit" },
          () => {},
        ),
    ],
  ] as const
) {
  await work();
  const start = performance.now();
  await work();
  const elapsed = performance.now() - start;
  console.log(`to ${name} 50 MB takes ${elapsed.toFixed(0)} ms (${(50_000 / elapsed).toFixed(0)} MB/s)`);
}
Deno.exit(missed ? 1 : 0);
