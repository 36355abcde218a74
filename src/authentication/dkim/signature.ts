/** Signature fields as their signers wrote them (RFC 6376 §3.5): DKIM-Signature, and what ARC shares with it. */

import { domainToAscii } from "../../smtp/mod.ts";
import type { Canonicalization } from "./canonical_body.ts";
import type { SignatureHash } from "./digest.ts";
import { colonList, decodeBase64, parseTagList, withoutBlanks } from "./tag_list.ts";

/** What every signature says, over a message or over a chain of seals. */
export interface SignatureBase {
  /** `a=` in lower case. */
  readonly algorithm: string;
  readonly keyType: "rsa" | "ed25519";
  readonly hash: SignatureHash;
  /** `d=` in lower case as A-labels. */
  readonly domain: string;
  /** `s=` likewise. */
  readonly selector: string;
  /** `b=`, decoded. */
  readonly signature: Uint8Array;
  /** `b=` without white space. */
  readonly encodedSignature: string;
}

/** A signature over a message: some of its fields, and its body. */
export interface MessageSignature extends SignatureBase {
  readonly headerCanonicalization: Canonicalization;
  readonly bodyCanonicalization: Canonicalization;
  /** `bh=`, decoded. */
  readonly bodyHash: Uint8Array;
  /** `l=`: octets of the canonical body that count; `undefined` for all. */
  readonly bodyLength: number | undefined;
  /** `h=` in lower case. */
  readonly signedFields: readonly string[];
  /** `x=` in seconds since the epoch. */
  readonly expires: number | undefined;
}

/** What DKIM-Signature says beyond that. */
export interface DkimSignature extends MessageSignature {
  /** `i=` as written, or its default. */
  readonly auid: string;
  /** The domain of `i=` in lower case as A-labels. */
  readonly auidDomain: string;
  /** `r=y` (RFC 6651 §3.1). */
  readonly reportRequested: boolean;
}

/** A signature that cannot be verified: `neutral` if it cannot be read, `permerror` if it can never be right. */
export interface BadSignature {
  readonly kind: "bad";
  readonly result: "neutral" | "permerror";
  readonly reason: string;
  /** What could be read all the same. */
  readonly signature?: SignatureBase;
}

/** A signature that was read. */
export interface ReadSignature<T> {
  readonly kind: "signature";
  readonly signature: T;
}

type Tags = ReadonlyMap<string, string>;

const ALGORITHMS: Readonly<Record<string, Pick<SignatureBase, "keyType" | "hash">>> = {
  "rsa-sha256": { keyType: "rsa", hash: "sha256" },
  "rsa-sha1": { keyType: "rsa", hash: "sha1" },
  "ed25519-sha256": { keyType: "ed25519", hash: "sha256" },
};

const NUMBER = /^[0-9]{1,12}$/;

// RFC 6376 §3.5: l= has at most 76 digits; what no message can reach means all of it.
const LENGTH = /^[0-9]{1,76}$/;

/** Reads the value of a DKIM-Signature field. */
export function readDkimSignature(value: string): ReadSignature<DkimSignature> | BadSignature {
  const list = parseTagList(value);
  if (list.kind === "malformed") return neutral(`the signature is malformed: ${list.reason}`);
  const { tags } = list;
  if (tags.get("v") !== "1") return neutral("the signature is not of version 1");
  const base = readSignatureBase(tags);
  if (base.kind === "bad") return base;
  const whose = { signature: base.signature };
  const message = readMessageTags(tags, base.signature);
  if (message.kind === "bad") return { ...message, ...whose };
  const { domain, signedFields } = message.signature;
  const identity = tags.get("i");
  const auid = identity ?? `@${domain}`;
  const auidDomain = identity === undefined ? domain : asciiDomain(auid.slice(auid.lastIndexOf("@") + 1));
  if (!auid.includes("@") || auidDomain === undefined) {
    return { ...neutral("the tag i= is not an identity"), ...whose };
  }
  // RFC 6376 §6.1.1.
  if (auidDomain !== domain && !auidDomain.endsWith(`.${domain}`)) {
    return { ...permanent("the domain of i= is not d= or under it"), ...whose };
  }
  if (!signedFields.includes("from")) {
    return { ...permanent("the From field is not signed"), ...whose };
  }
  return { kind: "signature", signature: dkimSignature(message.signature, auid, auidDomain, tags.get("r") === "y") };
}

