/** The variables that strategies see (context `queue`). */

import type { EvaluationError, FunctionHost, Scope } from "../expression/types.ts";
import { domainOf, type MessageRecord, type RecipientRecord } from "./record.ts";

/** What changes from recipient to recipient and attempt to attempt. */
export type RecipientFacts = Pick<
  RecipientRecord,
  "address" | "domain" | "queue" | "attempts" | "notified" | "lastError" | "lastStatus"
>;

/** The scope of one recipient of a message at the time `now`. */
export function queueScope(
  message: MessageRecord,
  recipient: RecipientFacts,
  now: number,
  functions: FunctionHost,
  onError: (error: EvaluationError) => void,
): Scope {
  return {
    variables: {
      sender: message.envelope.sender,
      sender_domain: domainOf(message.envelope.sender),
      priority: message.priority,
      rcpt: recipient.address,
      rcpt_domain: recipient.domain,
      recipients: message.addresses,
      source: message.source,
      queue_name: recipient.queue,
      queue_age: Math.max(0, Math.floor((now - message.created) / 1000)),
      size: message.size,
      retry_num: recipient.attempts,
      notify_num: recipient.notified,
      last_error: recipient.lastError,
      last_status: recipient.lastStatus,
      received_from_ip: message.receivedFromIp,
      received_via_port: message.receivedViaPort,
    },
    functions,
    onError,
  };
}
