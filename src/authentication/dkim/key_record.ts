/** Public keys in DNS (RFC 6376 §3.6, RFC 8463 §4). */

import { Buffer } from "node:buffer";
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { createMemory } from "../memory.ts";
import { readRsaKey, type RsaPublicKey, verifyRsa } from "../../rsa/mod.ts";
import type { SignatureHash } from "./digest.ts";
import { colonList, parseTagList, withoutBlanks } from "./tag_list.ts";

/** A key that can be used, and what its owner says about its use. */
export interface DkimKey {
  readonly kind: "key";
  readonly type: "rsa" | "ed25519";
  /** Bits of the modulus of an RSA key; 256 for Ed25519. */
  readonly bits: number;
  /** Hashes that may be used with it; `undefined` for all (`h=`). */
  readonly hashes: readonly string[] | undefined;
  /** The domain is trying DKIM out (`t=y`). */
  readonly testing: boolean;
  /** `i=` must name the very domain, not one under it (`t=s`). */
  readonly strictDomain: boolean;
  /** Whether `signature` is one of data with this digest. */
  verify(hash: SignatureHash, digest: Uint8Array, signature: Uint8Array): boolean;
}

/** A record that gives no key, and why. */
export interface UnusableKey {
  readonly kind: "unusable";
  readonly fault: "revoked" | "policy" | "syntax";
  readonly reason: string;
}

/** Records whose keys are kept ready, and the longest text among them. */
const KEPT_KEYS = 1000;
const LONGEST_KEPT = 2048;

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

// RFC 8410 §4: SubjectPublicKeyInfo of Ed25519 up to the key itself.
const ED25519_INFO = Buffer.from("302a300506032b6570032100", "hex");

const kept = createMemory<DkimKey>(KEPT_KEYS);

/** Reads a record. Keys are kept by the text of their record: DNS decides how long that is valid, not this memory. */
export function readKeyRecord(text: string): DkimKey | UnusableKey {
  const known = kept.get(text);
  if (known !== undefined) return known;
  const key = parseKeyRecord(text);
  if (key.kind === "key" && text.length <= LONGEST_KEPT) kept.set(text, key);
  return key;
}

function parseKeyRecord(text: string): DkimKey | UnusableKey {
  const list = parseTagList(text);
  if (list.kind === "malformed") return unusable(`the key record is malformed: ${list.reason}`);
  const { tags } = list;
  const version = tags.get("v");
  // RFC 6376 §3.6.1: the version is optional; if it is there, it comes first.
  if (version !== undefined && (version !== "DKIM1" || tags.keys().next().value !== "v")) {
    return unusable("the key record is not of version DKIM1");
  }
  const services = tags.get("s");
  if (services !== undefined && !colonList(services).some((service) => service === "*" || service === "email")) {
    return unusable("the key is not meant for email", "policy");
  }
  const encoded = tags.get("p");
  if (encoded === undefined) return unusable("the key record holds no key");
  const data = withoutBlanks(encoded);
  if (data === "") return unusable("the key is revoked", "revoked");
  if (!BASE64.test(data)) return unusable("the key is not Base64");
  const type = tags.get("k") ?? "rsa";
  const key = publicKey(type, Buffer.from(data, "base64"));
  if (key === undefined) return unusable(`the key cannot be used as a key of type ${type.slice(0, 20)}`);
  const flags = colonList(tags.get("t") ?? "");
  const hashes = tags.get("h");
  return {
    kind: "key",
    ...key,
    hashes: hashes === undefined ? undefined : colonList(hashes),
    testing: flags.includes("y"),
    strictDomain: flags.includes("s"),
  };
}

function publicKey(type: string, data: Buffer): Pick<DkimKey, "type" | "bits" | "verify"> | undefined {
  if (type === "ed25519") {
    // RFC 8463 §4: the 32 octets of the key alone.
    const key = data.length === 32 ? readDer(Buffer.concat([ED25519_INFO, data]), "spki") : undefined;
    if (key === undefined) return undefined;
    return { type, bits: 256, verify: (_hash, digest, signature) => verifyEd25519(key, digest, signature) };
  }
  if (type !== "rsa") return undefined;
  // RFC 6376 §3.6.1 speaks of an RSAPublicKey and shows a SubjectPublicKeyInfo, which nearly everybody uses.
  const key = rsa(readDer(data, "spki")) ?? rsa(readDer(data, "pkcs1"));
  if (key === undefined) return undefined;
  return { type, bits: key.bits, verify: (hash, digest, signature) => verifyRsa(key, hash, digest, signature) };
}

function rsa(key: KeyObject | undefined): RsaPublicKey | undefined {
  if (key?.asymmetricKeyType !== "rsa") return undefined;
  const { n = "", e = "" } = key.export({ format: "jwk" });
  return readRsaKey({ modulus: Buffer.from(n, "base64url"), exponent: Buffer.from(e, "base64url") });
}

function readDer(key: Buffer, type: "spki" | "pkcs1"): KeyObject | undefined {
  try {
    return createPublicKey({ key, format: "der", type });
  } catch {
    return undefined;
  }
}

function verifyEd25519(key: KeyObject, digest: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  try {
    return verify(null, digest, key, signature);
  } catch {
    return false;
  }
}

function unusable(reason: string, fault: UnusableKey["fault"] = "syntax"): UnusableKey {
  return { kind: "unusable", fault, reason };
}