// Field by field: an engine is slow at objects spread into each other, and one of these is made for each signature.
function dkimSignature(
  message: MessageSignature,
  auid: string,
  auidDomain: string,
  reportRequested: boolean,
): DkimSignature {
  return {
    algorithm: message.algorithm,
    keyType: message.keyType,
    hash: message.hash,
    domain: message.domain,
    selector: message.selector,
    signature: message.signature,
    encodedSignature: message.encodedSignature,
    headerCanonicalization: message.headerCanonicalization,
    bodyCanonicalization: message.bodyCanonicalization,
    bodyHash: message.bodyHash,
    bodyLength: message.bodyLength,
    signedFields: message.signedFields,
    expires: message.expires,
    auid,
    auidDomain,
    reportRequested,
  };
}

/** Reads `a=`, `b=`, `d=` and `s=`. */
export function readSignatureBase(tags: Tags): ReadSignature<SignatureBase> | BadSignature {
  for (const name of ["a", "b", "d", "s"]) if (!tags.has(name)) return neutral(`the tag ${name}= is missing`);
  const algorithm = tags.get("a") ?? "";
  const kind = Object.hasOwn(ALGORITHMS, algorithm) ? ALGORITHMS[algorithm] : undefined;
  if (kind === undefined) return neutral("the algorithm of a= is unknown");
  const domain = asciiDomain(tags.get("d") ?? "");
  if (domain === undefined) return neutral("the tag d= is not a domain");
  const selector = asciiDomain(tags.get("s") ?? "");
  if (selector === undefined) return neutral("the tag s= is not a selector");
  const encodedSignature = withoutBlanks(tags.get("b") ?? "");
  const signature = decodeBase64(encodedSignature);
  if (signature === undefined) return neutral("the tag b= is not Base64");
  return {
    kind: "signature",
    signature: { algorithm, keyType: kind.keyType, hash: kind.hash, domain, selector, signature, encodedSignature },
  };
}

/** Reads the tags of a signature over a message beside those of `base`: `bh=`, `c=`, `h=`, `l=`, `q=`, `t=`, `x=`. */
export function readMessageTags(tags: Tags, base: SignatureBase): ReadSignature<MessageSignature> | BadSignature {
  for (const name of ["bh", "h"]) if (!tags.has(name)) return neutral(`the tag ${name}= is missing`);
  const bodyHash = decodeBase64(tags.get("bh") ?? "");
  if (bodyHash === undefined) return neutral("the tag bh= is not Base64");
  const [header = "", body = "simple", ...rest] = (tags.get("c") ?? "simple/simple").split("/");
  if (!isCanonicalization(header) || !isCanonicalization(body) || rest.length > 0) {
    return neutral("the canonicalization of c= is unknown");
  }
  const query = tags.get("q");
  if (query !== undefined && !colonList(query).includes("dns/txt")) return neutral("q= names no known query method");
  const length = tags.get("l");
  if (length !== undefined && !LENGTH.test(length)) return neutral("the tag l= is not a length");
  const times = readTimes(tags);
  if (times.kind === "bad") return times;
  return {
    kind: "signature",
    signature: {
      algorithm: base.algorithm,
      keyType: base.keyType,
      hash: base.hash,
      domain: base.domain,
      selector: base.selector,
      signature: base.signature,
      encodedSignature: base.encodedSignature,
      headerCanonicalization: header,
      bodyCanonicalization: body,
      bodyHash,
      bodyLength: length === undefined ? undefined : Math.min(Number(length), Number.MAX_SAFE_INTEGER),
      signedFields: colonList(tags.get("h") ?? "").map((name) => name.toLowerCase()),
      expires: times.signature,
    },
  };
}

/** Reads `t=` and gives `x=`. */
export function readTimes(tags: Tags): ReadSignature<number | undefined> | BadSignature {
  const made = tags.get("t");
  const expires = tags.get("x");
  if (made !== undefined && !NUMBER.test(made)) return neutral("the tag t= is not a time");
  if (expires !== undefined && !NUMBER.test(expires)) return neutral("the tag x= is not a time");
  // RFC 6376 §3.5.
  if (made !== undefined && expires !== undefined && Number(expires) <= Number(made)) {
    return neutral("the signature expires before it was made");
  }
  return { kind: "signature", signature: expires === undefined ? undefined : Number(expires) };
}

function isCanonicalization(word: string): word is Canonicalization {
  return word === "simple" || word === "relaxed";
}

// RFC 8616 §4: in internationalized messages the names may be U-labels.
function asciiDomain(text: string): string | undefined {
  const domain = domainToAscii(text);
  // Address literals pass as they are.
  return domain?.startsWith("[") ? undefined : domain;
}

function neutral(reason: string): BadSignature {
  return { kind: "bad", result: "neutral", reason };
}

function permanent(reason: string): BadSignature {
  return { kind: "bad", result: "permerror", reason };
}
