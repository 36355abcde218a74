/** Redirected messages, and how one that comes back is known (RFC 5228 §4.2 and §10). */

import { editHeader, fieldsNamed, foldField } from "../message/mod.ts";
import { type SieveMessage, withHead } from "./message.ts";

/** The field that Pigeonhole marks redirected messages with, so that loops through both programs end. */
const MARK = "X-Sieve-Redirected-From";

/**
 * The message as it is redirected on behalf of an address, which is noted in it; undefined if it was redirected for
 * this address before, and would go round for ever.
 *
 * @param others more addresses of the same owner, which would make it a loop too
 */
export function redirectedMessage(
  message: SieveMessage,
  onBehalfOf: string,
  others: readonly string[] = [],
): SieveMessage | undefined {
  const own = [onBehalfOf, ...others].map((address) => address.toLowerCase());
  const marks = fieldsNamed(message.header, MARK);
  if (marks.some((field) => own.includes(field.value().toLowerCase()))) return undefined;
  const editor = editHeader(message.head, message.header);
  editor.prepend(foldField(MARK, onBehalfOf));
  return withHead(message, editor.result());
}
