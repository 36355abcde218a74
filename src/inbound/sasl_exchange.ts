/** The lines of an AUTH exchange (RFC 4954 §4), and what a SASL mechanism gives. */

import type { Account, Directory } from "../directory/mod.ts";
import { type Reply, reply } from "../smtp/mod.ts";
import type { Session } from "./session.ts";
import { tapResponse } from "./tap.ts";

/** Longest line of an exchange, octets with CRLF (RFC 4954 §4). */
const LONGEST_EXCHANGE_LINE = 12288;

/** A response of the client, decoded. */
export interface Response {
  readonly text: string;
}

/** How an exchange ended. */
export type SaslResult =
  /** `name` is what the client called itself, where that may differ from the account's name. */
  | { readonly kind: "accepted"; readonly account: Account; readonly name?: string }
  /** `name` is whom the client claims to be; `reply` stands in for the usual one. */
  | { readonly kind: "refused"; readonly name: string; readonly reply?: Reply }
  /** The exchange broke off before anything could be checked. */
  | { readonly kind: "ended"; readonly reply: Reply };

/** What a mechanism runs with. */
export interface Exchange {
  readonly session: Session;
  readonly directory: Directory;
  /** The response that came with the command, as it was sent. */
  readonly initial: string | undefined;
}

/** A SASL mechanism, the server's side. */
export interface Mechanism {
  /** What it needs of the directory. */
  readonly checks: "password" | "secret" | "token";
  /** What it sends in clear text, and to whom: not over an unencrypted link. */
  readonly exposes: "password" | "token" | "nothing";
  /** Whether the server speaks first, so that no initial response can be sent. */
  readonly serverFirst?: boolean;
  run(exchange: Exchange): Promise<SaslResult>;
}

/** Ends an exchange with a reply. */
export function ended(reply: Reply): SaslResult {
  return { kind: "ended", reply };
}

/** The client's first response; asks for it with `challenge` unless it came with the command. */
export async function firstResponse({ session, initial }: Exchange, challenge = ""): Promise<Response | Reply> {
  if (initial === undefined) return await respond(session, challenge);
  // RFC 4954 §4: "=" is an initial response of zero length.
  return decode(initial === "=" ? "" : initial) ?? UNREADABLE;
}

/** The client's response to a challenge, or the reply that ends the exchange. */
export async function respond(session: Session, challenge: string): Promise<Response | Reply> {
  session.send(reply(334, "", encode(challenge)), { enhanced: false });
  const line = await session.readLine(LONGEST_EXCHANGE_LINE);
  const tap = session.deps.wire?.tap;
  if (tap !== undefined) tapResponse(tap, session);
  if (line === "too-long") {
    return session.refuse(
      "smtp.auth-exchange-too-long",
      reply(500, "5.5.6", "Authentication exchange line is too long"),
    );
  }
  const encoded = new TextDecoder().decode(line);
  if (encoded === "*") return reply(501, "5.7.0", "Authentication cancelled");
  return decode(encoded) ?? UNREADABLE;
}

const UNREADABLE = reply(501, "5.5.2", "Response is not valid base64 of UTF-8 text");

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function decode(encoded: string): Response | undefined {
  if (!BASE64.test(encoded)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return undefined;
  }
}

function encode(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
