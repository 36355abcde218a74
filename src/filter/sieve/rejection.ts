/** `reject` of a user's script: the sender is told by a message, since delivery is long accepted (RFC 5429 §2.2). */

import type { NewMessage } from "../../queue/types.ts";
import { messageBytes, rejectionNotice, type SieveHost } from "../../sieve/mod.ts";
import { ownMessage, type Sending } from "./outgoing.ts";

/** Largest message that is returned whole, in octets; of larger ones the header is. */
const LARGEST_RETURNED = 256 * 1024;

/** Who refuses, and what is known of the copy that is refused. */
export interface Refusing {
  readonly recipient: string;
  /** ORCPT: type, semicolon, address. */
  readonly originalRecipient: string | undefined;
  readonly hostname: string;
  readonly host: Pick<SieveHost, "now" | "zoneOffset" | "messageId">;
}

/**
 * The news of a refusal; undefined if there is nobody to be told.
 *
 * @throws {StoreUnavailable | LookupUnavailable} (rejects) if something it needs cannot be had now
 */
export async function newsOfRefusal(
  sending: Sending,
  reason: string,
  { recipient, originalRecipient, hostname, host }: Refusing,
): Promise<NewMessage | undefined> {
  const { envelope, original } = sending;
  // RFC 8098 §2.1: what has no return path is never answered.
  if (envelope === undefined || envelope.sender === "") return undefined;
  // What is binary cannot travel inside of another message.
  const whole = original.size <= LARGEST_RETURNED && envelope.parameters.body !== "binarymime";
  const now = host.now();
  return await ownMessage(sending, {
    kind: "reject",
    mail: rejectionNotice({
      reason,
      sender: envelope.sender,
      recipient,
      originalRecipient,
      header: original.header,
      returned: whole ? await messageBytes(original) : original.head,
      whole,
      now,
      zoneOffset: host.zoneOffset?.(now) ?? 0,
      messageId: host.messageId?.() ?? "",
      hostname,
    }),
  });
}
