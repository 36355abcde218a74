/** How many commands that lead nowhere a client may send before it is sent away. */

import { type Command, type Reply, reply } from "../smtp/mod.ts";
import type { Session } from "./session.ts";

/** Commands that are not understood or not allowed, since the last message; other servers bear 20 or so. */
const MOST_ERRORS = 50;

/** Commands that do nothing for a message, since the last one; each further one is an error. */
const MOST_IDLE = 100;

/** What a command was worth. */
type Worth = "work" | "idle" | "error";

/**
 * The reply to a command, or the farewell to a client that has sent too many of its kind. Recipients are not counted
 * here, which have `session.rcpt.errors`, nor failed logins (`session.auth.errors`).
 */
export function withPatience(session: Session, command: Command | undefined, answer: Reply): Reply {
  const worth = command === undefined ? "error" : worthOf(command, answer.code);
  if (worth === "work" || session.ending !== undefined) return answer;
  if (worth === "error" || ++session.idleCommands > MOST_IDLE) session.errors++;
  if (session.errors <= MOST_ERRORS) return answer;
  session.ending = "refused";
  session.deps.emit("smtp.too-many-errors", { session: session.id, remoteIp: session.connection.remote.ip });
  return reply(421, "4.7.0", "Too many commands that lead nowhere, closing");
}

/** A message has ended: the count begins anew. */
export function renewPatience(session: Session): void {
  session.errors = 0;
  session.idleCommands = 0;
}

function worthOf(command: Command, code: number): Worth {
  switch (command.verb) {
    case "RCPT":
    case "DATA":
      // What a pipelining client sends behind a refused MAIL is no fault of its own.
      return code === 503 ? "idle" : "work";
    case "BDAT":
      return code === 503 || (command.size === 0 && !command.last) ? "idle" : "work";
    case "MAIL":
    case "STARTTLS":
      return code >= 500 ? "error" : "work";
    case "AUTH":
      return code >= 500 && code !== 535 ? "error" : "work";
    case "QUIT":
      return "work";
    default:
      return "idle";
  }
}
