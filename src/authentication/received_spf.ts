/** The field that tells how SPF went (RFC 7208 §9.1). */

import { foldField } from "../message/mod.ts";
import type { SpfResult } from "./types.ts";
import { commentText, dotAtomOrQuoted } from "./value.ts";

/** What the field names beside the result. */
export interface ReceivedSpfOptions {
  /** Address of the client. */
  readonly ip: string;
  /** What the client called itself. */
  readonly helo: string;
  /** Reverse-path, `""` for the null sender. */
  readonly sender: string;
  /** Name of this server. */
  readonly receiver: string;
}

/** A complete `Received-SPF:` field, folded, with CRLF at its end. */
export function receivedSpfField(result: SpfResult, options: ReceivedSpfOptions): Uint8Array {
  const { ip, helo, sender, receiver } = options;
  const from = result.identity === "mailfrom" ? result.sender : sender;
  let pairs = `receiver=${dotAtomOrQuoted(receiver)}; client-ip=${dotAtomOrQuoted(ip)}; ` +
    `envelope-from=${dotAtomOrQuoted(from)}; helo=${dotAtomOrQuoted(helo)}; identity=${result.identity}`;
  if (result.mechanism !== undefined) pairs += `; mechanism=${dotAtomOrQuoted(result.mechanism)}`;
  if (result.reason !== undefined && isError(result)) pairs += `; problem=${dotAtomOrQuoted(ascii(result.reason))}`;
  const comment = commentText(`${receiver}: ${meaning(result, ip)}`);
  return foldField("Received-SPF", `${result.result} (${comment})\r\n\t${pairs}`);
}

function isError({ result }: SpfResult): boolean {
  return result === "permerror" || result === "temperror";
}

function ascii(text: string): string {
  return text.replace(/[^ -~]/g, "?");
}

function meaning({ result, domain, sender }: SpfResult, ip: string): string {
  switch (result) {
    case "pass":
      return `domain of ${sender} designates ${ip} as permitted sender`;
    case "fail":
      return `domain of ${sender} does not designate ${ip} as permitted sender`;
    case "softfail":
      return `domain of ${sender} thinks that ${ip} is hardly a permitted sender`;
    case "neutral":
      return `${ip} is neither permitted nor denied by domain of ${sender}`;
    case "none":
      return `${domain} does not say who may send for it`;
    case "temperror":
      return `SPF of ${domain} could not be looked up`;
    case "permerror":
      return `SPF of ${domain} cannot be used`;
  }
}
