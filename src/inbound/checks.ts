/**
 * Checks of who sends. Lookups about the client start as soon as their subject is known and run beside the session;
 * they are awaited where a `strict` setting has to decide, and otherwise once the message is there.
 */

import { type AuthResults, checkIprev, checkSpf, type DkimResult } from "../authentication/mod.ts";
import type { Content, ParsedHeader } from "../message/mod.ts";
import { formatMessageId, type MessageId } from "../queue/mod.ts";
import type { Reply } from "../smtp/mod.ts";
import { type CheckedMessage, emitArc, emitDkim, emitDmarc, emitIprev, emitSpf } from "./check_events.ts";
import { refuseArc, refuseDkim, refuseDmarc, refuseIprev, refuseSpf } from "./check_refusals.ts";
import type { Checks } from "./dependencies.ts";
import { reportFailures } from "./failure_reports.ts";
import type { Session, Transaction } from "./session.ts";

/** Starts the reverse lookup, at connect. Its failure is told at MAIL, so that nobody waits for the greeting. */
export async function startIprev(session: Session, { context }: Checks): Promise<void> {
  if (await session.evaluate(session.deps.config.checks.iprev) === "disable") return;
  const lookup = checkIprev(session.connection.remote.ip, context);
  session.iprev = observed(session, lookup, emitIprev);
}

/**
 * Starts SPF of the EHLO name.
 *
 * @returns the refusal, if the setting is strict
 */
export async function checkEhlo(session: Session, { context }: Checks): Promise<Reply | undefined> {
  const mode = await session.evaluate(session.deps.config.checks.spfEhlo);
  session.spfEhlo = undefined;
  if (mode === "disable") return undefined;
  await over(session.lastSpfEhlo);
  const result = observed(session, checkSpf({ identity: "helo", ...(await subject(session, "")) }, context), emitSpf);
  session.spfEhlo = session.lastSpfEhlo = result;
  return mode === "strict" ? refuseSpf(await result) : undefined;
}

/**
 * Starts SPF of the return path that the client gave.
 *
 * @returns the refusal by this check or that of the reverse lookup, if strict
 */
export async function checkMailFrom(
  session: Session,
  sender: string,
  { context }: Checks,
): Promise<Reply | undefined> {
  const { checks } = session.deps.config;
  const mode = await session.evaluate(checks.spfMailFrom);
  session.spfMailFrom = undefined;
  if (mode !== "disable") {
    await over(session.lastSpfMailFrom);
    const lookup = checkSpf({ identity: "mailfrom", ...(await subject(session, sender)) }, context);
    session.spfMailFrom = session.lastSpfMailFrom = observed(session, lookup, emitSpf);
  }
  if (session.iprev !== undefined && await session.evaluate(checks.iprev) === "strict") {
    const refusal = refuseIprev(await session.iprev);
    if (refusal !== undefined) return refusal;
  }
  if (mode !== "strict" || session.spfMailFrom === undefined) return undefined;
  const spfMailFrom = await session.spfMailFrom;
  const refusal = refuseSpf(spfMailFrom);
  const { failureReporting } = session.deps;
  if (refusal !== undefined && failureReporting !== undefined) {
    const unsent = { recipients: [], envelopeId: undefined, head: undefined };
    await reportFailures(session, failureReporting, { results: { spfMailFrom }, sender, ...unsent, refusal });
  }
  return refusal;
}

/**
 * Waits for a check that was started before: a client that names one sender after the other has the lookups for one of
 * them made at a time.
 */
function over(check: Promise<unknown> | undefined): Promise<unknown> | undefined {
  return check?.catch(() => {});
}

async function subject(session: Session, sender: string) {
  const { config } = session.deps;
  return {
    ip: session.connection.remote.ip,
    helo: session.heloDomain,
    sender,
    receiver: await session.evaluate(config.connect.hostname),
  };
}

/** A result that is told when it comes, and may be left alone until somebody asks for it. */
function observed<T>(
  session: Session,
  lookup: Promise<T>,
  tell: (session: Session, result: T, elapsed: number) => void,
): Promise<T> {
  const { clock } = session.deps;
  const started = clock.now();
  const result = lookup.then((value) => {
    tell(session, value, clock.now() - started);
    return value;
  });
  // Whoever awaits it hears of a failure; a session that ends before that must not bring the process down.
  result.catch(() => {});
  return result;
}

