/** EHLO, HELO, LHLO, and which extensions a session offers. */

import {
  type Command,
  isAddressLiteral,
  isFqdn,
  NOTHING_OFFERED,
  type Offered,
  type Reply,
  reply,
} from "../smtp/mod.ts";
import { offeredMechanisms } from "./auth.ts";
import { checkEhlo } from "./checks.ts";
import { filterStage } from "./filters.ts";
import type { Session } from "./session.ts";

type HelloCommand = Extract<Command, { verb: "EHLO" | "HELO" | "LHLO" }>;

/** Answers EHLO, HELO and LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1). */
export async function hello(session: Session, command: HelloCommand): Promise<Reply> {
  const { config } = session.deps;
  if (session.lmtp !== (command.verb === "LHLO")) {
    return session.lmtp
      ? session.refuse("smtp.lhlo-expected", reply(500, "5.5.1", "This is LMTP, say LHLO"))
      : session.refuse("smtp.ehlo-expected", reply(500, "5.5.1", "This is SMTP, say EHLO or HELO"));
  }
  const domain = command.domain;
  if (!isFqdn(domain) && !isAddressLiteral(domain) && await session.evaluate(config.ehlo.rejectNonFqdn)) {
    session.deps.emit("smtp.invalid-ehlo", {
      session: session.id,
      remoteIp: session.connection.remote.ip,
      domain,
    });
    return reply(550, "5.5.0", `${domain} is neither a fully qualified domain name nor an address literal`);
  }
  // RFC 5321 §4.1.4: a new EHLO resets the session as RSET does.
  session.resetTransaction();
  session.heloDomain = domain;
  session.extended = command.verb !== "HELO";
  session.variables.helo_domain = domain;
  session.offered = NOTHING_OFFERED;
  await session.refreshLimits();
  const hostname = await session.evaluate(config.connect.hostname);
  if (session.deps.checks !== undefined) {
    const refusal = await checkEhlo(session, session.deps.checks);
    if (refusal !== undefined) {
      const remoteIp = session.connection.remote.ip;
      session.deps.emit("smtp.invalid-ehlo", { session: session.id, remoteIp, domain, reason: refusal.text[0] });
      return forget(session, refusal);
    }
  }
  if (session.filters !== undefined) {
    const filtered = await filterStage(session, session.filters, "ehlo", session.fate);
    if (filtered.kind === "refused") return forget(session, filtered.reply);
  }
  session.deps.emit("smtp.ehlo", { session: session.id, remoteIp: session.connection.remote.ip, domain });
  if (!session.extended) return reply(250, "", hostname);
  return reply(250, "", `${hostname} Hello ${domain}`, ...await extensions(session));
}

/** After a refusal the client has said nothing. */
function forget(session: Session, refusal: Reply): Reply {
  session.heloDomain = "";
  session.extended = false;
  session.spfEhlo = undefined;
  session.variables.helo_domain = "";
  return refusal;
}

/** Evaluates which extensions this session offers, remembers them, and gives their EHLO lines. */
async function extensions(session: Session): Promise<string[]> {
  const { config, clock } = session.deps;
  const settings = config.extensions;
  const lines: string[] = [];
  if (await session.evaluate(settings.pipelining)) lines.push("PIPELINING");
  lines.push(`SIZE ${await session.evaluate(config.data.limits.size)}`, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES");
  if (session.connection.tls === undefined && session.connection.canStartTls) lines.push("STARTTLS");
  const mechanisms = await offeredMechanisms(session);
  if (mechanisms.length > 0) lines.push(`AUTH ${mechanisms.map((name) => name.toUpperCase()).join(" ")}`);
  const chunking = await session.evaluate(settings.chunking);
  if (chunking) lines.push("CHUNKING", "BINARYMIME");
  if (await session.evaluate(settings.dsn)) lines.push("DSN");
  if (session.connection.tls !== undefined && await session.evaluate(settings.requiretls)) lines.push("REQUIRETLS");
  const soliciting = await session.evaluate(settings.noSoliciting);
  if (soliciting !== false) lines.push(soliciting === "" ? "NO-SOLICITING" : `NO-SOLICITING ${soliciting}`);
  const hold = await session.evaluate(settings.futureRelease);
  if (hold !== false) {
    // RFC 4865 §4: the longest interval in seconds and the latest date-time.
    const latest = new Date(clock.now() + hold).toISOString().replace(/\.\d+Z$/, "Z");
    lines.push(`FUTURERELEASE ${Math.floor(hold / 1000)} ${latest}`);
  }
  const deliverBy = await session.evaluate(settings.deliverBy);
  if (deliverBy !== false) lines.push("DELIVERBY");
  const priority = await session.evaluate(settings.mtPriority);
  if (priority !== false) lines.push(`MT-PRIORITY ${priority.toUpperCase()}`);
  if (await session.evaluate(settings.vrfy)) lines.push("VRFY");
  if (await session.evaluate(settings.expn)) lines.push("EXPN");
  const limits = [
    ...limit("RCPTMAX", await session.evaluate(config.rcpt.maxRecipients)),
    ...limit("MAILMAX", await session.evaluate(config.data.limits.messages)),
  ];
  if (limits.length > 0) lines.push(`LIMITS ${limits.join(" ")}`);
  lines.push("HELP");
  return lines;
}

/** RFC 9422 §4: a limit has one to six digits and is not 0; what does not fit is not worth announcing. */
function limit(name: string, value: number): readonly string[] {
  return value >= 1 && value <= 999_999 ? [`${name}=${Math.floor(value)}`] : [];
}

/**
 * What MAIL and RCPT parameters this session takes now. Evaluated when a client uses one, so that a value which depends
 * on `authenticated_as` works without a second EHLO.
 */
export async function offeredNow(session: Session): Promise<Offered> {
  if (!session.extended) return NOTHING_OFFERED;
  const settings = session.deps.config.extensions;
  return {
    size: true,
    body: true,
    binarymime: await session.evaluate(settings.chunking),
    smtputf8: true,
    dsn: await session.evaluate(settings.dsn),
    auth: session.account !== undefined || (await offeredMechanisms(session)).length > 0,
    requiretls: session.connection.tls !== undefined && await session.evaluate(settings.requiretls),
    futureRelease: await session.evaluate(settings.futureRelease) !== false,
    deliverBy: await session.evaluate(settings.deliverBy) !== false,
    mtPriority: await session.evaluate(settings.mtPriority) !== false,
    solicit: await session.evaluate(settings.noSoliciting) !== false,
  };
}
