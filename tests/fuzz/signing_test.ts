/** Properties of signing, and of the form that messages are signed in, that hold for every input. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import fc from "fast-check";
import { createSigner, verifySignatures } from "../../src/authentication/mod.ts";
import type { SignatureConfig } from "../../src/config/config.ts";
import {
  allParts,
  type Content,
  decodeTransfer,
  firstField,
  memoryContent,
  type MimePart,
  parseHeader,
  parseMime,
  planSevenBit,
  writeSevenBit,
} from "../../src/message/mod.ts";
import { runs } from "../support/fuzz_runs.ts";
import { publicKeyText, signingKey } from "../support/signing_keys.ts";
import { createZone } from "../support/zone.ts";

/** Pieces that messages are made of, sensible or not. */
const soup = fc.array(
  fc.oneof(
    fc.constantFrom(
      "\r\n",
      "\r\n\r\n",
      "\r",
      "\n",
      "\0",
      "--b\r\n",
      "--b--\r\n",
      "--c\r\n",
      "--c--\r\n",
      "\r\n--b\r\n",
      "Content-Type: text/plain\r\n",
      "Content-Type: image/png\r\n",
      "Content-Type: message/rfc822\r\n",
      "Content-Type: multipart/mixed; boundary=b\r\n",
      'Content-Type: multipart/mixed;\r\n boundary="c"\r\n',
      "Content-Type: multipart/digest; boundary=b\r\n",
      "Content-Type: multipart/signed; boundary=c\r\n",
      "Content-Transfer-Encoding: 8bit\r\n",
      "Content-Transfer-Encoding: base64\r\n",
      "Content-Transfer-Encoding: binary\r\n",
      "From: a@example.org\r\n",
      "Subject: x\r\n y\r\n",
      " ",
      "\t",
      ".",
      "From ",
      "=",
      "x".repeat(600),
    ),
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.constantFrom("ü", "text", "\xff"),
  ),
  { maxLength: 30 },
).map((parts) => new Uint8Array(Buffer.from(parts.join(""), "latin1")));

/** Content cut into chunks of these sizes, again and again. */
function inChunks(bytes: Uint8Array, sizes: readonly number[]): Content {
  const chunks: Uint8Array[] = [];
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return { size: bytes.length, head: chunks[0] ?? bytes, complete: false, chunks: () => chunks };
}

async function rewrite(content: Content, binary: boolean): Promise<Uint8Array | undefined> {
  const plan = await planSevenBit(content, { binary });
  if (plan === undefined) return undefined;
  const parts: Uint8Array[] = [];
  await writeSevenBit(content, plan, (bytes) => void parts.push(bytes.slice()));
  return new Uint8Array(Buffer.concat(parts));
}

Deno.test("a message is rewritten in the same way however it is cut into chunks, and only once", async () => {
  await fc.assert(
    fc.asyncProperty(
      soup,
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (bytes, sizes, binary) => {
        const whole = await rewrite(memoryContent(bytes), binary);
        assert.deepEqual(await rewrite(inChunks(bytes, sizes), binary), whole);
        if (whole !== undefined) assert.equal(await rewrite(memoryContent(whole), binary), undefined);
      },
    ),
    { numRuns: runs(1500) },
  );
});

/** A tree of parts that is well-formed. */
const tree = fc.letrec<{ part: string; leaf: string; multipart: string; message: string }>((tie) => ({
  part: fc.oneof({ maxDepth: 3 }, tie("leaf"), tie("multipart"), tie("message")),
  leaf: fc.tuple(
    fc.constantFrom("", "Content-Type: text/plain\r\n", "Content-Type: image/png\r\n"),
    fc.constantFrom("", "Content-Transfer-Encoding: 8bit\r\n", "X-Other: 1\r\n"),
    fc.array(fc.constantFrom("text", "\xfc", " ", "\t", "=", "\r\n", "\r\n\r\n", ".", "y".repeat(1100), "-")),
  ).map(([type, encoding, body]) => `${type}${encoding}\r\n${body.join("")}`),
  multipart: fc.tuple(fc.nat(), fc.array(tie("part"), { minLength: 1, maxLength: 3 })).map(([seed, parts]) => {
    const boundary = `b${seed}.${parts.join("").length}`;
    return `Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n` +
      `${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join("")}--${boundary}--\r\n`;
  }),
  message: tie("part").map((part) => `Content-Type: message/rfc822\r\n\r\nSubject: in\r\n${part}`),
})).part.map((part) => new Uint8Array(Buffer.from(`MIME-Version: 1.0\r\n${part}`, "latin1")));

