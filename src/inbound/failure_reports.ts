/** Telling domains of single messages that failed authentication (`report.dkim`, `report.spf`, `report.dmarc`). */

import type { AuthResults } from "../authentication/mod.ts";
import { firstField, parseHeader } from "../message/mod.ts";
import { failureCases, type FailureSettings } from "../report/mod.ts";
import { asAddress, type Reply } from "../smtp/mod.ts";
import type { FailureReportConfig } from "../config/config.ts";
import type { FailureReporting } from "./dependencies.ts";
import type { Session } from "./session.ts";

/** What a report is about. */
export interface ReportedMessage {
  readonly results: AuthResults;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly envelopeId: string | undefined;
  /** The header, perhaps with more behind it; absent if there is none. */
  readonly head: Uint8Array | undefined;
  /** What the client is told, if nobody gets the message. */
  readonly refusal: Reply | undefined;
  /** Whether it was taken, and a filter had it dropped or held. */
  readonly isWithheld?: boolean;
}

/**
 * Has failures reported to those who want to hear of them. Nobody hears of mail of users, of reports and other automatic
 * mail (RFC 3834 §2), or of what is put off and comes again. Never rejects: the message has its answer.
 */
export async function reportFailures(
  session: Session,
  { reports, settings, domain, random }: FailureReporting,
  message: ReportedMessage,
): Promise<void> {
  const { results, sender, recipients, envelopeId, head, refusal, isWithheld = false } = message;
  if (session.account !== undefined || sender === "" || (refusal !== undefined && refusal.code < 500)) return;
  const cases = failureCases(results, random);
  if (cases.length === 0 || (head !== undefined && isAutomatic(head))) return;
  const { clock, emit } = session.deps;
  const failed = {
    ip: session.connection.remote.ip,
    sender,
    recipients,
    envelopeId,
    head,
    arrived: clock.now(),
    fate: refusal !== undefined ? "refused" : isWithheld ? "withheld" : "accepted",
  } as const;
  for (const found of cases) {
    try {
      const how = await settingsFor(session, settings[found.kind], `noreply-${found.kind}@${domain}`);
      if (how !== undefined) reports.report(failed, found, how);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      emit("outgoing-report.submission-error", { kind: found.kind, domain: found.domain, reason });
    }
  }
}

async function settingsFor(
  session: Session,
  settings: FailureReportConfig,
  plainAddress: string,
): Promise<FailureSettings | undefined> {
  const rate = await session.evaluate(settings.send);
  if (rate === false) return undefined;
  const written = await session.evaluate(settings.fromAddress);
  const address = asAddress(written);
  if (address === undefined) {
    session.deps.emit("eval.wrong-value", {
      session: session.id,
      key: settings.fromAddress.key,
      reason: `'${written}' is no address; ${plainAddress} is used`,
    });
  }
  return {
    from: { name: await session.evaluate(settings.fromName), address: address ?? plainAddress },
    subject: await session.evaluate(settings.subject),
    rate,
    sign: await session.evaluate(settings.sign),
  };
}

function isAutomatic(head: Uint8Array): boolean {
  const header = parseHeader(head);
  const submitted = firstField(header, "auto-submitted")?.value() ?? "no";
  const type = firstField(header, "content-type")?.value() ?? "";
  // RFC 7489 §7.2.1.1: aggregate reports are known by their subject, and often by nothing else.
  const subject = firstField(header, "subject")?.value() ?? "";
  return !/^no\b/i.test(submitted) || /^multipart\/report\b/i.test(type) || /^report[- ]domain:/i.test(subject);
}
