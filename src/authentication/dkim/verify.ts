/** Verifying the DKIM signatures of a message (RFC 6376 §6). */

import type { HeaderField } from "../../message/mod.ts";
import type { CheckContext, DkimResult, DkimVerdict } from "../types.ts";
import type { BodyHashForm } from "./body_hash.ts";
import { lookUpKeys } from "./key_lookup.ts";
import type { DkimKey } from "./key_record.ts";
import { bodyHashForm, provesLittle, type SignedMessage, verifyMessageSignature } from "./message_signature.ts";
import { type DkimSignature, readDkimSignature, type SignatureBase } from "./signature.ts";

/** Signatures that are looked at; each may cost a lookup, a pass over the body and a public-key operation. */
const MOST_SIGNATURES = 10;

/** A signature whose fate is known, or hangs on a hash of the body. */
export type DkimCheck =
  | { readonly kind: "known"; readonly result: DkimResult }
  | {
    readonly kind: "open";
    readonly form: BodyHashForm;
    /** Decides, given the digest in that form. */
    finish(bodyDigest: Uint8Array | undefined): Promise<DkimResult>;
  };

/**
 * Begins with the signatures of a message: reads them and asks for their keys. The first ten count, from the top.
 *
 * @param strict signatures that prove little get `policy`
 */
export function startDkim(message: SignedMessage, strict: boolean, context: CheckContext): readonly DkimCheck[] {
  const fields = message.fields.get("dkim-signature");
  if (fields === undefined) return [{ kind: "known", result: NO_SIGNATURE }];
  return fields.slice(0, MOST_SIGNATURES).map((field) => startSignature(message, field, strict, context));
}

const NO_SIGNATURE: DkimResult = {
  method: "dkim",
  result: "none",
  domain: "",
  selector: "",
  algorithm: "",
  auid: "",
  signature: "",
  testing: false,
  reportRequested: false,
};

function startSignature(
  message: SignedMessage,
  field: HeaderField,
  strict: boolean,
  context: CheckContext,
): DkimCheck {
  const read = readDkimSignature(field.value());
  if (read.kind === "bad") {
    const whose = read.signature === undefined ? NO_SIGNATURE : of(read.signature);
    return { kind: "known", result: { ...whose, result: read.result, reason: read.reason } };
  }
  const { signature } = read;
  const known = (result: DkimVerdict, reason: string): DkimCheck => {
    return { kind: "known", result: { ...ofMessage(signature), result, reason } };
  };
  const little = strict ? provesLittle(signature) : undefined;
  if (little !== undefined) return known("policy", little);
  if (signature.expires !== undefined && context.now() > signature.expires * 1000) {
    return known("fail", "the signature has expired");
  }
  const keys = lookUpKeys(context.resolver, signature);
  // Should the body be unreadable, nobody waits for the key.
  keys.catch(() => {});
  return {
    kind: "open",
    form: bodyHashForm(signature),
    async finish(bodyDigest) {
      const { result, reason, key } = verifyMessageSignature(message, {
        field,
        signature,
        keys: await keys,
        bodyDigest,
        strict,
        keyAllows: (candidate) => domainAllowed(candidate, signature),
      });
      return {
        ...ofMessage(signature),
        result,
        testing: key?.testing ?? false,
        ...(reason === undefined ? {} : { reason }),
      };
    },
  };
}

// RFC 6376 §3.6.1, flag s.
function domainAllowed(key: DkimKey, { auidDomain, domain }: DkimSignature): string | undefined {
  return key.strictDomain && auidDomain !== domain ? "the key is not meant for domains under d=" : undefined;
}

function of({ domain, selector, algorithm, encodedSignature }: SignatureBase): DkimResult {
  return { ...NO_SIGNATURE, domain, selector, algorithm, auid: `@${domain}`, signature: encodedSignature };
}

function ofMessage(signature: DkimSignature): DkimResult {
  return { ...of(signature), auid: signature.auid, reportRequested: signature.reportRequested };
}
