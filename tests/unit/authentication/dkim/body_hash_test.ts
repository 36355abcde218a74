import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type BodyHashForm, createBodyHasher, hashBody } from "../../../../src/authentication/dkim/body_hash.ts";
import type { Content } from "../../../../src/message/content.ts";

const RELAXED: BodyHashForm = { canonicalization: "relaxed", hash: "sha256", length: undefined };
const SIMPLE: BodyHashForm = { canonicalization: "simple", hash: "sha256", length: undefined };

const base64 = (digest: Uint8Array | undefined) =>
  digest === undefined ? undefined : Buffer.from(digest).toString("base64");
const sha256 = (text: string) => createHash("sha256").update(text, "latin1").digest("base64");

Deno.test("the digests of an empty body are those of RFC 6376 §3.4.3 and §3.4.4", () => {
  const forms: readonly BodyHashForm[] = [
    { ...SIMPLE, hash: "sha1" },
    SIMPLE,
    { ...RELAXED, hash: "sha1" },
    RELAXED,
  ];
  assert.deepEqual(createBodyHasher(forms).finish().map(base64), [
    "uoq1oCgLlTqpdDX/iUbLy7J1Wic=",
    "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
    "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  ]);
});

Deno.test("several forms come from one pass, each cut at its length", () => {
  const hasher = createBodyHasher([RELAXED, { ...RELAXED, length: 3 }, { ...SIMPLE, length: 0 }, SIMPLE, {
    ...RELAXED,
    length: 7,
  }, { ...RELAXED, length: 8 }]);
  for (const piece of ["a ", " b\r", "\nc\r\n\r\n"]) hasher.push(Buffer.from(piece));
  assert.deepEqual(hasher.finish().map(base64), [
    sha256("a b\r\nc\r\n"),
    sha256("a b"),
    sha256(""),
    sha256("a  b\r\nc\r\n"),
    sha256("a b\r\nc\r"),
    sha256("a b\r\nc\r\n"),
  ]);
});

Deno.test("a body that is shorter than the length has no digest", () => {
  const hasher = createBodyHasher([{ ...RELAXED, length: 4 }, { ...RELAXED, length: 3 }]);
  hasher.push(Buffer.from("a"));
  assert.deepEqual(hasher.finish().map(base64), [undefined, sha256("a\r\n")]);
});

Deno.test("content that is spilled is read chunk by chunk, and the header is left out wherever chunks end", async () => {
  const whole = "From: a@example.org\r\n\r\n" + "line of text\r\n".repeat(1000);
  const bytes = Buffer.from(whole);
  for (const size of [1, 7, 22, 23, 24, 1000]) {
    let held = 0;
    const content: Content = {
      size: bytes.length,
      head: bytes.subarray(0, 30),
      complete: false,
      async *chunks() {
        for (let at = 0; at < bytes.length; at += size) {
          // A chunk's memory is given back when the next one is asked for.
          const chunk = new Uint8Array(bytes.subarray(at, at + size));
          held = Math.max(held, chunk.length);
          yield await Promise.resolve(chunk);
          chunk.fill(0);
        }
      },
    };
    const digests = await hashBody(content, 23, [RELAXED, SIMPLE]);
    assert.deepEqual(digests.map(base64), [sha256(whole.slice(23)), sha256(whole.slice(23))]);
    assert.ok(held <= size);
  }
});
