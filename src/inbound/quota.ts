/** `[[queue.quota]]` as a client sees it: who is refused, and when. */

import { LookupUnavailable } from "../expression/mod.ts";
import { type NewRecipient, type QuotaRefusal, StoreUnavailable } from "../queue/mod.ts";
import { reply } from "../smtp/mod.ts";
import type { Session, Transaction } from "./session.ts";

/** The answer where a quota leaves no room (RFC 3463 X.3.1, mail system full). */
export const QUOTA_FULL = reply(452, "4.3.1", "Too much mail is waiting, try again later");

/** Whether there is room for what a RCPT leads to; what cannot be told now is told at the end of data. */
export async function hasRoom(
  session: Session,
  transaction: Transaction,
  addresses: readonly string[],
): Promise<boolean> {
  const { sender, parameters } = transaction;
  try {
    return await session.deps.queue.hasRoom?.({
      envelope: { sender, parameters },
      recipients: addresses.map((address) => ({ address, parameters: {} })),
      source: session.account === undefined ? "unauthenticated" : "authenticated",
      priority: parameters.mtPriority ?? 0,
      receivedFromIp: session.connection.remote.ip,
      receivedViaPort: session.connection.local.port,
      size: parameters.size ?? 0,
    }) ?? true;
  } catch (error) {
    if (error instanceof LookupUnavailable || error instanceof StoreUnavailable) return true;
    throw error;
  }
}

/**
 * Sorts recipients after a refusal.
 *
 * @param accepted the addresses that each RCPT led to. One that leads to several is refused as a whole, for the client
 * repeats it as a whole.
 * @returns `full`: which RCPTs are refused; `others`: the recipients for whom there is room
 */
export function partition(
  accepted: readonly (readonly string[])[],
  recipients: readonly NewRecipient[],
  refusal: QuotaRefusal,
): { readonly full: ReadonlySet<number>; readonly others: readonly NewRecipient[] } {
  const refused = new Set(refusal.recipients.map((position) => recipients[position]?.address ?? ""));
  const full = new Set<number>();
  const served = new Set<string>();
  const unknown = new Set(refused);
  for (const [index, addresses] of accepted.entries()) {
    const isFull = addresses.some((address) => refused.has(address));
    if (isFull) full.add(index);
    for (const address of addresses) {
      unknown.delete(address);
      if (!isFull) served.add(address);
    }
  }
  // Filters may have put a recipient in the place of any other, so nobody can be told apart.
  if (unknown.size > 0) return { full: new Set(accepted.keys()), others: [] };
  const known = new Set(accepted.flat());
  return { full, others: recipients.filter(({ address }) => served.has(address) || !known.has(address)) };
}
