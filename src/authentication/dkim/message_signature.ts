/** Verifying one signature over a message (RFC 6376 §6.1.3), for DKIM-Signature and ARC-Message-Signature alike. */

import type { HeaderField } from "../../message/mod.ts";
import type { BodyHashForm } from "./body_hash.ts";
import type { KeyLookup } from "./key_lookup.ts";
import type { DkimKey } from "./key_record.ts";
import { type FieldsByName, headerDigest, signedFields } from "./signed_header.ts";
import type { MessageSignature, SignatureBase } from "./signature.ts";
import type { DkimFault } from "../types.ts";

/** Shortest RSA key that proves anything (RFC 8301 §3.2). */
const LEAST_RSA_BITS = 1024;

/** What became of a signature. `key` is the one that decided, if it came that far. */
export interface Verification {
  readonly result: "pass" | "fail" | "policy" | "temperror" | "permerror";
  readonly fault?: DkimFault;
  readonly reason?: string;
  readonly key?: DkimKey;
}

/** The message that signatures are over. */
export interface SignedMessage {
  /** What the offsets of the fields count in. */
  readonly bytes: Uint8Array;
  readonly fields: FieldsByName;
}

/** One signature and everything that was fetched for it. */
export interface FetchedSignature {
  readonly field: HeaderField;
  readonly signature: MessageSignature;
  readonly keys: KeyLookup;
  /** Digest of the body in the signature's form; `undefined` if the body is shorter than `l=`. */
  readonly bodyDigest: Uint8Array | undefined;
  /** Refuses keys that are too short. */
  readonly strict: boolean;
  /** What else a key must allow; a text says why it does not. */
  readonly keyAllows?: (key: DkimKey) => string | undefined;
}

/** Which hash of the body a signature is about. */
export function bodyHashForm({ bodyCanonicalization, hash, bodyLength }: MessageSignature): BodyHashForm {
  return { canonicalization: bodyCanonicalization, hash, length: bodyLength };
}

/** Why a signature counts for little whatever its key (RFC 6376 §8.2, RFC 8301 §3.1), if it does. */
export function provesLittle({ hash, bodyLength }: MessageSignature): string | undefined {
  if (bodyLength !== undefined) return "the signature covers only a part of the body";
  return hash === "sha1" ? "the signature is made with SHA-1" : undefined;
}

/** Holds a signature against its message, in the order of RFC 6376 §6.1: key, body, header. */
export function verifyMessageSignature(message: SignedMessage, fetched: FetchedSignature): Verification {
  const { keys, signature, bodyDigest, field } = fetched;
  if (keys.kind !== "keys") return withoutKey(keys);
  if (bodyDigest === undefined) return failed("body", "the body is shorter than l=", keys.keys[0]);
  if (!equal(bodyDigest, signature.bodyHash)) return failed("body", "the body has changed", keys.keys[0]);
  const chosen = signedFields(message.fields, signature.signedFields, field);
  const digest = headerDigest(message.bytes, chosen, field, signature.headerCanonicalization, signature.hash);
  return verifyWithKeys(keys.keys, signature, digest, fetched);
}

/** What a signature is worth whose key was not found. */
export function withoutKey({ kind, fault, reason }: Exclude<KeyLookup, { kind: "keys" }>): Verification {
  return { result: kind === "temporary" ? "temperror" : "permerror", fault, reason };
}

/** Tries the keys that were found until one fits; the first one speaks for all that do not. */
export function verifyWithKeys(
  keys: readonly DkimKey[],
  signature: SignatureBase,
  digest: Uint8Array,
  { strict, keyAllows }: Pick<FetchedSignature, "strict" | "keyAllows">,
): Verification {
  let first: Verification | undefined;
  for (const key of keys) {
    const refused = refuseKey(key, signature, strict) ?? reasonOf("permerror", "policy", keyAllows?.(key));
    if (refused === undefined && key.verify(signature.hash, digest, signature.signature)) {
      return { result: "pass", key };
    }
    first ??= refused === undefined ? failed("signature", "the signature does not fit", key) : { ...refused, key };
  }
  return first ?? { result: "permerror", fault: "dns", reason: "there is no key for the signature" };
}

function refuseKey(key: DkimKey, { keyType, hash }: SignatureBase, strict: boolean): Verification | undefined {
  if (key.type !== keyType) return reasonOf("permerror", "syntax", "the key is of another type than the signature");
  if (key.hashes?.includes(hash) === false) {
    return reasonOf("permerror", "policy", "the key is not meant for this hash");
  }
  if (strict && key.type === "rsa" && key.bits < LEAST_RSA_BITS) {
    return reasonOf("policy", "policy", `the key has only ${key.bits} bits`);
  }
  return undefined;
}

function reasonOf(
  result: "policy" | "permerror",
  fault: DkimFault,
  reason: string | undefined,
): Verification | undefined {
  return reason === undefined ? undefined : { result, fault, reason };
}

function failed(fault: DkimFault, reason: string, key: DkimKey | undefined): Verification {
  return { result: "fail", fault, reason, ...(key === undefined ? {} : { key }) };
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
