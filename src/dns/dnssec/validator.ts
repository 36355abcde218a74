/**
 * Follows signatures from an anchor to an answer (RFC 4035 §5). The servers asked are ordinary recursive ones; nothing
 * they say is believed for itself.
 */

import type { Anchor } from "./anchor.ts";
import { type Denial, denialOf, wildcardProof } from "./denial.ts";
import { isDigestOf, isSupported, type KeyDigest, readDigest, readKey, type ZoneKey } from "./key.ts";
import { isWithin, labelsOf, lastLabels, nameFromText, readName, wildcardOf } from "./name.ts";
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
  /** What is trusted; another list whenever that changes. */
  readonly anchors: () => readonly Anchor[];
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
  const { ask, now } = options;
  const cuts = new Map<string, Kept<Cut>>();
  let anchors = options.anchors();
  /** Forgets what was found out by keys that are not trusted any more. */
  const refresh = () => {
    const current = options.anchors();
    if (current === anchors) return;
    anchors = current;
    cuts.clear();
  };
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

  const anchorOf = (name: string): Anchor | undefined =>
    anchors.filter(({ zone }) => isWithin(name, zone))
      .sort((a, b) => labelsOf(b.zone).length - labelsOf(a.zone).length)[0];

  /** The zone that a name is in, from the closest anchor down. */
  const zoneOf = async (name: string, effort: Effort): Promise<Zone> => {
    const anchor = anchorOf(name);
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

  /**
   * The zone of `name`, as told by a signature of `set`: only a zone above the name can have signed it. Without such a
   * signature it is looked for from above.
   */
  const signerOf = async (set: RecordSet | undefined, name: string, effort: Effort): Promise<Zone> => {
    const anchor = anchorOf(name)?.zone;
    const signer = set?.signatures.find((one) =>
      isWithin(name, one.signer) && anchor !== undefined && isWithin(one.signer, anchor)
    )?.signer;
    const zone = await zoneOf(signer ?? name, effort);
    if (zone.kind === "secure" && signer !== undefined && zone.name !== signer) {
      throw new BogusError(`records of ${show(name)} are signed by ${show(signer)}, where no zone begins`);
    }
    return zone;
  };

  /** What one set of the chain from question to answer is worth. */
  const judge = async (set: RecordSet, sections: Sections, effort: Effort): Promise<Validation> => {
    const zone = await signerOf(set, set.name, effort);
    if (zone.kind !== "secure") return { security: zone.kind, ttl: LONGEST_TTL };
    const { wildcardLabels, ttl } = check(set, zone.name, zone.keys, effort);
    if (wildcardLabels !== undefined) {
      const { proofs } = proofsIn(sections.authorities, zone, effort);
      const proof = wildcardProof(set.name, wildcardLabels, proofs, zone.name);
      if (proof === undefined) throw new BogusError(`nothing proves that a wildcard stands for ${show(set.name)}`);
      if (proof === "unsigned") return { security: "insecure", ttl };
    }
    return { security: "secure", ttl };
  };

  /** What it is worth that there are no such records. */
  const judgeDenial = async (name: string, type: number, sections: Sections, effort: Effort): Promise<Validation> => {
    const proof = sections.authorities.find((set) =>
      (set.type === TYPE.NSEC || set.type === TYPE.NSEC3) && set.signatures.some(({ signer }) => isWithin(name, signer))
    );
    const zone = await signerOf(proof, name, effort);
    if (zone.kind !== "secure") return { security: zone.kind, ttl: LONGEST_TTL };
    const { proofs, ttl } = proofsIn(sections.authorities, zone, effort);
    const denial = denialOf(name, type, proofs, zone.name);
    if (denial === undefined) throw new BogusError(`nothing proves that ${show(name)} has no such records`);
    if (denial.kind === "unsigned") return { security: "insecure", ttl };
    return { security: "secure", ttl, exists: denial.kind === "no-data" };
  };

  return {
    async validate({ name, type }, response) {
      refresh();
      const effort: Effort = { left: MOST_CHECKS };
      const sections = read(response);
      // Lookups know names as plain text; what only looks like one of those must not pass for it.
      if (sections.answers.some((set) => set.name.includes("\\"))) throw new BogusError("an answer has an odd name");
      const asked = nameFromText(name);
      const { sets, last } = chainFrom(asked, type, sections.answers);
      const worth: Validation[] = [];
      for (const set of sets) worth.push(await judge(set, sections, effort));
      // A chain that the server did not follow to its end is asked for anew from there, and judged then.
      const broken = last !== asked && sections.authorities.length === 0 && responseCode(response) === 0;
      if (setOf(sections.answers, last, type) === undefined && !broken) {
        worth.push(await judgeDenial(last, type, sections, effort));
      }
      const exists = worth.at(-1)?.exists;
      return {
        security: worth.find(({ security }) => security !== "secure")?.security ?? "secure",
        ttl: Math.min(LONGEST_TTL, ...worth.map(({ ttl }) => ttl)),
        ...(exists === undefined ? {} : { exists }),
      };
    },
  };
}

/** The sets that lead from a question to its answer: aliases, and the records if they are there; others do not count. */
function chainFrom(
  asked: string,
  type: number,
  answers: readonly RecordSet[],
): { readonly sets: readonly RecordSet[]; readonly last: string } {
  const sets = new Set<RecordSet>();
  const seen = new Set<string>();
  let name = asked;
  while (type !== TYPE.CNAME && !seen.has(name)) {
    seen.add(name);
    const alias = setOf(answers, name, TYPE.CNAME);
    const [target, ...more] = alias?.data ?? [];
    if (alias === undefined || target === undefined) break;
    if (more.length > 0) throw new BogusError(`${show(name)} is an alias of several names`);
    // What a DNAME makes of a name is not signed, the DNAME is (RFC 6672 §5.3.1).
    sets.add(answers.find((set) => set.type === TYPE.DNAME && makes(set, name, target)) ?? alias);
    name = readName(target, 0).name;
  }
  const records = setOf(answers, name, type);
  if (records !== undefined) {
    const target = type === TYPE.CNAME && records.data.length === 1 ? records.data[0] : undefined;
    const made = target && answers.find((set) => set.type === TYPE.DNAME && makes(set, name, target));
    sets.add(made ?? records);
  }
  return { sets: [...sets], last: name };
}

/** The CNAME at a name, or the DNAME above it. */
function aliasAt(answers: readonly RecordSet[], name: string): { readonly set: RecordSet } | undefined {
  const above = answers.find((set) => set.type === TYPE.DNAME && name !== set.name && isWithin(name, set.name));
  const set = above ?? setOf(answers, name, TYPE.CNAME);
  return set === undefined ? undefined : { set };
}

/** Whether a DNAME makes `target` of `name` (RFC 6672 §2.2). */
function makes({ name: owner, data: [data] }: RecordSet, name: string, target: Uint8Array): boolean {
  if (data === undefined || name === owner || !isWithin(name, owner)) return false;
  const replacement = readName(data, 0).name;
  const prefix = owner === "" ? name : name.slice(0, -owner.length - 1);
  return readName(target, 0).name === (replacement === "" ? prefix : `${prefix}.${replacement}`);
}

function responseCode(response: Uint8Array): number {
  return (response[3] ?? 0) & 0x0f;
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
