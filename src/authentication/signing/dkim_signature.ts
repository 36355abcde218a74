/** Makes DKIM-Signature fields (RFC 6376 §5, RFC 8463; RFC 6541 and RFC 6651 on request). */

import type { SignatureConfig } from "../../config/config.ts";
import type { BodyHash, BodyHashKind } from "./body_hash.ts";
import type { PrivateKeySigner } from "./private_key.ts";
import { type FieldsByName, signedHeader, signedOctets } from "./signed_header.ts";
import { type Tag, unsignedField } from "./tag_field.ts";

/** A signature that is ready to be made. */
export interface PreparedSignature {
  readonly config: SignatureConfig;
  readonly signBytes: PrivateKeySigner;
}

/** What is signed. */
export interface SigningInput {
  readonly fields: FieldsByName;
  /** The hash of the body in the kind that {@link bodyHashKind} asks for. */
  readonly body: BodyHash;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The hash of the body that a signature needs. */
export function bodyHashKind({ algorithm, canonicalization, setBodyLength }: SignatureConfig): BodyHashKind {
  const hash = algorithm === "rsa-sha1" ? "sha1" : "sha256";
  return { canonicalization: canonicalization.body, hash, counted: setBodyLength };
}

/** A DKIM-Signature field with its line end. Rejects if the key cannot sign. */
export async function dkimSignature(
  { config, signBytes }: PreparedSignature,
  { fields, body, now }: SigningInput,
): Promise<Uint8Array> {
  const { canonicalization, thirdParty } = config;
  const header = signedHeader(fields, config.headers);
  const seconds = Math.floor(now / 1000);
  const tags: Tag[] = [
    ["v", "1"],
    ["a", config.algorithm],
    ["c", `${canonicalization.header}/${canonicalization.body}`],
    ["d", config.domain],
    ["s", config.selector],
    ["t", String(seconds)],
  ];
  if (config.expire !== undefined) tags.push(["x", String(seconds + Math.ceil(config.expire / 1000))]);
  if (config.auid !== undefined) tags.push(["i", quotedPrintable(config.auid)]);
  if (config.setBodyLength) tags.push(["l", String(body.length)]);
  if (config.report) tags.push(["r", "y"]);
  if (thirdParty !== undefined) tags.push(["atps", thirdParty.domain], ["atpsh", thirdParty.hash]);
  tags.push(["h", header.names], ["bh", body.hash]);
  const field = unsignedField("DKIM-Signature", tags);
  return field.withSignature(await signBytes(signedOctets(canonicalization.header, header.fields, field.bytes)));
}

const encoder = new TextEncoder();

// RFC 6376 §2.11: printable ASCII but "=" and ";"; blanks are encoded too.
function quotedPrintable(text: string): string {
  return Array.from(encoder.encode(text), (octet) => {
    const plain = octet > 0x20 && octet < 0x7f && octet !== 0x3b && octet !== 0x3d;
    return plain ? String.fromCharCode(octet) : `=${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}
