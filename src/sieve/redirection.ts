/** Redirected messages, and how one that comes back is known (RFC 5228 §4.2 and §10). */

import { editHeader, fieldsNamed, foldField } from "../message/mod.ts";
import { type SieveMessage, withHead } from "./message.ts";

/** The field that Pigeonhole marks redirected messages with, so that loops through both programs end. */
const MARK = "X-Sieve-Redirected-From";

/**
 * The message as it is redirected on behalf of an address, which is noted in it; undefined if it was redirected for
 * this address before, and would go round for ever.
 */
export function redirectedMessage(message: SieveMessage, onBehalfOf: string): SieveMessage | undefined {
  const wanted = onBehalfOf.toLowerCase();
  const marks = fieldsNamed(message.header, MARK);
  if (marks.some((field) => field.value().toLowerCase() === wanted)) return undefined;
  const editor = editHeader(message.head, message.header);
  editor.prepend(foldField(MARK, onBehalfOf));
  return withHead(message, editor.result());
}
