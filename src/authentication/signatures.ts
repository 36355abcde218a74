/** Verifying everything in a message that signs it: one pass over the body serves DKIM and ARC. */

import { startArc } from "./arc/verify.ts";
import { type BodyHashForm, hashBody } from "./dkim/body_hash.ts";
import { fieldsByName } from "./dkim/signed_header.ts";
import { startDkim } from "./dkim/verify.ts";
import type { VerifySignatures } from "./types.ts";

/** Hashes of one body that are computed; each is a pass over it. Signatures of one signer share them. */
const MOST_FORMS = 12;

/**
 * Verifies DKIM signatures (RFC 6376 §6) and the ARC chain (RFC 8617 §5.2) of a message.
 *
 * The work is bounded: ten DKIM signatures, fifty seals, twelve hashes of the body. Never rejects because of what is in
 * the message or in DNS; rejects if the content cannot be read.
 */
export const verifySignatures: VerifySignatures = async ({ content, header }, checks, context) => {
  const message = { bytes: content.head, fields: fieldsByName(header.fields) };
  const forms: BodyHashForm[] = [];
  /** The place of a form among those to compute; -1 if there are too many. */
  const place = (form: BodyHashForm): number => {
    const known = forms.findIndex((other) =>
      other.canonicalization === form.canonicalization && other.hash === form.hash && other.length === form.length
    );
    if (known >= 0 || forms.length === MOST_FORMS) return known;
    return forms.push(form) - 1;
  };
  const dkim = checks.dkim ? startDkim(message, checks.strict, context) : [];
  const dkimPlaces = dkim.map((check) => check.kind === "open" ? place(check.form) : -1);
  const arc = checks.arc ? startArc(message, checks.strict, context) : undefined;
  const arcPlaces = arc?.kind === "open" ? arc.forms.map(place) : [];
  const digests = forms.length === 0 ? [] : await hashBody(content, header.bodyOffset, forms);
  const dkimResults = dkim.map((check, index) =>
    check.kind === "known" ? check.result : check.finish(digests[dkimPlaces[index] ?? -1])
  );
  const arcResult = arc?.kind === "open"
    ? arc.finish(arcPlaces.map((at) => at < 0 ? "unknown" : digests[at]))
    : arc?.result;
  return {
    ...(checks.dkim ? { dkim: await Promise.all(dkimResults) } : {}),
    ...(arcResult === undefined ? {} : { arc: await arcResult }),
  };
};
