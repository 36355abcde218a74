/** Results of checks as events, with what reports and logs need. */

import type { ArcResult, DkimResult, DmarcResult, IprevResult, SpfResult } from "../authentication/mod.ts";
import type { EventName } from "../telemetry/event.ts";
import type { Session, Transaction } from "./session.ts";

const SPF_EVENTS: Readonly<Record<SpfResult["result"], EventName>> = {
  none: "spf.none",
  neutral: "spf.neutral",
  pass: "spf.pass",
  fail: "spf.fail",
  softfail: "spf.soft-fail",
  temperror: "spf.temp-error",
  permerror: "spf.perm-error",
};

const DKIM_EVENTS: Readonly<Record<DkimResult["result"], EventName>> = {
  none: "dkim.none",
  pass: "dkim.pass",
  fail: "dkim.fail",
  policy: "dkim.neutral",
  neutral: "dkim.neutral",
  temperror: "dkim.temp-error",
  permerror: "dkim.perm-error",
};

const DMARC_EVENTS: Readonly<Record<DmarcResult["result"], EventName>> = {
  none: "dmarc.none",
  pass: "dmarc.pass",
  fail: "dmarc.fail",
  temperror: "dmarc.temp-error",
  permerror: "dmarc.perm-error",
};

/** Tells of the reverse lookup; `elapsed` in milliseconds, here and below. */
export function emitIprev({ deps, id, connection }: Session, result: IprevResult, elapsed: number): void {
  const fields = { session: id, remoteIp: connection.remote.ip, name: result.name, reason: result.reason, elapsed };
  switch (result.result) {
    case "pass":
      deps.emit("iprev.pass", fields);
      deps.emit("smtp.iprev-pass", fields);
      return;
    case "fail":
      deps.emit("iprev.fail", fields);
      deps.emit("smtp.iprev-fail", fields);
      return;
    case "temperror":
      deps.emit("iprev.temp-error", fields);
      return;
    case "permerror":
      deps.emit(result.name === "" ? "iprev.none" : "iprev.perm-error", fields);
      return;
  }
}

/** Tells of SPF of one identity. */
export function emitSpf({ deps, id, connection, heloDomain }: Session, result: SpfResult, elapsed: number): void {
  const fields = {
    session: id,
    remoteIp: connection.remote.ip,
    identity: result.identity,
    domain: result.domain,
    from: result.sender,
    helo: heloDomain,
    result: result.result,
    mechanism: result.mechanism,
    reason: result.reason,
    elapsed,
  };
  deps.emit(SPF_EVENTS[result.result], fields);
  const ofHelo = result.identity === "helo";
  if (result.result === "pass") deps.emit(ofHelo ? "smtp.spf-ehlo-pass" : "smtp.spf-from-pass", fields);
  if (result.result === "fail") deps.emit(ofHelo ? "smtp.spf-ehlo-fail" : "smtp.spf-from-fail", fields);
}

/** Where and when a message was checked. */
export interface CheckedMessage {
  readonly session: Session;
  readonly transaction: Transaction;
  /** As people see it. */
  readonly id: string;
  readonly elapsed: number;
}

function fieldsOf({ session, transaction, id, elapsed }: CheckedMessage) {
  return { session: session.id, id, remoteIp: session.connection.remote.ip, from: transaction.sender, elapsed };
}

/** Tells of each DKIM signature, and of all of them together. */
export function emitDkim(message: CheckedMessage, results: readonly DkimResult[]): void {
  const { emit } = message.session.deps;
  const common = fieldsOf(message);
  const domains: string[] = [];
  const failed: string[] = [];
  for (const { result, domain, selector, algorithm, auid, testing, reportRequested, reason } of results) {
    emit(DKIM_EVENTS[result], {
      ...common,
      domain,
      selector,
      algorithm,
      auid,
      testing,
      reportRequested,
      result,
      reason,
    });
    if (result === "pass") domains.push(domain);
    else if (result !== "none") failed.push(domain);
  }
  if (domains.length > 0) emit("smtp.dkim-pass", { ...common, domains });
  else if (failed.length > 0) emit("smtp.dkim-fail", { ...common, domains: failed });
}

/** Tells of the ARC chain, if there is one. */
export function emitArc(message: CheckedMessage, result: ArcResult): void {
  if (result.result === "none") return;
  const { instance, domain, selector, oldestPass, reason } = result;
  const fields = { ...fieldsOf(message), instance, domain, selector, oldestPass, reason };
  message.session.deps.emit(result.result === "pass" ? "smtp.arc-pass" : "smtp.arc-fail", fields);
}

/** Tells of DMARC. */
export function emitDmarc(message: CheckedMessage, result: DmarcResult): void {
  const { emit } = message.session.deps;
  const fields = {
    ...fieldsOf(message),
    to: message.transaction.addresses,
    fromDomain: result.fromDomain,
    domain: result.record?.domain,
    record: result.record?.text,
    policy: result.policy,
    disposition: result.disposition,
    override: result.override,
    spfAligned: result.spfAligned,
    dkimAligned: result.dkimAligned,
    reason: result.reason,
  };
  emit(DMARC_EVENTS[result.result], fields);
  if (result.result === "pass") emit("smtp.dmarc-pass", fields);
  if (result.result === "fail") emit("smtp.dmarc-fail", fields);
}
