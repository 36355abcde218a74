/** Hashes of a body for all signatures that are to be made. */

import { Buffer } from "node:buffer";
import type { Content } from "../../message/content.ts";
import { hashBody } from "../dkim/body_hash.ts";
import { type Canonicalization, canonicalizeBody } from "../dkim/canonical_body.ts";

/** Which hash of a body is wanted. */
export interface BodyHashKind {
  readonly canonicalization: Canonicalization;
  readonly hash: "sha256" | "sha1";
  /** Whether the length is wanted too, which costs another pass. */
  readonly counted: boolean;
}

/** A hash of a body. */
export interface BodyHash {
  /** In Base64. */
  readonly hash: string;
  /** Octets of the canonical body; 0 where it was not to be counted. */
  readonly length: number;
}

/**
 * Hashes the body of a message, reading it once for all kinds. Equal kinds share the work.
 *
 * @param bodyOffset where the body begins in the head
 * @returns one hash for each of `kinds`, in their order
 * @throws what reading the content throws
 */
export async function bodyHashes(
  content: Content,
  bodyOffset: number,
  kinds: readonly BodyHashKind[],
): Promise<readonly BodyHash[]> {
  const forms: BodyHashKind[] = [];
  const places = kinds.map((kind) => {
    const known = forms.findIndex((form) =>
      form.canonicalization === kind.canonicalization && form.hash === kind.hash && form.counted === kind.counted
    );
    return known >= 0 ? known : forms.push(kind) - 1;
  });
  const digests = await hashBody(content, bodyOffset, forms.map((form) => ({ ...form, length: undefined })));
  const hashes: BodyHash[] = [];
  for (const [place, { canonicalization, counted }] of forms.entries()) {
    const length = counted ? await countBody(content, bodyOffset, canonicalization) : 0;
    hashes.push({ hash: Buffer.from(digests[place] ?? []).toString("base64"), length });
  }
  return places.map((place) => hashes[place] ?? { hash: "", length: 0 });
}

async function countBody(content: Content, bodyOffset: number, kind: Canonicalization): Promise<number> {
  let length = 0;
  const body = canonicalizeBody(kind, (bytes) => length += bytes.length);
  let skip = bodyOffset;
  for await (const chunk of content.chunks()) {
    body.push(chunk.subarray(Math.min(skip, chunk.length)));
    skip -= Math.min(skip, chunk.length);
  }
  body.finish();
  return length;
}
