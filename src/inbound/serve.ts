/** Runs a session from its greeting to its end. */

import { LookupUnavailable } from "../expression/mod.ts";
import type { ServerConnection } from "../net/mod.ts";
import { type Command, parseCommand, type Reply, reply } from "../smtp/mod.ts";
import type { EventName } from "../telemetry/event.ts";
import { authenticate } from "./auth.ts";
import { bdat } from "./chunking.ts";
import { greet } from "./connect.ts";
import { data } from "./data.ts";
import type { InboundDependencies } from "./dependencies.ts";
import { hello } from "./ehlo.ts";
import { openFilters, remarkOnUnknown } from "./filters.ts";
import { mail } from "./mail.ts";
import { renewPatience, withPatience } from "./patience.ts";
import { expn, help, readQuery, vrfy } from "./query.ts";
import { rcpt } from "./rcpt.ts";
import { type EndReason, Session, SessionEnded } from "./session.ts";
import { tapCommand, tapContent, tapNote } from "./tap.ts";

/**
 * Longest command line, octets with CRLF. RFC 5321 §4.5.3.1.4 asks for 512; parameters add to it (RFC 3461 §5.2 and
 * 5.4, RFC 4954 §5), and an initial AUTH response may need 12,288 (RFC 4954 §4).
 */
const LONGEST_COMMAND = 4096;
const LONGEST_AUTH_COMMAND = 12288;

let sessionCount = 0;

/**
 * Serves one client. Resolves when the session has ended and the connection is closed; never rejects.
 *
 * @param onSession is given the session, so that a stop can reach it
 */
export async function serveSession(
  connection: ServerConnection,
  deps: InboundDependencies,
  onSession: (session: Session) => void = () => {},
): Promise<void> {
  const session = new Session(connection, deps, (++sessionCount).toString(36));
  const fields = { session: session.id, listener: connection.listener, remoteIp: connection.remote.ip };
  session.filters = openFilters(session);
  onSession(session);
  deps.emit("smtp.connection-start", { ...fields, remotePort: connection.remote.port });
  tapEvent(session, "connected");
  let reason: EndReason = "broken";
  try {
    reason = await run(session);
  } catch (error) {
    if (error instanceof SessionEnded) {
      reason = error.reason;
    } else {
      deps.emit("server.unexpected-error", {
        ...fields,
        reason: error instanceof Error ? error.stack ?? error.message : `${error}`,
      });
      await lastWord(session, reply(421, "4.3.0", "Internal error, closing"));
    }
  }
  session.dispose();
  // A session that was ended from outside closes itself once its last reply is out.
  if (!session.expired) connection.close();
  tapEvent(session, `connection closed: ${reason}`, true);
  deps.emit("smtp.connection-end", {
    ...fields,
    reason,
    commands: session.commands,
    elapsed: deps.clock.now() - session.started,
  });
}

async function lastWord(session: Session, farewell: Reply): Promise<void> {
  try {
    session.send(farewell);
    await session.flush();
  } catch {
    // The client is gone; there is nobody left to tell.
  }
}

async function run(session: Session): Promise<EndReason> {
  const greeted = await safely(session, () => greet(session));
  // RFC 5321 §4.2.4.2 and 4.3.2: a server that cannot serve now says 421 and closes.
  const greeting = greeted === UNAVAILABLE ? reply(421, "4.3.0", "A lookup failed for now, closing") : greeted;
  session.send(greeting, { enhanced: greeting.code >= 400 });
  if (greeting.code >= 400) session.ending = "refused";
  while (session.ending === undefined) {
    session.idle = session.transaction === undefined && session.input.length === 0;
    if (session.idle && session.farewell !== undefined) {
      session.send(session.farewell);
      session.ending = "shutdown";
      break;
    }
    const line = await session.readLine(LONGEST_AUTH_COMMAND);
    session.idle = false;
    session.commands++;
    const { messages } = session;
    await execute(session, line);
    if (session.messages !== messages) renewPatience(session);
    if (session.outputFull || session.mustFlush) await session.flush();
  }
  await session.flush();
  return session.ending;
}

function tapEvent(session: Session, text: string, end = false): void {
  const tap = session.deps.wire?.tap;
  if (tap !== undefined) tapNote(tap, session, text, end);
}

