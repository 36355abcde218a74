/** Validating the ARC chain of a message (RFC 8617 §5.2). */

import { createHash } from "node:crypto";
import type { HeaderField } from "../../message/mod.ts";
import type { BodyHashForm } from "../dkim/body_hash.ts";
import { canonicalizeField } from "../dkim/canonical_field.ts";
import { type KeyLookup, lookUpKeys } from "../dkim/key_lookup.ts";
import {
  bodyHashForm,
  provesLittle,
  type SignedMessage,
  type Verification,
  verifyMessageSignature,
  verifyWithKeys,
  withoutKey,
} from "../dkim/message_signature.ts";
import { concatenate, ownField } from "../dkim/signed_header.ts";
import type { MessageSignature, SignatureBase } from "../dkim/signature.ts";
import type { ArcResult, CheckContext } from "../types.ts";
import { type ArcChainOfSets, type ArcSet, readChain, readMessageSignature } from "./chain.ts";

/** Message signatures before the last one that are verified, to tell how far back the message is unchanged. */
const MOST_OLDER = 10;

/** A digest of the body; `undefined` if the body is too short for it, `"unknown"` if it was not computed. */
export type BodyDigest = Uint8Array | undefined | "unknown";

/** A chain whose status is known, or hangs on hashes of the body. */
export type ArcCheck =
  | { readonly kind: "known"; readonly result: ArcResult }
  | {
    readonly kind: "open";
    /** The last message signature's first, then those of older ones. */
    readonly forms: readonly BodyHashForm[];
    /** Decides, given a digest for each form. */
    finish(digests: readonly BodyDigest[]): Promise<ArcResult>;
  };

interface SetToVerify {
  readonly set: ArcSet;
  /** Ways to read its message signature. */
  readonly readings: readonly MessageSignature[];
}

/**
 * Begins with the chain of a message: reads it and asks for the keys of its last set.
 *
 * @param strict message signatures that cover only a part of the body do not count
 */
export function startArc(message: SignedMessage, strict: boolean, context: CheckContext): ArcCheck {
  const chain = readChain(message.fields);
  if (chain.kind === "none") return { kind: "known", result: result("none", 0) };
  if (chain.kind === "broken") {
    return { kind: "known", result: { ...result("fail", chain.instance, chain.last), reason: chain.reason } };
  }
  const { sets, last } = chain;
  const failed = (reason: string | undefined, temporary = false): ArcResult => {
    return {
      ...result("fail", last.instance, last.sealSignature),
      ...(reason === undefined ? {} : { reason }),
      temporary,
    };
  };
  const readings = readMessageSignature(last.messageSignature);
  const refused = typeof readings === "string" ? readings : refuse(readings, strict, context.now());
  if (typeof readings === "string" || refused !== undefined) {
    return { kind: "known", result: failed(`message signature ${last.instance}: ${refused}`) };
  }
  const toVerify = [{ set: last, readings }, ...olderSets(sets, strict, context.now())];
  const keysOf = keyLookups(context);
  for (const reading of readings) keysOf(reading);
  keysOf(last.sealSignature);
  return {
    kind: "open",
    forms: toVerify.flatMap((entry) => entry.readings.map(bodyHashForm)),
    async finish(digests) {
      const outcome = await validate(message, chain, toVerify, keysOf, digests);
      if (outcome.result !== "pass") return failed(outcome.reason, outcome.result === "temperror");
      const { oldest } = outcome;
      return { ...result("pass", last.instance, last.sealSignature), oldestPass: oldest === 1 ? 0 : oldest };
    },
  };
}

type Outcome =
  | { readonly result: "pass"; readonly oldest: number }
  | { readonly result: Exclude<Verification["result"], "pass">; readonly reason: string };

