/** Mail for the addresses that reports of others go to (`report.analysis`). */

import type { Content } from "../message/content.ts";
import type { MessageId } from "../queue/mod.ts";
import type { ReportAnalysis } from "../report/mod.ts";
import { type Reply, reply } from "../smtp/mod.ts";
import { isHeld } from "./filters.ts";
import { type Session, setRecipients, type Transaction } from "./session.ts";

/**
 * Has a message examined if it is for such an address. If it was a report, and reports are not to be delivered as well,
 * the address is no longer among the recipients: none may be left. What was no report is delivered like any mail.
 *
 * @returns a refusal if it cannot be examined now
 * @throws {StoreUnavailable} (rejects) if reports cannot be kept for now
 */
export async function examineReports(
  session: Session,
  transaction: Transaction,
  analysis: ReportAnalysis,
  { id, content }: { readonly id: MessageId; readonly content: Content },
): Promise<Reply | undefined> {
  const wanted = transaction.addresses.find((address) => analysis.wants(address));
  // What filters want looked at by a person has not been let in yet.
  if (wanted === undefined || isHeld(session, transaction)) return undefined;
  const found = await analysis.examine({
    id,
    content,
    carrier: {
      from: transaction.sender,
      to: wanted,
      remoteIp: session.connection.remote.ip,
      dmarc: session.authentication?.dmarc?.result ?? "",
    },
  });
  if (found === "busy") return reply(451, "4.3.2", "Too many reports at once, try again later");
  if (found === "reports" && !analysis.forward) {
    setRecipients(transaction, transaction.recipients.filter(({ address }) => !analysis.wants(address)));
  }
  return undefined;
}
