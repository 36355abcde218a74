/**
 * Follows signatures from an anchor to an answer (RFC 4035 §5). The servers asked are ordinary recursive ones; nothing
 * they say is believed for itself.
 */

import type { Anchor } from "./anchor.ts";
import { type Denial, denialOf, isWildcardProven } from "./denial.ts";
import { isDigestOf, isSupported, type KeyDigest, readDigest, readKey, type ZoneKey } from "./key.ts";
import { isWithin, labelsOf, lastLabels, nameFromText, parentOf, readName, wildcardOf } from "./name.ts";
import { readSections, type RecordSet, type Sections, setOf, TYPE } from "./record.ts";
import { checkSignatures, type Effort, type Signed } from "./signature.ts";

/** What an answer is worth. */
export interface Validation {
  readonly security: "secure" | "insecure" | "indeterminate";
  /** Seconds after which it has to be asked for again. */
  readonly ttl: number;
  /** Set where it is proven that there are no such records: whether the name exists. */
  readonly exists?: boolean;
}

/** An answer, or a step on the way to it, contradicts what is signed. */
export class BogusError extends Error {
  override readonly name = "BogusError";
}

/** What a validator is made with. */
export interface ValidatorOptions {
  readonly anchors: readonly Anchor[];
  /**
   * Asks for records; gives the response as it came, with its signatures.
   *
   * @throws what the lookup throws
   */
  readonly ask: (name: string, type: "DS" | "DNSKEY") => Promise<Uint8Array>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Judges responses. */
export interface Validator {
  /**
   * Says what a response is worth as an answer to the question.
   *
   * @throws {BogusError} if it contradicts what is signed, or what must be signed is not
   */
  validate(question: { readonly name: string; readonly type: number }, response: Uint8Array): Promise<Validation>;
}

/** What is known of the zone that a name is in. */
type Zone =
  | { readonly kind: "secure"; readonly name: string; readonly keys: readonly ZoneKey[] }
  | { readonly kind: "insecure" }
  | { readonly kind: "indeterminate" };

/** What is known of a name below a zone: another zone begins there, none does, or nothing below exists either. */
type Cut = Zone | { readonly kind: "same" } | { readonly kind: "nothing" };

interface Kept<T> {
  readonly value: Promise<T>;
  /** Milliseconds since the epoch; `Infinity` while it is being found out. */
  until: number;
}

// Cuts that are remembered, and seconds for which they are at most.
const MOST_CUTS = 20_000;
const LONGEST_TTL = 86_400;
// Labels of a name: ip6.arpa has 34. Signatures checked for one answer, all steps together.
const MOST_LABELS = 48;
const MOST_CHECKS = 100;

/** Makes a validator. */
export function createValidator(options: ValidatorOptions): Validator {
  const { anchors, ask, now } = options;
  const cuts = new Map<string, Kept<Cut>>();
  const seconds = () => Math.floor(now() / 1000);

  /** Finds something out once for all who ask at the same time, and keeps it for as long as it is valid. */
  const remember = (key: string, find: () => Promise<{ cut: Cut; ttl: number }>): Promise<Cut> => {
    const known = cuts.get(key);
    if (known !== undefined && now() < known.until) return known.value;
    const finding = find();
    const kept: Kept<Cut> = { value: finding.then(({ cut }) => cut), until: Infinity };
    cuts.delete(key);
    cuts.set(key, kept);
    for (const oldest of cuts.keys()) {
      if (cuts.size <= MOST_CUTS) break;
      cuts.delete(oldest);
    }
    finding.then(
      ({ ttl }) => kept.until = now() + Math.min(ttl, LONGEST_TTL) * 1000,
      // Failures are for the cache of the resolver to remember.
      () => cuts.get(key) === kept && cuts.delete(key),
    );
    return kept.value;
  };

  /** The keys of a zone, found by what its parent or an anchor says of them. */
  const keysOf = async (
    zone: string,
    digests: readonly KeyDigest[],
    known: readonly ZoneKey[],
    effort: Effort,
  ): Promise<{ cut: Cut; ttl: number }> => {
    const sections = read(await ask(zone, "DNSKEY"));
    const set = setOf(sections.answers, zone, TYPE.DNSKEY);
    if (set === undefined) throw new BogusError(`${show(zone)} has DS records and no keys`);
    const keys = set.data.map(readKey).filter((key) => key !== undefined);
    const vouched = keys.filter((key) =>
      digests.some((digest) => isDigestOf(digest, zone, key)) ||
      known.some(({ data }) => data.length === key.data.length && data.every((octet, i) => octet === key.data[i]))
    );
    const signed = check(set, zone, vouched, effort);
    return { cut: { kind: "secure", name: zone, keys }, ttl: signed.ttl };
  };

  const check = (set: RecordSet, zone: string, keys: readonly ZoneKey[], effort: Effort): Signed => {
    const signed = checkSignatures(set, zone, keys, seconds(), effort);
    if (typeof signed === "string") throw new BogusError(`records of ${show(set.name)}: ${signed}`);
    return signed;
  };

  /** The signed proofs of a response that `zone` has signed, and how long they hold. */
  const proofsIn = (sets: readonly RecordSet[], zone: Extract<Zone, { kind: "secure" }>, effort: Effort) => {
    const proofs: RecordSet[] = [];
    let ttl = LONGEST_TTL;
    for (const set of sets) {
      if (set.type !== TYPE.NSEC && set.type !== TYPE.NSEC3) continue;
      const signed = checkSignatures(set, zone.name, zone.keys, seconds(), effort);
      if (typeof signed === "string") continue;
      // Some servers put the name that was asked for in place of the asterisk. The record speaks for the wildcard that
      // was signed, or it would prove anything.
      const labels = signed.wildcardLabels;
      if (labels === undefined) proofs.push(set);
      else if (set.type === TYPE.NSEC) proofs.push({ ...set, name: wildcardOf(lastLabels(set.name, labels)) });
      ttl = Math.min(ttl, signed.ttl);
    }
    return { proofs, ttl };
  };

  /** What begins at `name`, the next label below what is known to be in `zone`. */
  const cutAt = (name: string, zone: Extract<Zone, { kind: "secure" }>, effort: Effort): Promise<Cut> =>
    remember(name, async () => {
      const sections = read(await ask(name, "DS"));
      const set = setOf(sections.answers, name, TYPE.DS);
      if (set !== undefined) {
        const { ttl } = check(set, zone.name, zone.keys, effort);
        const digests = set.data.map(readDigest).filter((digest) => digest !== undefined && isSupported(digest));
        // RFC 4035 §5.2: a zone whose algorithms are all unknown counts as unsigned.
        if (digests.length === 0) return { cut: { kind: "insecure" }, ttl };
        const found = await keysOf(name, digests.filter((digest) => digest !== undefined), [], effort);
        return { cut: found.cut, ttl: Math.min(ttl, found.ttl) };
      }
      // An alias is never where a zone begins.
      const alias = aliasAt(sections.answers, name);
      if (alias !== undefined) {
        const { ttl } = check(alias.set, zone.name, zone.keys, effort);
        return { cut: { kind: alias.set.type === TYPE.DNAME ? "nothing" : "same" }, ttl };
      }
      const { proofs, ttl } = proofsIn(sections.authorities, zone, effort);
      const denial = denialOf(name, TYPE.DS, proofs, zone.name);
      if (denial === undefined) throw new BogusError(`nothing proves that ${show(name)} has no DS records`);
      return { cut: cutOf(denial), ttl };
    });

  /** The zone that a name is in, from the closest anchor down. */
  const zoneOf = async (name: string, effort: Effort): Promise<Zone> => {
    const anchor = anchors.filter(({ zone }) => isWithin(name, zone))
      .sort((a, b) => labelsOf(b.zone).length - labelsOf(a.zone).length)[0];
    if (anchor === undefined) return { kind: "indeterminate" };
    if (labelsOf(name).length > MOST_LABELS) throw new BogusError(`${show(name)} has too many labels`);
    const top = await remember(`anchor ${anchor.zone}`, () => {
      const digests = anchor.digests.filter(isSupported);
      return keysOf(anchor.zone, digests, anchor.keys, effort);
    });
    if (top.kind !== "secure") return { kind: "indeterminate" };
    let zone: Extract<Zone, { kind: "secure" }> = top;
    for (let count = labelsOf(anchor.zone).length + 1; count <= labelsOf(name).length; count++) {
      const cut = await cutAt(lastLabels(name, count), zone, effort);
      if (cut.kind === "nothing") break;
      if (cut.kind === "insecure" || cut.kind === "indeterminate") return cut;
      if (cut.kind === "secure") zone = cut;
    }
    return zone;
  };

  /** The zone whose signature a set carries; where it carries none, the one its name is in. */
  const signerOf = async (set: RecordSet, effort: Effort): Promise<Zone> => {
    const signer = set.signatures.find((signature) => isWithin(set.name, signature.signer))?.signer;
    // The other side of a cut is signed by the zone above.
    const zone = await zoneOf(signer ?? (set.type === TYPE.DS ? parentOf(set.name) : set.name), effort);
    if (zone.kind === "secure" && signer !== undefined && zone.name !== signer) {
      throw new BogusError(`records of ${show(set.name)} are signed by ${show(signer)}, where no zone begins`);
    }
    return zone;
  };

  /** Where nothing was found: the zone whose proofs are there, or the one the name is in. */
  const zoneOfDenial = async (name: string, sections: Sections, effort: Effort): Promise<Zone> => {
    const proof = sections.authorities.find(({ type }) => type === TYPE.NSEC || type === TYPE.NSEC3);
    return proof === undefined ? await zoneOf(name, effort) : await signerOf(proof, effort);
  };

  return {
    async validate(question, response) {
      const effort: Effort = { left: MOST_CHECKS };
      const sections = read(response);
      let worth: Validation["security"] = "secure";
      let ttl = LONGEST_TTL;
      const weaken = (kind: "insecure" | "indeterminate") => {
        if (worth === "secure") worth = kind;
      };
      // Each set of the answer counts, as with the AD bit (RFC 4035 §3.2.3).
      const substitutions = sections.answers.filter(({ type }) => type === TYPE.DNAME);
      for (const set of sections.answers) {
        if (set.type === TYPE.CNAME && isSubstituted(set, substitutions)) continue;
        const zone = await signerOf(set, effort);
        if (zone.kind !== "secure") {
          weaken(zone.kind);
          continue;
        }
        const signed = check(set, zone.name, zone.keys, effort);
        ttl = Math.min(ttl, signed.ttl);
        if (signed.wildcardLabels === undefined) continue;
        const { proofs } = proofsIn(sections.authorities, zone, effort);
        if (!isWildcardProven(set.name, signed.wildcardLabels, proofs, zone.name)) {
          throw new BogusError(`nothing proves that a wildcard stands for ${show(set.name)}`);
        }
      }
      const last = endOfChain(nameFromText(question.name), question.type, sections.answers);
      if (setOf(sections.answers, last, question.type) !== undefined) return { security: worth, ttl };
      // The end of a chain that the server did not follow is asked for anew, and validated then.
      if (last !== nameFromText(question.name) && sections.authorities.length === 0) return { security: worth, ttl };
      const zone = await zoneOfDenial(last, sections, effort);
      if (zone.kind !== "secure") {
        weaken(zone.kind);
        return { security: worth, ttl };
      }
      const found = proofsIn(sections.authorities, zone, effort);
      const denial = denialOf(last, question.type, found.proofs, zone.name);
      if (denial === undefined) throw new BogusError(`nothing proves that ${show(last)} has no such records`);
      if (denial.kind === "unsigned") {
        weaken("insecure");
        return { security: worth, ttl: Math.min(ttl, found.ttl) };
      }
      return { security: worth, ttl: Math.min(ttl, found.ttl), exists: denial.kind === "no-data" };
    },
  };
}

/** Follows aliases through record sets. */
function endOfChain(name: string, type: number, answers: readonly RecordSet[]): string {
  const seen = new Set<string>();
  while (type !== TYPE.CNAME && !seen.has(name)) {
    seen.add(name);
    const alias = setOf(answers, name, TYPE.CNAME)?.data[0];
    if (alias === undefined) return name;
    name = readName(alias, 0).name;
  }
  return name;
}

/** The CNAME at a name, or the DNAME above it. */
function aliasAt(answers: readonly RecordSet[], name: string): { readonly set: RecordSet } | undefined {
  const above = answers.find((set) => set.type === TYPE.DNAME && name !== set.name && isWithin(name, set.name));
  const set = above ?? setOf(answers, name, TYPE.CNAME);
  return set === undefined ? undefined : { set };
}

/** Whether a CNAME is what a DNAME makes of its name (RFC 6672 §5.3.1); such a one is not signed. */
function isSubstituted({ name, data: [target] }: RecordSet, substitutions: readonly RecordSet[]): boolean {
  if (target === undefined) return false;
  return substitutions.some(({ name: owner, data: [data] }) => {
    if (data === undefined || name === owner || !isWithin(name, owner)) return false;
    const replacement = readName(data, 0).name;
    const prefix = owner === "" ? name : name.slice(0, -owner.length - 1);
    return readName(target, 0).name === (replacement === "" ? prefix : `${prefix}.${replacement}`);
  });
}

function cutOf(denial: Denial): Cut {
  switch (denial.kind) {
    case "unsigned":
      return { kind: "insecure" };
    case "no-name":
      return { kind: "nothing" };
    case "no-data":
      return denial.delegation ? { kind: "insecure" } : { kind: "same" };
  }
}

function read(message: Uint8Array): Sections {
  try {
    return readSections(message);
  } catch (error) {
    if (error instanceof RangeError) throw new BogusError(`a response cannot be read: ${error.message}`);
    throw error;
  }
}

const show = (name: string) => name === "" ? "." : name;