async function execute(session: Session, line: Uint8Array | "too-long"): Promise<void> {
  const tap = session.deps.wire?.tap;
  if (tap !== undefined) tapCommand(tap, session, line);
  if (line === "too-long" || (line.length > LONGEST_COMMAND - 2 && !isAuth(line))) {
    const tooLong = session.refuse("smtp.request-too-large", reply(500, "5.5.2", "Command line is too long"));
    session.send(withPatience(session, undefined, tooLong));
    return;
  }
  const parsed = parseCommand(line);
  if (parsed.kind === "error") {
    session.deps.emit(parsed.unknown === true ? "smtp.invalid-command" : "smtp.syntax-error", {
      session: session.id,
      remoteIp: session.connection.remote.ip,
      verb: parsed.verb,
      code: parsed.reply.code,
      reason: parsed.reply.text[0],
    });
    const said = parsed.unknown === true && session.filters !== undefined
      ? await remarkOnUnknown(session, session.filters, line)
      : undefined;
    session.send(withPatience(session, undefined, said ?? parsed.reply));
    return;
  }
  const { command } = parsed;
  if (command.verb === "STARTTLS") return await startTls(session, command);
  if (command.verb === "DATA" || command.verb === "BDAT") {
    const content = () => command.verb === "BDAT" ? bdat(session, command) : data(session);
    const before = session.transferred;
    const answers = await safelyAll(session, content);
    if (tap !== undefined && session.transferred > before) tapContent(tap, session, session.transferred - before);
    for (const answer of answers) session.send(withPatience(session, command, answer));
    return;
  }
  const answer = withPatience(session, command, await safely(session, () => dispatch(session, command)));
  // RFC 2034 §3: replies to the greeting, HELO and EHLO carry no enhanced code.
  const hello = command.verb === "EHLO" || command.verb === "HELO" || command.verb === "LHLO";
  const query = command.verb === "VRFY" || command.verb === "EXPN";
  session.send(answer, {
    enhanced: !hello || answer.code >= 400,
    ...(query && readQuery(session, command).utf8 ? { utf8: true } : {}),
  });
}

function isAuth(line: Uint8Array): boolean {
  return /^auth /i.test(String.fromCharCode(...line.subarray(0, 5)));
}

function dispatch(session: Session, command: Command): Promise<Reply> | Reply {
  switch (command.verb) {
    case "EHLO":
    case "HELO":
    case "LHLO":
      return hello(session, command);
    case "AUTH":
      return authenticate(session, command);
    case "MAIL":
      return mail(session, command);
    case "RCPT":
      return rcpt(session, command);
    case "RSET":
      session.resetTransaction();
      return reply(250, "2.0.0", "OK");
    case "NOOP":
      return reply(250, "2.0.0", "OK");
    case "HELP":
      return help(session);
    case "VRFY":
      return vrfy(session, command);
    case "EXPN":
      return expn(session, command);
    case "QUIT":
      session.ending = "quit";
      return reply(221, "2.0.0", "Bye");
    default:
      return reply(500, "5.5.1", "Command not recognized");
  }
}

/** RFC 3207. */
async function startTls(session: Session, command: Command): Promise<void> {
  const refuse = (event: EventName, answer: Reply) =>
    session.send(withPatience(session, command, session.refuse(event, answer)));
  if (session.connection.tls !== undefined) {
    return refuse("smtp.start-tls-already", reply(503, "5.5.1", "TLS is active already"));
  }
  if (!session.connection.canStartTls) {
    return refuse("smtp.start-tls-unavailable", reply(502, "5.5.1", "STARTTLS is not offered here"));
  }
  session.send(reply(220, "2.0.0", "Ready to start TLS"));
  await session.flush();
  // RFC 3207 §4.2: whatever was sent in clear text behind STARTTLS is dropped, not obeyed later.
  session.input.clear();
  session.resetAll();
  const fields = { session: session.id, listener: session.connection.listener, remoteIp: session.connection.remote.ip };
  try {
    const tls = await session.connection.startTls();
    session.variables.is_tls = true;
    tapEvent(session, `TLS agreed: ${tls.version}`);
    session.deps.emit("tls.handshake", { ...fields, version: tls.version, cipher: tls.cipher });
  } catch (error) {
    session.deps.emit("tls.handshake-error", {
      ...fields,
      reason: error instanceof Error ? error.message : `${error}`,
    });
    throw new SessionEnded("broken");
  }
}

const UNAVAILABLE = reply(451, "4.3.0", "A lookup failed for now, try again later");

async function safely(session: Session, stage: () => Promise<Reply> | Reply): Promise<Reply> {
  try {
    return await stage();
  } catch (error) {
    if (!(error instanceof LookupUnavailable)) throw error;
    session.deps.emit("eval.lookup-unavailable", { session: session.id, reason: error.message });
    return UNAVAILABLE;
  }
}

async function safelyAll(session: Session, stage: () => Promise<readonly Reply[]>): Promise<readonly Reply[]> {
  try {
    return await stage();
  } catch (error) {
    if (!(error instanceof LookupUnavailable)) throw error;
    session.deps.emit("eval.lookup-unavailable", { session: session.id, reason: error.message });
    return [UNAVAILABLE];
  }
}
