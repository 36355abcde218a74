/** What strategy settings are evaluated against: the variables of the contexts `queue` and `host` (reference §2.5). */

import type { FunctionHost, Scope, Value } from "../expression/types.ts";
import type { DeliveryJob } from "../queue/types.ts";
import { addressDomain } from "../smtp/mod.ts";

/** A scope whose `host` variables change from host to host of one attempt. */
export interface HostScope extends Scope {
  readonly variables: Record<string, Value | undefined>;
}

/**
 * The scope of a job. Recipients of one job share the transaction, so `rcpt` and what is kept per recipient
 * (`retry_num`, `notify_num`, `last_error`, `last_status`) is that of the first.
 *
 * @param now milliseconds since the epoch
 */
export function hostScope(
  { message, recipients, queueName }: DeliveryJob,
  functions: FunctionHost,
  now: number,
  onError: NonNullable<Scope["onError"]>,
): HostScope {
  const { sender } = message.envelope;
  const [first] = recipients;
  return {
    functions,
    onError,
    variables: {
      sender,
      sender_domain: addressDomain(sender),
      priority: message.priority,
      rcpt: first?.address,
      rcpt_domain: first?.domain,
      recipients: message.allRecipients,
      source: message.source,
      queue_name: queueName,
      queue_age: Math.max(0, Math.floor((now - message.created) / 1000)),
      size: message.size,
      retry_num: first?.attempts,
      notify_num: first?.notified,
      last_error: first?.lastError,
      last_status: first?.lastStatus,
      received_from_ip: message.receivedFromIp,
      received_via_port: message.receivedViaPort,
      mx: "",
      remote_ip: "",
      local_ip: "",
    },
  };
}
