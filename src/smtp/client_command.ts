/** The commands of a client with the parameters that a peer understands. */

import { asciiAddress, formatPath, needsSmtpUtf8 } from "./address.ts";
import type { MailParameters, Notify, RcptParameters } from "./envelope.ts";
import type { PeerExtensions } from "./extensions.ts";
import { utf8AddressEncode, xtextEncode } from "./xtext.ts";

/**
 * MAIL FROM, without CRLF. Parameters of extensions that the peer does not offer are left out; whether the message may
 * go without them (SMTPUTF8, REQUIRETLS, BINARYMIME) is for the caller to decide. HOLDFOR and HOLDUNTIL are never
 * passed on: the hold was kept here.
 *
 * @param size octets of the message, for SIZE
 */
export function formatMailCommand(
  sender: string,
  parameters: MailParameters,
  peer: PeerExtensions,
  size: number,
): string {
  let command = `MAIL FROM:${formatPath(forPeer(sender, peer))}`;
  if (peer.size !== undefined) command += ` SIZE=${size}`;
  if (parameters.body === "binarymime" && peer.binarymime) command += " BODY=BINARYMIME";
  else if (parameters.body !== undefined && parameters.body !== "7bit" && peer.eightBitMime) {
    command += " BODY=8BITMIME";
  }
  if (parameters.smtputf8 === true && peer.smtputf8) command += " SMTPUTF8";
  if (parameters.requiretls === true && peer.requiretls) command += " REQUIRETLS";
  if (peer.dsn) {
    if (parameters.ret !== undefined) command += ` RET=${parameters.ret.toUpperCase()}`;
    if (parameters.envid !== undefined) command += ` ENVID=${xtextEncode(parameters.envid)}`;
  }
  if (parameters.auth !== undefined && peer.auth.length > 0) {
    command += ` AUTH=${parameters.auth === "" ? "<>" : xtextEncode(parameters.auth)}`;
  }
  if (parameters.mtPriority !== undefined && peer.mtPriority) command += ` MT-PRIORITY=${parameters.mtPriority}`;
  if (parameters.by !== undefined && peer.deliverBy) {
    const { seconds, mode, trace } = parameters.by;
    const bounded = Math.max(-999_999_999, Math.min(999_999_999, Math.trunc(seconds)));
    command += ` BY=${bounded};${mode === "return" ? "R" : "N"}${trace ? "T" : ""}`;
  }
  if (parameters.solicit !== undefined && peer.noSoliciting) command += ` SOLICIT=${parameters.solicit}`;
  return command;
}

/** RCPT TO, without CRLF. NOTIFY and ORCPT go along if the peer offers DSN. */
export function formatRcptCommand(address: string, parameters: RcptParameters, peer: PeerExtensions): string {
  let command = `RCPT TO:${formatPath(forPeer(address, peer))}`;
  if (!peer.dsn) return command;
  if (parameters.notify !== undefined) command += ` NOTIFY=${formatNotify(parameters.notify)}`;
  if (parameters.orcpt !== undefined) {
    const { type, address: original } = parameters.orcpt;
    // RFC 6533 §3: outside SMTPUTF8 the address is escaped into ASCII.
    const encoded = type.toLowerCase() === "utf-8"
      ? utf8AddressEncode(original, !peer.smtputf8)
      : xtextEncode(original);
    command += ` ORCPT=${type};${encoded}`;
  }
  return command;
}

function formatNotify(notify: Notify): string {
  if (notify.never) return "NEVER";
  const words: string[] = [];
  if (notify.success) words.push("SUCCESS");
  if (notify.failure) words.push("FAILURE");
  if (notify.delay) words.push("DELAY");
  return words.length === 0 ? "NEVER" : words.join(",");
}

// A domain with U-labels reaches a peer without SMTPUTF8 by its A-labels.
function forPeer(address: string, peer: PeerExtensions): string {
  return !peer.smtputf8 && needsSmtpUtf8(address) ? asciiAddress(address) ?? address : address;
}
