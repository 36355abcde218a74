/** Delivery status notifications (RFC 3464) about mail that was sent from here. */

import type { ParsedHeader } from "../../message/mod.ts";
import { bareAddress, dateOf, fieldGroups, originalOf, typed } from "./fields.ts";
import type { DeliveryReport } from "./incoming.ts";
import { clip, createProblems, word } from "./value.ts";
import { FormatError } from "./xml.ts";

/** Recipients of one notification that are told apart. */
const MOST_RECIPIENTS = 1_000;

/**
 * Reads the second part of a notification.
 *
 * @param original header of the message that it is about
 * @param sender domain of who sent the notification
 * @throws {FormatError} if it is none
 */
export function readDeliveryStatus(
  bytes: Uint8Array,
  original: ParsedHeader | undefined,
  sender: string,
): DeliveryReport {
  const groups = fieldGroups(bytes, MOST_RECIPIENTS + 1);
  const about = groups.filter((group) => group.first("final-recipient") + group.first("original-recipient") !== "");
  if (about.length === 0) throw new FormatError("it has no Final-Recipient");
  const problems = createProblems();
  // RFC 3464 §2.1: the first group is about the message; some leave it out.
  const message = groups.find((group) => !about.includes(group)) ?? groups[0];
  const recipients = about.slice(0, MOST_RECIPIENTS).map((group) => {
    const action = word(group.first("action"));
    if (action === "") problems.note("a recipient has no Action");
    return {
      recipient: bareAddress(typed(group.first("final-recipient") || group.first("original-recipient"))),
      originalRecipient: bareAddress(typed(group.first("original-recipient"))),
      action,
      status: clip(group.first("status").replace(/\s.*$/, ""), 20),
      remoteMta: typed(group.first("remote-mta")),
      diagnostic: typed(group.first("diagnostic-code")),
    };
  });
  return {
    kind: "dsn",
    reporter: typed(message?.first("reporting-mta") ?? "") || sender,
    problems: problems.list,
    arrived: dateOf(message?.first("arrival-date") ?? ""),
    envelopeId: message?.first("original-envelope-id") ?? "",
    recipients,
    original: originalOf(original),
  };
}
