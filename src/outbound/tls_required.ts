/** The header form of RFC 8689: a sender to whom delivery matters more than its protection. */

import { type Content, fieldsNamed, parseHeader } from "../message/mod.ts";

/**
 * Whether the header says `TLS-Required: No` (RFC 8689 §3). Any other value says nothing, and neither do several fields
 * that disagree.
 */
export function saysTlsIsOptional({ head }: Content): boolean {
  const fields = fieldsNamed(parseHeader(head), "tls-required");
  return fields.length > 0 && fields.every((field) => field.value().toLowerCase() === "no");
}
