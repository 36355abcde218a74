/** Tells those who listen what is said in a session. Only called while somebody does. */

import { HIDDEN, type Reply, replyLines } from "../smtp/mod.ts";
import type { WireTap } from "../telemetry/mod.ts";

/** Commands whose lines hold nothing secret. What is none may be anything: content, or the rest of a login. */
const COMMAND = /^(?:EHLO|HELO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|NOOP|QUIT|VRFY|EXPN|HELP|STARTTLS)(?![!-~])/i;
const LONGEST_COMMAND = 500;

const decoder = new TextDecoder();

/** Whose words they are; a session is one. */
export interface Tapped {
  readonly id: string;
  readonly connection: { readonly remote: { readonly ip: string }; readonly listener: string };
}

/** Something happened to the connection. */
export function tapNote(tap: WireTap, session: Tapped, text: string, end = false): void {
  tell(tap, session, "note", [text], end);
}

/** The client said a line. */
export function tapCommand(tap: WireTap, session: Tapped, line: Uint8Array | "too-long"): void {
  if (line === "too-long") return tell(tap, session, "client", ["(a line that is too long)"]);
  const text = decoder.decode(line.subarray(0, LONGEST_COMMAND));
  const shown = COMMAND.test(text)
    ? text
    : /^\s*AUTH(?![!-~])/i.test(text)
    ? `AUTH ${HIDDEN}`
    : `(${line.length} octets that are no command)`;
  tell(tap, session, "client", [shown]);
}

/** The client answered a challenge of AUTH. */
export function tapResponse(tap: WireTap, session: Tapped): void {
  tell(tap, session, "client", [HIDDEN]);
}

/** The client sent content. */
export function tapContent(tap: WireTap, session: Tapped, octets: number): void {
  tell(tap, session, "client", [`(${octets} octets of content)`]);
}

/** This side said something. */
export function tapReply(tap: WireTap, session: Tapped, reply: Reply): void {
  tell(tap, session, "server", replyLines(reply.code === 334 ? { code: 334, text: [HIDDEN] } : reply));
}

function tell(
  tap: WireTap,
  session: Tapped,
  from: "client" | "server" | "note",
  text: readonly string[],
  end = false,
): void {
  tap({
    direction: "in",
    session: session.id,
    peer: session.connection.remote.ip,
    host: "",
    listener: session.connection.listener,
    from,
    text,
    ...(end ? { end: true } : {}),
  });
}