/** Type and decoded content of each leaf, read by the parser that filters use. */
function leaves(bytes: Uint8Array): string[] {
  const isLeaf = ({ contentType: { value } }: MimePart) =>
    !value.startsWith("multipart/") && value !== "message/rfc822";
  return [...allParts(parseMime(bytes, { parts: 1000, depth: 50 }).root)].filter(isLeaf).map((part) => {
    const encoding = firstField(part.header, "content-transfer-encoding")?.value().toLowerCase() ?? "7bit";
    const content = decodeTransfer(part.bytes.subarray(part.contentStart, part.end), encoding);
    return `${part.contentType.value} ${Buffer.from(content).toString("latin1")}`;
  });
}

Deno.test("what is rewritten passes everywhere, and every part decodes to what it was", async () => {
  await fc.assert(
    fc.asyncProperty(tree, async (bytes) => {
      const result = await rewrite(memoryContent(bytes), false);
      if (result === undefined) return;
      const text = Buffer.from(result).toString("latin1");
      assert.match(text, /^[\t\r\n -~]*$/);
      for (const line of text.split("\r\n")) assert.ok(line.length <= 998);
      assert.deepEqual(leaves(result), leaves(bytes));
    }),
    { numRuns: runs(1500) },
  );
});

const rsa = signingKey("rsa-sha256", "r");
const ed = signingKey("ed25519-sha256", "e");
const KINDS = ["simple", "relaxed"] as const;
const signatures = new Map<string, SignatureConfig>();
for (const key of [rsa, ed]) {
  for (const header of KINDS) {
    for (const body of KINDS) {
      const id = `${key.selector} ${header}/${body}`;
      signatures.set(id, {
        id,
        privateKey: createPrivateKey(key.pem),
        domain: "example.org",
        selector: key.selector,
        algorithm: key.algorithm,
        headers: ["From", "Subject", "Content-Type"],
        canonicalization: { header, body },
        expire: undefined,
        thirdParty: undefined,
        auid: undefined,
        setBodyLength: false,
        report: false,
      });
    }
  }
}
const signer = createSigner(signatures, { threads: 2, now: () => 1_000_000, emit: () => {} });
const resolver = createZone({
  "r._domainkey.example.org": { txt: [publicKeyText(rsa)] },
  "e._domainkey.example.org": { txt: [publicKeyText(ed)] },
});

Deno.test("whatever is signed verifies, and its chain too when it is sealed", async () => {
  const rsaIds = [...signatures.keys()].filter((id) => id.startsWith("r"));
  await fc.assert(
    fc.asyncProperty(soup, fc.subarray([...signatures.keys()]), async (bytes, ids) => {
      const message = new Uint8Array(Buffer.concat([Buffer.from("From: a@example.org\r\n"), bytes]));
      const fields = await signer.sign({
        content: memoryContent(message),
        signatures: ids,
        seal: { signature: rsaIds[ids.length % rsaIds.length] ?? "", chain: "none", results: "mx.example.org; none" },
        about: {},
      });
      const content = memoryContent(new Uint8Array(Buffer.concat([fields, message])));
      const { dkim = [], arc } = await verifySignatures(
        { content, header: parseHeader(content.head) },
        { dkim: true, arc: true, strict: true },
        { resolver, now: () => 1_000_000, random: () => 0.5 },
      );
      assert.deepEqual(
        dkim.filter(({ result }) => result !== "none").map(({ result, reason }) => [result, reason]),
        ids.map(() => ["pass", undefined]),
      );
      assert.deepEqual([arc?.result, arc?.reason], ["pass", undefined]);
    }),
    { numRuns: runs(150) },
  );
});
