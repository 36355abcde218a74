/** Addresses that lead to others: what becomes of the parameters of RCPT (RFC 3461 §5.2.7). */

import type { NewMessage, NewRecipient } from "../queue/types.ts";
import { addressDomain, type Notify, type RcptParameters } from "../smtp/mod.ts";
import { addRecipient, type Session, type Transaction } from "./session.ts";

/**
 * Adds the addresses that mail for `given` goes to. The return path stays as it is, so an address that leads to several
 * is an alias in the words of RFC 3461: each target gets the parameters, without SUCCESS, and the sender hears that it
 * was expanded (§5.2.7.3 c). One target gets them as they are (§5.2.7.2).
 */
export function addTargets(
  transaction: Transaction,
  given: string,
  targets: readonly string[],
  parameters: RcptParameters,
): void {
  const [only] = targets;
  if (targets.length === 1 && only !== undefined) {
    const kept = only === given ? parameters : { ...parameters, original: given };
    addRecipient(transaction, { address: only, parameters: kept });
    return;
  }
  const { notify } = parameters;
  if (notify?.success === true) (transaction.expanded ??= []).push({ address: given, parameters });
  const passedOn = notify === undefined ? parameters : { ...parameters, notify: withoutSuccess(notify) };
  for (const address of targets) addRecipient(transaction, { address, parameters: passedOn });
}

function withoutSuccess(notify: Notify): Notify {
  // Who asked to hear of nothing but success shall not hear of failures instead.
  return { ...notify, success: false, never: notify.never || !(notify.failure || notify.delay) };
}

/** Queues the notification about addresses that were expanded, once the message itself is in the queue. */
export async function tellExpanded(session: Session, expanded: readonly NewRecipient[], message: NewMessage) {
  const { buildNotice, queue, clock, emit } = session.deps;
  const { envelope, source, priority, content, recipients, receivedFromIp, receivedViaPort } = message;
  const notice = await buildNotice?.(
    {
      id: message.id,
      envelope,
      source,
      priority,
      created: clock.now(),
      size: content.size,
      content,
      receivedFromIp,
      receivedViaPort,
      allRecipients: recipients.map(({ address }) => address),
    },
    expanded.map(({ address, parameters }) => ({
      recipient: {
        id: 0,
        address,
        domain: addressDomain(address),
        parameters,
        attempts: 0,
        notified: 0,
        lastError: "none",
        lastStatus: 0,
      },
      action: "expanded",
      detail: { lastError: "none", status: 250, enhanced: "2.0.0", text: "", host: "" },
    })),
    queue.nextId(),
  );
  if (notice === undefined) return;
  try {
    await queue.enqueue(notice);
  } catch (error) {
    // The message is safe, and its client must not send it again for want of a notification.
    const reason = error instanceof Error ? error.message : `${error}`;
    emit("server.unexpected-error", { reason: `the notification of an expansion was not queued: ${reason}` });
  }
}