/** Steps 4 to 7, the optional one last: only a chain that holds is looked at further. */
async function validate(
  { bytes, fields }: SignedMessage,
  { sets, last }: ArcChainOfSets,
  toVerify: readonly SetToVerify[],
  keysOf: (signature: SignatureBase) => Promise<KeyLookup>,
  digests: readonly BodyDigest[],
): Promise<Outcome> {
  let used = 0;
  const verifyNext = async ({ set, readings }: SetToVerify): Promise<Verification | undefined> => {
    let first: Verification | undefined;
    for (const signature of readings) {
      const bodyDigest = digests[used++];
      if (bodyDigest === "unknown") continue;
      const keys = await keysOf(signature);
      const field = set.messageSignature;
      const verified = verifyMessageSignature({ bytes, fields }, { field, signature, keys, bodyDigest, strict: true });
      if (verified.result === "pass" || first === undefined) first = verified;
    }
    return first;
  };
  const [newest, ...older] = toVerify;
  const signed = newest === undefined ? undefined : await verifyNext(newest);
  if (signed?.result !== "pass") {
    return { result: signed?.result ?? "fail", reason: `message signature ${last.instance}: ${signed?.reason}` };
  }
  const sealed = sealDigests(bytes, sets);
  for (const [index, set] of [...sets.entries()].reverse()) {
    const verified = verifySeal(set, sealed[index], await keysOf(set.sealSignature));
    if (verified.result !== "pass") {
      return { result: verified.result, reason: `seal ${set.instance}: ${verified.reason}` };
    }
    if (set !== last) continue;
    // Only a sealer who has a key is worth more than two lookups.
    for (const other of sets) keysOf(other.sealSignature);
    for (const other of older) for (const reading of other.readings) keysOf(reading);
  }
  let oldest = last.instance;
  for (const entry of older) {
    if ((await verifyNext(entry))?.result !== "pass") break;
    oldest = entry.set.instance;
  }
  return { result: "pass", oldest };
}

/** Sets before the last one, newest first, as far as their message signatures can count. */
function olderSets(sets: readonly ArcSet[], strict: boolean, now: number): SetToVerify[] {
  const older: SetToVerify[] = [];
  for (const set of sets.slice(0, -1).reverse().slice(0, MOST_OLDER)) {
    const readings = readMessageSignature(set.messageSignature);
    if (typeof readings === "string" || refuse(readings, strict, now) !== undefined) break;
    older.push({ set, readings });
  }
  return older;
}

function refuse([signature]: readonly MessageSignature[], strict: boolean, now: number): string | undefined {
  if (signature === undefined) return "it cannot be read";
  // RFC 8301 §3.1: nothing may rest on SHA-1.
  if (signature.hash === "sha1") return "it is made with SHA-1";
  if (signature.expires !== undefined && now > signature.expires * 1000) return "it has expired";
  return strict ? provesLittle(signature) : undefined;
}

function verifySeal(set: ArcSet, digest: Uint8Array | undefined, keys: KeyLookup): Verification {
  if (digest === undefined || set.sealSignature.hash === "sha1") {
    return { result: "fail", reason: "it is made with SHA-1" };
  }
  if (keys.kind !== "keys") return withoutKey(keys);
  return verifyWithKeys(keys.keys, set.sealSignature, digest, { strict: true });
}

/**
 * Digests that seals sign (§5.1.1), in the order of instances: all sets before, then the seal's own. What several seals
 * cover is hashed once.
 */
function sealDigests(bytes: Uint8Array, sets: readonly ArcSet[]): readonly Uint8Array[] {
  const canonical = ({ start, end }: HeaderField) => canonicalizeField("relaxed", bytes.subarray(start, end));
  const before = createHash("sha256");
  return sets.map(({ results, messageSignature, seal }) => {
    const own = concatenate([canonical(results), canonical(messageSignature)]);
    const unsigned = ownField(bytes, seal, "relaxed");
    const digest = before.copy().update(own).update(unsigned).digest();
    before.update(own).update(canonical(seal));
    return digest;
  });
}

/** Looks every key up once. */
function keyLookups(context: CheckContext): (signature: SignatureBase) => Promise<KeyLookup> {
  const asked = new Map<string, Promise<KeyLookup>>();
  return (signature) => {
    const name = `${signature.selector} ${signature.domain}`;
    const known = asked.get(name);
    if (known !== undefined) return known;
    const lookup = lookUpKeys(context.resolver, signature);
    // Whoever needs the key hears of a failure; nobody may.
    lookup.catch(() => {});
    asked.set(name, lookup);
    return lookup;
  };
}

function result(verdict: ArcResult["result"], instance: number, last?: SignatureBase): ArcResult {
  return {
    method: "arc",
    result: verdict,
    instance,
    domain: last?.domain ?? "",
    selector: last?.selector ?? "",
    oldestPass: 0,
    temporary: false,
  };
}
