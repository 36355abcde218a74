/** The ARC sets of a message, put in order (RFC 8617 §4.2, §5.2 steps 1 to 3). */

import type { HeaderField } from "../../message/mod.ts";
import type { FieldsByName } from "../dkim/signed_header.ts";
import {
  type MessageSignature,
  readMessageTags,
  readSignatureBase,
  readTimes,
  type SignatureBase,
} from "../dkim/signature.ts";
import { parseTagList } from "../dkim/tag_list.ts";

/** RFC 8617 §4.2.1. */
const MOST_INSTANCES = 50;

/** One set: the three fields that one handler added. */
export interface ArcSet {
  readonly instance: number;
  readonly results: HeaderField;
  readonly messageSignature: HeaderField;
  readonly seal: HeaderField;
  /** `cv=` of the seal. */
  readonly chainStatus: string;
  /** The seal's signature. */
  readonly sealSignature: SignatureBase;
}

/** A chain without gaps. `sets` is in the order of instances, from 1. */
export interface ArcChainOfSets {
  readonly kind: "chain";
  readonly sets: readonly ArcSet[];
  readonly last: ArcSet;
}

/** The chain as it stands in the header. */
export type ArcChain =
  | { readonly kind: "none" }
  | ArcChainOfSets
  | { readonly kind: "broken"; readonly instance: number; readonly last?: SignatureBase; readonly reason: string };

/** The names of the fields of a set in lower case, in the order in which a seal covers them (§5.1.1). */
const RESULTS = "arc-authentication-results";
const MESSAGE_SIGNATURE = "arc-message-signature";
const SEAL = "arc-seal";

// §4.1.1: i= comes first, and a semicolon ends it. Comments may stand around.
const INSTANCE_OF_RESULTS = /^(?:\s|\([^()]*\))*i\s*=\s*([0-9]{1,2})(?:\s|\([^()]*\))*;/;
const INSTANCE = /^[0-9]{1,2}$/;

type Tags = ReadonlyMap<string, string>;

interface Instanced {
  readonly field: HeaderField;
  readonly instance: number;
  readonly tags: Tags;
}

const NO_TAGS: Tags = new Map();

/** Collects the sets of a message and checks that they form a chain. No signature is verified here. */
export function readChain(fields: FieldsByName): ArcChain {
  const results = fields.get(RESULTS) ?? [];
  const signatures = fields.get(MESSAGE_SIGNATURE) ?? [];
  const seals = fields.get(SEAL) ?? [];
  if (results.length === 0 && signatures.length === 0 && seals.length === 0) return { kind: "none" };
  if (Math.max(results.length, signatures.length, seals.length) > MOST_INSTANCES) {
    return { kind: "broken", instance: 0, reason: `there are more than ${MOST_INSTANCES} sets` };
  }
  const read = {
    results: byInstance(results, (value) => ({ instance: instanceOfResults(value), tags: NO_TAGS })),
    signatures: byInstance(signatures, instanceOfTags),
    seals: byInstance(seals, instanceOfTags),
  };
  const highest = Math.max(0, ...Object.values(read).flatMap((found) => [...found.keys()]));
  const lastSeal = highest === 0 ? undefined : read.seals.get(highest)?.[0];
  const last = lastSeal === undefined ? undefined : readSignatureBase(lastSeal.tags);
  const broken = (reason: string): ArcChain => ({
    kind: "broken",
    instance: highest,
    reason,
    ...(last?.kind === "signature" ? { last: last.signature } : {}),
  });
  if (lastSeal?.tags.get("cv") === "fail") return broken(`the chain was broken before set ${highest}`);
  for (
    const [name, found] of Object.entries({
      [RESULTS]: read.results,
      [MESSAGE_SIGNATURE]: read.signatures,
      [SEAL]: read.seals,
    })
  ) {
    if (found.has(0)) return broken(`a field ${name} has no valid instance number`);
  }
  const sets: ArcSet[] = [];
  for (let instance = 1; instance <= highest; instance++) {
    const set = readSet(instance, read);
    if (typeof set === "string") return broken(set);
    sets.push(set);
  }
  const lastSet = sets.at(-1);
  return lastSet === undefined ? broken("there is no set") : { kind: "chain", sets, last: lastSet };
}

