/** Whether a peer can take a message at all, judged by what it offers before anything is sent. */

import type { QueuedMessage, QueuedRecipient } from "../queue/types.ts";
import { asciiAddress, needsSmtpUtf8 } from "../smtp/mod.ts";
import type { Session } from "./session.ts";
import { type Failure, failure } from "./verdict.ts";

/**
 * What keeps the message from going to this peer at the time `now`: verdicts by recipient, or (when the content has to be read to know)
 * a promise of one for all. `undefined` if nothing does.
 */
export function unsuitable(
  session: Session,
  message: QueuedMessage,
  recipients: readonly QueuedRecipient[],
  now: number,
): readonly (Failure | undefined)[] | Promise<Failure | undefined> | undefined {
  const { peer, label } = session;
  const { envelope: { sender, parameters }, content } = message;
  const unfit = (enhanced: string, text: string, elsewhere = false) =>
    failure("failed", "unexpected-reply", enhanced, text, {
      host: session.host,
      dialogue: session.dialogue.lines(),
      elsewhere,
    });
  const all = (enhanced: string, text: string, elsewhere = false) => {
    const verdict = unfit(enhanced, text, elsewhere);
    return recipients.map(() => verdict);
  };

  // RFC 1870 §6.1: no use to send what the peer has said it will not take.
  if (peer.size !== undefined && peer.size > 0 && content.size > peer.size) {
    return all("5.3.4", `message of ${content.size} octets is larger than the ${peer.size} that ${label} takes`);
  }
  // RFC 8689 §4.2.1
  if (parameters.requiretls === true && !(session.encrypted && peer.requiretls)) {
    return all("5.7.30", `${label} does not offer REQUIRETLS, which the message asks for`, true);
  }
  // RFC 2852 §4.1.4.1: what is to come back in time goes only to those that see to that; LMTP is no relaying.
  const { by } = parameters;
  if (by?.mode === "return" && session.protocol === "smtp") {
    if (!peer.deliverBy) return all("5.3.3", `${label} does not offer DELIVERBY, which the message asks for`, true);
    const left = by.seconds - Math.floor((now - message.created) / 1000);
    if (peer.deliverByMinimum > left) {
      const text = `${label} wants ${peer.deliverByMinimum} seconds to deliver a message in time, and ${left} are left`;
      return all("5.3.3", text, true);
    }
  }
  // RFC 3030 §3: binary content only goes by BDAT, to those that declare it.
  if (parameters.body === "binarymime" && !(peer.binarymime && peer.chunking)) {
    return all("5.6.3", `${label} does not take binary content (BINARYMIME)`);
  }
  if (!peer.smtputf8) {
    if (!hasAsciiForm(sender)) return all("5.6.7", `${label} does not take the sender address (SMTPUTF8)`);
    // RFC 6531 §3.6: the message needs the extension if its header does, too.
    if (parameters.smtputf8 === true && !isAsciiHeader(content.head)) {
      return all("5.6.7", `${label} does not take international header fields (SMTPUTF8)`);
    }
    if (!recipients.every(({ address }) => hasAsciiForm(address))) {
      const text = `${label} does not take the recipient address (SMTPUTF8)`;
      const verdict = unfit("5.6.7", text);
      return recipients.map(({ address }) => hasAsciiForm(address) ? undefined : verdict);
    }
  }
  if (parameters.body === "8bitmime" && !peer.eightBitMime) {
    // RFC 6152 §3: not to be sent as it is; but content that was only said to have 8 bits may go.
    if (content.complete) {
      return isSevenBit(content.head) ? undefined : all("5.6.3", eightBitText(label));
    }
    return scan(message).then((plain) => plain ? undefined : unfit("5.6.3", eightBitText(label)));
  }
  return undefined;
}

const eightBitText = (label: string) => `${label} does not take 8-bit content (8BITMIME)`;

function hasAsciiForm(address: string): boolean {
  return !needsSmtpUtf8(address) || asciiAddress(address) !== undefined;
}

async function scan({ content }: QueuedMessage): Promise<boolean> {
  try {
    for await (const chunk of content.chunks()) if (!isSevenBit(chunk)) return false;
  } catch {
    // The transaction meets the same error and reports it.
  }
  return true;
}

function isSevenBit(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] as number) > 0x7f) return false;
  return true;
}

function isAsciiHeader(head: Uint8Array): boolean {
  // The header ends at the first empty line: CRLF CRLF.
  for (let i = 0; i < head.length; i++) {
    if ((head[i] as number) > 0x7f) return false;
    if (head[i] === 0x0d && head[i + 1] === 0x0a && head[i + 2] === 0x0d && head[i + 3] === 0x0a) return true;
  }
  return true;
}
