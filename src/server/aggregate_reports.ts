/** Aggregate reports of a running server: what is counted for them, and how they are sent. */

import type { DmarcObserver } from "../authentication/mod.ts";
import type { Clock } from "../clock/mod.ts";
import type { AggregateReportConfig, Config } from "../config/mod.ts";
import type { Resolver } from "../dns/mod.ts";
import type { FunctionHost, Scope } from "../expression/mod.ts";
import type { TlsResults } from "../outbound/mod.ts";
import {
  type AggregateKind,
  createDmarcRecorder,
  createSubmission,
  createTlsResultRecorder,
  makeDmarcReport,
  makeTlsReport,
  type MakingWorld,
  type Reporter,
  startSending,
} from "../report/mod.ts";
import { asAddress } from "../smtp/mod.ts";
import type { Store } from "../store/mod.ts";
import { type Emit, emitEvaluationErrors } from "../telemetry/event.ts";
import type { ReportSender } from "./report_sender.ts";
import { VERSION } from "./version.ts";

/** What {@link startAggregateReports} needs. */
export interface AggregateReportOptions {
  readonly store: Store;
  readonly sender: ReportSender;
  readonly resolver: Resolver;
  readonly functions: FunctionHost;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly emit: Emit;
}

/** Aggregate reports. */
export interface AggregateReports {
  /** Counts results of DMARC; undefined while no domain is to get reports, so that nothing is paid for them. */
  readonly dmarc: DmarcObserver | undefined;
  /** Counts results of TLS. */
  readonly tls: TlsResults;
  /** Uses another configuration from now on; `report.domain` stays. */
  reconfigure(config: Config): void;
  /** Writes what has been counted, and stops. */
  close(): Promise<void>;
}

/** Begins to count and to send. */
export function startAggregateReports(initial: Config, options: AggregateReportOptions): AggregateReports {
  const { store, sender, resolver, functions, clock, random, emit } = options;
  const { domain } = initial.report;
  let config = initial;
  const settingsOf = (kind: AggregateKind) =>
    kind === "dmarc" ? config.report.dmarcAggregate : config.report.tlsAggregate;
  const scopeFor = (about: string): Scope => ({
    variables: { rcpt_domain: about },
    functions,
    onError: emitEvaluationErrors(emit, { domain: about }),
  });
  const recording = (kind: AggregateKind) => ({
    store,
    clock,
    reporter: domain,
    intervalOf: (about: string) => settingsOf(kind).send.evaluate(scopeFor(about)),
  });
  // Where nobody gets reports nothing is paid for them.
  const isOff = (kind: AggregateKind) => {
    const { send } = settingsOf(kind);
    return send.isConstant && send.evaluate(scopeFor("")) === "never";
  };
  let tlsIsOff = isOff("tls");
  const dmarc = createDmarcRecorder(recording("dmarc"));
  const tls = createTlsResultRecorder(recording("tls"));

  const reporterFor = async (kind: AggregateKind, about: string): Promise<Reporter> => {
    const settings = settingsOf(kind);
    const scope = scopeFor(about);
    const contactInfo = await settings.contactInfo.evaluate(scope);
    return {
      submitter: await config.report.submitter.evaluate(scope),
      from: { name: await settings.fromName.evaluate(scope), address: await fromAddress(kind, settings, scope) },
      orgName: await settings.orgName.evaluate(scope),
      ...(contactInfo === false || contactInfo === "" ? {} : { contactInfo }),
      maxSize: await settings.maxSize.evaluate(scope),
      sign: await settings.sign.evaluate(scope),
    };
  };
  const fromAddress = async (
    kind: AggregateKind,
    { fromAddress: { key }, fromAddress: setting }: AggregateReportConfig,
    scope: Scope,
  ): Promise<string> => {
    const written = await setting.evaluate(scope);
    const address = asAddress(written);
    if (address !== undefined) return address;
    const plain = `noreply-${kind}@${domain}`;
    emit("eval.wrong-value", { key, reason: `'${written}' is no address; ${plain} is used` });
    return plain;
  };

  const world: MakingWorld = { store, resolver, domain, generator: `godwit ${VERSION}`, emit };
  const sending = startSending({
    store,
    clock,
    owner: `${initial.cluster.nodeId} ${clock.now().toString(36)}${Math.floor(random() * 36 ** 6).toString(36)}`,
    reporterFor,
    make: (report, reporter) =>
      report.kind === "dmarc" ? makeDmarcReport(report, reporter, world) : makeTlsReport(report, reporter, world),
    send: async ([first, ...others], rows) => first === undefined ? [] : await sender.send([first, ...others], rows),
    post: createSubmission({ resolver, clock }),
    emit,
  });

  return {
    get dmarc() {
      return isOff("dmarc") ? undefined : dmarc;
    },
    tls: {
      record(result) {
        if (!tlsIsOff) tls.record(result);
      },
    },
    reconfigure(next) {
      config = next;
      tlsIsOff = isOff("tls");
    },
    async close() {
      await sending.close();
      await Promise.all([dmarc.close(), tls.close()]);
    },
  };
}
