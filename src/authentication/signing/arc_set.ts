/** Makes ARC sets (RFC 8617 §5.1). */

import { foldField } from "../../message/mod.ts";
import { instanceOfResults } from "../arc/chain.ts";
import { parseTagList } from "../dkim/tag_list.ts";
import type { ArcVerdict } from "../types.ts";
import type { PreparedSignature, SigningInput } from "./dkim_signature.ts";
import { type FieldsByName, signedHeader, signedOctets } from "./signed_header.ts";
import { type Tag, unsignedField } from "./tag_field.ts";

/** Sets of one chain (RFC 8617 §4.2.1). */
const MOST_SETS = 50;

const NAMES = ["arc-authentication-results", "arc-message-signature", "arc-seal"] as const;

const decoder = new TextDecoder();

/** What is known about a message that is to be sealed. */
export interface SealInput extends SigningInput {
  /** Status of the chain that the message came with. */
  readonly chain: ArcVerdict;
  /** The value of Authentication-Results, beginning with who found them; ASCII, folds have a blank behind them. */
  readonly results: string;
}

/** The next ARC set, or why there must be none (RFC 8617 §5.1). */
export type ArcSet =
  | {
    readonly kind: "sealed";
    readonly instance: number;
    /** ARC-Seal, ARC-Message-Signature and ARC-Authentication-Results, in this order, with their line ends. */
    readonly fields: readonly [Uint8Array, Uint8Array, Uint8Array];
  }
  /** The chain has as many sets as there may be, or was sealed as failed already. */
  | { readonly kind: "too-long" | "ended" };

/** Makes the ARC set that comes next. Rejects if the key cannot sign. */
export async function arcSet({ config, signBytes }: PreparedSignature, input: SealInput): Promise<ArcSet> {
  const sets = setsOf(input.fields);
  const last = Math.max(0, ...sets.keys());
  const instance = last + 1;
  if (instance > MOST_SETS) return { kind: "too-long" };
  // RFC 8617 §5.1: nothing is added to a chain that says of itself that it is broken.
  const chain = chainStatus(input.chain, last);
  if (chain === "fail" && tagOf(sets.get(last)?.[2], "cv") === "fail") {
    return { kind: "ended" };
  }
  const { algorithm, domain, selector, canonicalization } = config;
  const seconds = String(Math.floor(input.now / 1000));
  const i: Tag = ["i", String(instance)];
  const results = foldField("ARC-Authentication-Results", `i=${instance}; ${input.results}`);

  const header = signedHeader(input.fields, signedNames(config.headers));
  const message = unsignedField("ARC-Message-Signature", [
    i,
    ["a", algorithm],
    ["c", `${canonicalization.header}/${canonicalization.body}`],
    ["d", domain],
    ["s", selector],
    ["t", seconds],
    ["h", header.names],
    ["bh", input.body.hash],
  ]);
  const messageField = message.withSignature(
    await signBytes(signedOctets(canonicalization.header, header.fields, message.bytes)),
  );

  const seal = unsignedField("ARC-Seal", [
    i,
    ["a", algorithm],
    ["t", seconds],
    ["cv", chain],
    ["d", domain],
    ["s", selector],
  ]);
  // RFC 8617 §5.1.2: a seal of a chain that failed covers its own set alone.
  const before = chain === "fail" ? [] : [...sets].sort(([a], [b]) => a - b).flatMap(([, set]) => set);
  const sealField = seal.withSignature(
    await signBytes(signedOctets("relaxed", [...defined(before), results, messageField], seal.bytes)),
  );
  return { kind: "sealed", instance, fields: [sealField, messageField, results] };
}

/** `none` is for the first set and for no other (RFC 8617 §5.2). */
function chainStatus(found: ArcVerdict, last: number): ArcVerdict {
  if (found === "fail") return "fail";
  if (last === 0) return "none";
  return found === "pass" ? "pass" : "fail";
}

// RFC 8617 §4.1.2: a message signature should cover DKIM signatures, and never what belongs to ARC; what is said of
// authentication is likely to be taken out by the next one.
function signedNames(names: readonly string[]): readonly string[] {
  const own = names.filter((name) => !/^(?:arc-.*|authentication-results|dkim-signature)$/i.test(name));
  return [...own, "DKIM-Signature"];
}

type Set = [results: Uint8Array | undefined, signature: Uint8Array | undefined, seal: Uint8Array | undefined];

/** The sets of a message by their numbers. Of a number that stands twice the last field counts: the chain has failed. */
function setsOf(fields: FieldsByName): Map<number, Set> {
  const sets = new Map<number, Set>();
  NAMES.forEach((name, place) => {
    for (const field of fields.get(name) ?? []) {
      const value = valueOf(field);
      const instance = place === 0 ? instanceOfResults(value) : instanceOfTags(value);
      if (instance === 0) continue;
      const set: Set = sets.get(instance) ?? [undefined, undefined, undefined];
      set[place] = field;
      sets.set(instance, set);
    }
  });
  return sets;
}

/** Also of a field that is malformed: the next set must not take its number. */
function instanceOfTags(value: string): number {
  const [, digits] = /(?:^|;)\s*i\s*=\s*([0-9]{1,4})\s*(?:;|$)/.exec(value) ?? [];
  return Number(digits ?? 0);
}

function tagOf(field: Uint8Array | undefined, name: string): string | undefined {
  const list = field === undefined ? undefined : parseTagList(valueOf(field));
  return list?.kind === "tags" ? list.tags.get(name)?.toLowerCase() : undefined;
}

function valueOf(field: Uint8Array): string {
  return decoder.decode(field.subarray(field.indexOf(0x3a) + 1)).replace(/\r?\n$/, "");
}

function defined<T>(items: readonly (T | undefined)[]): T[] {
  return items.filter((item) => item !== undefined);
}
