/** A queued message as it leaves for another server or a file. */

import type { Content } from "../message/content.ts";
import type { MailParameters, RcptParameters } from "../smtp/envelope.ts";
import { formatMessageId } from "./message_id.ts";
import type { MessageRecord, RecipientRecord } from "./record.ts";
import type { RecipientState, Source } from "./types.ts";

/** The envelope of a message, and where it came from; can be written as JSON. */
export interface Envelope {
  readonly id: string;
  readonly sender: string;
  readonly parameters: MailParameters;
  readonly recipients: readonly {
    readonly address: string;
    readonly parameters: RcptParameters;
    readonly state: RecipientState;
    readonly queue: string;
    readonly attempts: number;
    /** The last failure, `""` without one. */
    readonly lastText: string;
  }[];
  /** ISO 8601. */
  readonly created: string;
  readonly size: number;
  readonly priority: number;
  readonly source: Source;
  readonly receivedFromIp: string;
  readonly receivedViaPort: number;
  readonly authenticatedAs: string;
  readonly heloDomain: string;
}

/** A message to be exported. The content is read in pieces. */
export interface ExportedMessage {
  readonly message: Envelope;
  readonly content: Content;
}

/** The envelope of a message to those of its recipients that still wait. */
export function exportedView(
  message: MessageRecord,
  recipients: readonly (RecipientRecord & { readonly state: RecipientState })[],
): Envelope {
  const { id, envelope, created, size, priority, source } = message;
  const { receivedFromIp, receivedViaPort, authenticatedAs, heloDomain } = message;
  return {
    id: formatMessageId(id),
    sender: envelope.sender,
    parameters: envelope.parameters,
    recipients: recipients.map(({ address, parameters, state, queue, attempts, lastDetail }) => ({
      address,
      parameters,
      state,
      queue,
      attempts,
      lastText: lastDetail?.text ?? "",
    })),
    created: new Date(created).toISOString(),
    size,
    priority,
    source,
    receivedFromIp,
    receivedViaPort,
    authenticatedAs,
    heloDomain,
  };
}
