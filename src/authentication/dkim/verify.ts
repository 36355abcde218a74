/** Verifying the DKIM signatures of a message (RFC 6376 §6). */

import type { HeaderField } from "../../message/mod.ts";
import type { CheckContext, DkimFault, DkimResult, DkimVerdict } from "../types.ts";
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
    const { signature, result, reason } = read;
    return {
      kind: "known",
      result: signature === undefined
        ? { ...NO_SIGNATURE, result, fault: "syntax", reason }
        : resultOf(signature, { result, fault: "syntax", reason }),
    };
  }
  const { signature } = read;
  const known = (result: DkimVerdict, fault: DkimFault, reason: string): DkimCheck => {
    return { kind: "known", result: resultOf(signature, { result, fault, reason }) };
  };
  const little = strict ? provesLittle(signature) : undefined;
  if (little !== undefined) return known("policy", "policy", little);
  if (signature.expires !== undefined && context.now() > signature.expires * 1000) {
    return known("fail", "expired", "the signature has expired");
  }
  const keys = lookUpKeys(context.resolver, signature);
  // Should the body be unreadable, nobody waits for the key.
  keys.catch(() => {});
  return {
    kind: "open",
    form: bodyHashForm(signature),
    async finish(bodyDigest) {
      const fetched = {
        field,
        signature,
        keys: await keys,
        bodyDigest,
        strict,
        keyAllows: (candidate: DkimKey) => domainAllowed(candidate, signature),
      };
      return resultOf(signature, verifyMessageSignature(message, fetched));
    },
  };
}

// RFC 6376 §3.6.1, flag s.
function domainAllowed(key: DkimKey, { auidDomain, domain }: DkimSignature): string | undefined {
  return key.strictDomain && auidDomain !== domain ? "the key is not meant for domains under d=" : undefined;
}

function resultOf(
  signature: SignatureBase & Partial<Pick<DkimSignature, "auid" | "reportRequested">>,
  { result, fault, reason, key }: {
    readonly result: DkimVerdict;
    readonly fault?: DkimFault;
    readonly reason?: string;
    readonly key?: DkimKey;
  },
): DkimResult {
  const { domain, selector, algorithm, encodedSignature, auid = `@${domain}`, reportRequested = false } = signature;
  return {
    method: "dkim",
    result,
    domain,
    selector,
    algorithm,
    auid,
    signature: encodedSignature,
    testing: key?.testing ?? false,
    reportRequested,
    ...(fault === undefined ? {} : { fault }),
    ...(reason === undefined ? {} : { reason }),
  };
}
