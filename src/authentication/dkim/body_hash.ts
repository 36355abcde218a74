/** Hashes of a body in the forms that signatures ask for (RFC 6376 §3.7), all in one pass. */

import { createHash, type Hash } from "node:crypto";
import type { Content } from "../../message/content.ts";
import { type BodyCanonicalizer, type Canonicalization, canonicalizeBody, canonicalLength } from "./canonical_body.ts";
import { digest, type SignatureHash } from "./digest.ts";

/** One hash of a body. */
export interface BodyHashForm {
  readonly canonicalization: Canonicalization;
  readonly hash: SignatureHash;
  /** Octets of the canonical form that count; `undefined` for all. */
  readonly length: number | undefined;
}

/** Hashes a body that comes in pieces. */
export interface BodyHasher {
  push(bytes: Uint8Array): void;
  /** The digests in the order of the forms; `undefined` where the body is shorter than `length`. */
  finish(): readonly (Uint8Array | undefined)[];
}

/** Makes a hasher. Forms that are equal should be given once: each costs a pass over the body. */
export function createBodyHasher(forms: readonly BodyHashForm[]): BodyHasher {
  const digests = forms.map(({ hash, length = Infinity }) => ({ hash: createHash(hash), left: length, length }));
  const canonicalizers: BodyCanonicalizer[] = [];
  for (const kind of ["simple", "relaxed"] as const) {
    const fed = digests.filter((_, index) => forms[index]?.canonicalization === kind);
    if (fed.length === 0) continue;
    canonicalizers.push(canonicalizeBody(kind, (bytes) => {
      for (const digest of fed) feed(digest, bytes);
    }));
  }
  return {
    push(bytes) {
      for (const canonicalizer of canonicalizers) canonicalizer.push(bytes);
    },
    finish() {
      for (const canonicalizer of canonicalizers) canonicalizer.finish();
      return digests.map(({ hash, left, length }) => length !== Infinity && left > 0 ? undefined : hash.digest());
    },
  };
}

function feed(digest: { readonly hash: Hash; left: number }, bytes: Uint8Array): void {
  if (digest.left <= 0) return;
  digest.hash.update(bytes.length <= digest.left ? bytes : bytes.subarray(0, digest.left));
  digest.left -= bytes.length;
}

/** Hashes the body of a message, which starts at `bodyOffset`, reading it chunk by chunk. */
export async function hashBody(
  content: Content,
  bodyOffset: number,
  forms: readonly BodyHashForm[],
): Promise<readonly (Uint8Array | undefined)[]> {
  if (content.complete) return hashWhole(content.head.subarray(bodyOffset), forms);
  const hasher = createBodyHasher(forms);
  let before = bodyOffset;
  for await (const chunk of content.chunks()) {
    if (before < chunk.length) hasher.push(before === 0 ? chunk : chunk.subarray(before));
    before = Math.max(0, before - chunk.length);
  }
  return hasher.finish();
}

/** Hashes a body that is in memory; most need no copy in another form. */
function hashWhole(body: Uint8Array, forms: readonly BodyHashForm[]): readonly (Uint8Array | undefined)[] {
  const digests: (Uint8Array | undefined)[] = [];
  for (const { canonicalization, hash, length } of forms) {
    const whole = canonicalLength(canonicalization, body);
    if (whole < 0) {
      const hasher = createBodyHasher(forms);
      hasher.push(body);
      return hasher.finish();
    }
    const wanted = length ?? whole;
    digests.push(wanted > whole ? undefined : digest(hash, body.subarray(0, wanted)));
  }
  return digests;
}