type ByInstance = ReadonlyMap<number, readonly Instanced[]>;

function readSet(
  instance: number,
  read: { readonly results: ByInstance; readonly signatures: ByInstance; readonly seals: ByInstance },
): ArcSet | string {
  const [results, ...moreResults] = read.results.get(instance) ?? [];
  const [signature, ...moreSignatures] = read.signatures.get(instance) ?? [];
  const [seal, ...moreSeals] = read.seals.get(instance) ?? [];
  if (results === undefined || signature === undefined || seal === undefined) {
    return `set ${instance} is not complete`;
  }
  if (moreResults.length + moreSignatures.length + moreSeals.length > 0) return `set ${instance} has a field twice`;
  const chainStatus = seal.tags.get("cv") ?? "";
  // §5.2 step 3: the first seal saw no chain, all others one that passed.
  if (chainStatus !== (instance === 1 ? "none" : "pass")) return `seal ${instance} has a wrong chain status`;
  // §4.1.3.
  if (seal.tags.has("h")) return `seal ${instance} lists signed fields`;
  const base = readSignatureBase(seal.tags);
  if (base.kind === "bad") return `seal ${instance}: ${base.reason}`;
  const times = readTimes(seal.tags);
  if (times.kind === "bad") return `seal ${instance}: ${times.reason}`;
  return {
    instance,
    results: results.field,
    messageSignature: signature.field,
    seal: seal.field,
    chainStatus,
    sealSignature: base.signature,
  };
}

/**
 * Reads an ARC-Message-Signature (§4.1.2). Without `c=` there are two readings: `simple`, as RFC 6376 has it, and
 * `relaxed`, which is what sealers and the public test suite mean. A text says what is wrong with the field.
 */
export function readMessageSignature(field: HeaderField): readonly MessageSignature[] | string {
  const list = parseTagList(field.value());
  if (list.kind === "malformed") return list.reason;
  const base = readSignatureBase(list.tags);
  if (base.kind === "bad") return base.reason;
  const message = readMessageTags(list.tags, base.signature);
  if (message.kind === "bad") return message.reason;
  // §4.1.2: a seal comes after the signature and cannot be under it.
  if (message.signature.signedFields.includes(SEAL)) return "it covers a seal";
  const { signature } = message;
  if (list.tags.has("c")) return [signature];
  return [signature, { ...signature, headerCanonicalization: "relaxed", bodyCanonicalization: "relaxed" }];
}

/** Fields by instance; those without a valid one stand under 0. */
function byInstance(
  fields: readonly HeaderField[],
  read: (value: string) => { readonly instance: number; readonly tags: Tags },
): ByInstance {
  const found = new Map<number, Instanced[]>();
  for (const field of fields) {
    const { instance, tags } = read(field.value());
    const valid = instance >= 1 && instance <= MOST_INSTANCES ? instance : 0;
    const same = found.get(valid);
    if (same === undefined) found.set(valid, [{ field, instance: valid, tags }]);
    else same.push({ field, instance: valid, tags });
  }
  return found;
}

/** The instance of an ARC-Authentication-Results field (§4.1.1); 0 if it has none. */
export function instanceOfResults(value: string): number {
  return Number(INSTANCE_OF_RESULTS.exec(value)?.[1] ?? "0");
}

function instanceOfTags(value: string): { readonly instance: number; readonly tags: Tags } {
  const list = parseTagList(value);
  if (list.kind === "malformed") return { instance: 0, tags: NO_TAGS };
  const instance = list.tags.get("i") ?? "";
  return { instance: INSTANCE.test(instance) ? Number(instance) : 0, tags: list.tags };
}
