/**
 * How trust in the keys of a zone follows their change (RFC 5011): a new key counts once it has been seen for thirty days
 * beside one that counts, a key that takes itself back counts no more. Pure; the numbers of states are those of unbound's
 * files.
 */

import { ALGORITHM_AT, readKey, revocationOf, type ZoneKey } from "./key.ts";
import { readSections, setOf, TYPE } from "./record.ts";
import { checkSignatures, type Effort, type Signed } from "./signature.ts";

/** What a key has come to. `pending` keys count after a while, `missing` ones still do. */
export type KeyState = "pending" | "valid" | "missing" | "revoked" | "removed";

/** A key that is followed. */
export interface FollowedKey {
  /** The data of its DNSKEY record, as it is before it is revoked. */
  readonly data: Uint8Array;
  readonly state: KeyState;
  /** When it came into that state, milliseconds since the epoch. */
  readonly since: number;
}

/** What was seen of a zone's keys. */
export interface SeenKeys {
  /** Data of the keys that are to be trust anchors, those with the SEP bit; `undefined` if none that counts has signed. */
  readonly present: readonly Uint8Array[] | undefined;
  /** Data, without the mark, of the keys that have signed their own revocation. */
  readonly revoked: readonly Uint8Array[];
  /** Seconds: TTL of the set as it was signed, and what is left of its signature. */
  readonly originalTtl: number;
  readonly left: number;
}

const DAY = 86_400_000;
const HOUR = 3_600_000;
/** RFC 5011 §2.4.1 and §4.3: hold-down before a key is added, and before a revoked one is forgotten. */
const HOLD_DOWN = 30 * DAY;
const MOST_CHECKS = 32;
/** Keys of one zone that are followed. */
const MOST_KEYS = 32;

const SEP = 0x0001;

/**
 * Looks at a DNSKEY response.
 *
 * @param isTrusted whether a key counts
 * @param now seconds since the epoch
 * @returns why its keys are not to be believed, in words, or what was seen
 * @throws {RangeError} if it is malformed
 */
export function readSeenKeys(
  response: Uint8Array,
  zone: string,
  isTrusted: (key: ZoneKey) => boolean,
  now: number,
): SeenKeys | string {
  const set = setOf(readSections(response).answers, zone, TYPE.DNSKEY);
  if (set === undefined) return "there are no keys";
  const effort: Effort = { left: MOST_CHECKS };
  const keys = set.data.map(readKey).filter((key) => key !== undefined);
  const signed = checkSignatures(set, zone, keys.filter(isTrusted), now, effort);
  const revoked: Uint8Array[] = [];
  let proof: Signed | string = signed;
  for (const data of set.data) {
    // RFC 5011 §2.1: a key revokes itself by signing the set that shows it revoked; nobody else has to agree.
    const revocation = revocationOf(data);
    const before = revocation && readKey(revocation.before);
    if (revocation === undefined || before === undefined || !isTrusted(before)) continue;
    const byItself = checkSignatures(set, zone, [revocation.key], now, effort);
    if (typeof byItself === "string") continue;
    revoked.push(revocation.before);
    if (typeof proof === "string") proof = byItself;
  }
  if (typeof proof === "string") return proof;
  return {
    present: typeof signed === "string"
      ? undefined
      : keys.filter(({ flags }) => (flags & SEP) !== 0).map(({ data }) => data),
    revoked,
    originalTtl: proof.signature.originalTtl,
    left: (proof.signature.expiration - now) | 0,
  };
}

/** The state of a zone's keys after they were seen (RFC 5011 §4). */
export function afterSeeing(known: readonly FollowedKey[], seen: SeenKeys, now: number): readonly FollowedKey[] {
  const hold = Math.max(HOLD_DOWN, seen.originalTtl * 1000);
  const { present } = seen;
  const isIn = (list: readonly Uint8Array[], data: Uint8Array) => list.some((other) => isSameKey(other, data));
  const next: FollowedKey[] = [];
  const keep = (key: FollowedKey, state: KeyState) =>
    void next.push(state === key.state ? key : { data: key.data, state, since: now });
  for (const key of known) {
    const { state, since } = key;
    if (state === "removed") keep(key, state);
    else if (state === "revoked") keep(key, now - since >= HOLD_DOWN ? "removed" : state);
    else if (isIn(seen.revoked, key.data)) {
      // One that never counted is forgotten.
      if (state !== "pending") keep(key, "revoked");
    } else if (present === undefined) keep(key, state);
    else if (!isIn(present, key.data)) {
      if (state !== "pending") keep(key, "missing");
    } else if (state === "pending") keep(key, now - since >= hold ? "valid" : state);
    else keep(key, "valid");
  }
  for (const data of present ?? []) {
    if (next.length >= MOST_KEYS) break;
    const isKnown = known.some((key) => isSameKey(key.data, data));
    if (!isKnown && !isIn(seen.revoked, data)) next.push({ data, state: "pending", since: now });
  }
  return next;
}

/** Whether a key counts. */
export function isTrustedState(state: KeyState): boolean {
  return state === "valid" || state === "missing";
}

/** Milliseconds until the keys are looked at again (RFC 5011 §2.3). */
export function nextLook({ originalTtl, left }: Pick<SeenKeys, "originalTtl" | "left">): number {
  return Math.max(HOUR, Math.min(15 * DAY, originalTtl * 500, left * 500));
}

/** The same after a look that failed. */
export function nextTry({ originalTtl, left }: Pick<SeenKeys, "originalTtl" | "left">): number {
  return Math.max(HOUR, Math.min(DAY, originalTtl * 100, left * 100));
}

/** Whether two DNSKEY records hold one key, whatever their flags. */
export function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => index < ALGORITHM_AT || octet === b[index]);
}
