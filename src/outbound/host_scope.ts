/** What strategy settings are evaluated against: the variables of the contexts `queue` and `host`. */

import type { FunctionHost, Scope, Value } from "../expression/types.ts";
import type { DeliveryJob, QueuedRecipient } from "../queue/types.ts";
import { addressDomain } from "../smtp/mod.ts";

/** A scope whose `host` variables change from host to host of one attempt. */
export interface HostScope extends Scope {
  readonly variables: Record<string, Value | undefined>;
}

/**
 * Variables of which the recipients of one job may have different values. `rcpt_domain` is one of them: only routes by
 * MX part a message by domain.
 */
export const OF_RECIPIENT: ReadonlyMap<string, (recipient: QueuedRecipient) => Value> = new Map<
  string,
  (recipient: QueuedRecipient) => Value
>([
  ["rcpt", ({ address }) => address],
  ["rcpt_domain", ({ domain }) => domain],
  ["retry_num", ({ attempts }) => attempts],
  ["notify_num", ({ notified }) => notified],
  ["last_error", ({ lastError }) => lastError],
  ["last_status", ({ lastStatus }) => lastStatus],
]);

/** Brings a recipient of the job into view. */
export function lookAt({ variables }: HostScope, recipient: QueuedRecipient): void {
  for (const [name, valueOf] of OF_RECIPIENT) variables[name] = valueOf(recipient);
}

/**
 * The scope of a job, with the first of its recipients in view.
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
