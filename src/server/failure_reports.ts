/** Reports of single messages that failed authentication, in a running server. */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import type { Resolver } from "../dns/mod.ts";
import type { FunctionHost, Setting } from "../expression/mod.ts";
import type { FailureReporting } from "../inbound/mod.ts";
import { createFailureReports, type FailureReports } from "../report/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { RateCounter } from "../throttle/mod.ts";
import type { ReportSender } from "./report_sender.ts";
import { VERSION } from "./version.ts";

/** What {@link startFailureReports} needs. */
export interface FailureReportOptions {
  readonly sender: ReportSender;
  readonly resolver: Resolver;
  readonly clock: Clock;
  readonly rates: Pick<RateCounter, "take">;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly emit: Emit;
}

/** Makes what sends reports; `current` gives the configuration in force. */
export function startFailureReports(current: () => Config, options: FailureReportOptions): FailureReports {
  const { sender, resolver, clock, rates, random, emit } = options;
  const ownKey = crypto.getRandomValues(new Uint8Array(32));
  return createFailureReports({
    resolver,
    clock,
    rates,
    send: (mail, sign) => sender.send([{ mail, sign }]),
    hostname: current().server.hostname,
    userAgent: `godwit/${VERSION}`,
    redactionKey: () => {
      const { redact, redactKey } = current().report;
      if (!redact) return undefined;
      return redactKey === undefined ? ownKey : Buffer.from(redactKey);
    },
    random,
    emit,
  });
}

/** What sessions report by; undefined if no failure of any kind is ever reported, so that nothing is paid for it. */
export function failureReporting(
  { report }: Config,
  reports: FailureReports,
  { functions, random }: { readonly functions: FunctionHost; readonly random: () => number },
): FailureReporting | undefined {
  const { dkim, spf, dmarc, domain } = report;
  const isOff = (send: Setting<unknown>) => send.isConstant && send.evaluate({ variables: {}, functions }) === false;
  if ([dkim, spf, dmarc].every(({ send }) => isOff(send))) return undefined;
  return { reports, settings: { dkim, spf, dmarc }, domain, random };
}
