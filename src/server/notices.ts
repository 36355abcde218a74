/** What `report.dsn.*` comes to for one notification. */

import type { Config } from "../config/mod.ts";
import type { FunctionHost, Scope, Setting } from "../expression/mod.ts";
import { formatMessageId } from "../queue/mod.ts";
import type { NoticeRecipient, QueuedMessage } from "../queue/types.ts";
import { addressDomain, asAddress } from "../smtp/mod.ts";
import { type Emit, emitEvaluationErrors } from "../telemetry/event.ts";

/** What settings are evaluated with. */
export interface NoticeWorld {
  readonly functions: FunctionHost;
  readonly emit: Emit;
  readonly now: () => number;
}

/**
 * The variables of the context `queue`: those of the message that the notification is about, and of
 * the first recipient in it. `source` is that of the notification.
 */
export function noticeScope(
  { id, envelope, priority, size, created, receivedFromIp, receivedViaPort, allRecipients }: QueuedMessage,
  [first]: readonly NoticeRecipient[],
  { functions, emit, now }: NoticeWorld,
): Scope {
  const { address = "", attempts = 0 } = first?.recipient ?? {};
  return {
    variables: {
      sender: envelope.sender,
      sender_domain: addressDomain(envelope.sender),
      priority,
      rcpt: address,
      rcpt_domain: addressDomain(address),
      recipients: allRecipients,
      source: "dsn",
      queue_age: Math.max(0, Math.floor((now() - created) / 1000)),
      size,
      retry_num: attempts,
      last_error: first?.detail.lastError ?? "none",
      last_status: first?.detail.status ?? 0,
      received_from_ip: receivedFromIp,
      received_via_port: receivedViaPort,
    },
    functions,
    onError: emitEvaluationErrors(emit, { id: formatMessageId(id) }),
  };
}

/**
 * Name and address in From of a notification. The plain ones where an expression would have to wait for a lookup, and
 * the plain address where it gives none.
 */
export function senderOfNotice(
  { report: { dsn, domain } }: Config,
  message: QueuedMessage,
  recipients: readonly NoticeRecipient[],
  world: NoticeWorld,
): { readonly name: string; readonly address: string } {
  const scope = noticeScope(message, recipients, world);
  const plain = `MAILER-DAEMON@${domain}`;
  const written = evaluateNow(dsn.fromAddress, scope, plain);
  const address = asAddress(written);
  if (address === undefined) {
    const reason = `'${written}' is no address; ${plain} is used`;
    world.emit("eval.wrong-value", { id: formatMessageId(message.id), key: dsn.fromAddress.key, reason });
  }
  return { name: evaluateNow(dsn.fromName, scope, "Mail Delivery Subsystem"), address: address ?? plain };
}

function evaluateNow<T>(setting: Setting<T>, scope: Scope, fallback: T): T {
  const value = setting.evaluate(scope);
  if (!(value instanceof Promise)) return value;
  value.catch(() => {});
  return fallback;
}