/**
 * Checks a message that has arrived, and keeps everything that is known about who sent it in the session.
 *
 * @returns the refusal, if a check that is strict says so
 */
export async function checkMessage(
  session: Session,
  transaction: Transaction,
  message: { readonly id: MessageId; readonly content: Content; readonly header: ParsedHeader },
  { context, verifySignatures, evaluateDmarc, dmarcObserver }: Checks,
): Promise<Reply | undefined> {
  const { content, header } = message;
  const { clock, config } = session.deps;
  const started = clock.now();
  const dkimMode = await session.evaluate(config.checks.dkim);
  const arcMode = await session.evaluate(config.checks.arc);
  const dmarcMode = await session.evaluate(config.checks.dmarc);
  const dkim = dkimMode !== "disable";
  const arc = arcMode !== "disable";
  const signatures = dkim || arc
    ? verifySignatures({ content, header }, { dkim, arc, strict: config.checks.dkimStrict }, context)
    : undefined;
  const known: Mutable<AuthResults> = { ...await signatures };
  session.authentication = known;
  if (session.iprev !== undefined) known.iprev = await session.iprev;
  if (session.spfEhlo !== undefined) known.spfEhlo = await session.spfEhlo;
  if (session.spfMailFrom !== undefined) known.spfMailFrom = await session.spfMailFrom;
  if (dmarcMode !== "disable") known.dmarc = await evaluateDmarc(header, known, context);
  const about: CheckedMessage = {
    session,
    transaction,
    id: formatMessageId(message.id),
    elapsed: clock.now() - started,
  };
  if (known.dkim !== undefined) emitDkim(about, known.dkim);
  if (known.arc !== undefined) emitArc(about, known.arc);
  if (known.dmarc !== undefined) emitDmarc(about, known.dmarc);
  const byPolicy = dmarcMode === "strict" && known.dmarc !== undefined ? refuseDmarc(known.dmarc) : undefined;
  const refusal =
    (dkimMode === "strict" && known.dkim !== undefined ? await refusedForDkim(session, known.dkim) : undefined) ??
      (arcMode === "strict" && known.arc !== undefined ? refuseArc(known.arc) : undefined) ?? byPolicy;
  if (dmarcObserver !== undefined && known.dmarc?.record !== undefined) {
    const { dmarc } = known;
    // Who has logged in is no stranger to report on, and what is put off comes again.
    if (session.account === undefined && refusal?.code !== 451) {
      dmarcObserver.observe({
        ip: session.connection.remote.ip,
        sender: transaction.sender,
        results: { ...known, dmarc },
        refused: byPolicy !== undefined,
      });
    }
  }
  return refusal;
}

/** RFC 6651 §3.3, step 10: a signer may have something to say to the client that is refused. */
async function refusedForDkim(session: Session, results: readonly DkimResult[]): Promise<Reply | undefined> {
  const refusal = refuseDkim(results);
  const { failureReporting } = session.deps;
  if (refusal?.code !== 550 || failureReporting === undefined) return refusal;
  const asking = results.find(({ reportRequested }) => reportRequested);
  // Without reports about DKIM nobody waits for DNS here.
  if (asking === undefined || await session.evaluate(failureReporting.settings.dkim.send) === false) return refusal;
  const text = await failureReporting.reports.refusalText(asking.domain);
  return text === undefined ? refusal : { ...refusal, text: [...refusal.text, `${asking.domain} explains:`, text] };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What is known about the client and the sender before there is a message; waits for what is under way. */
export async function resultsSoFar(session: Session): Promise<AuthResults> {
  if (session.authentication !== undefined) return session.authentication;
  const iprev = await session.iprev;
  const spfEhlo = await session.spfEhlo;
  const spfMailFrom = await session.spfMailFrom;
  return {
    ...(iprev === undefined ? {} : { iprev }),
    ...(spfEhlo === undefined ? {} : { spfEhlo }),
    ...(spfMailFrom === undefined ? {} : { spfMailFrom }),
  };
}
