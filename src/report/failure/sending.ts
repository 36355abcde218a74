/** Sends reports of failures beside the traffic that causes them. */

import { loadPublicSuffixes } from "../../authentication/mod.ts";
import type { Clock } from "../../clock/mod.ts";
import type { Rate } from "../../config/config.ts";
import type { Resolver } from "../../dns/mod.ts";
import { LookupUnavailable } from "../../expression/mod.ts";
import { StoreUnavailable } from "../../queue/types.ts";
import type { Emit, EventName } from "../../telemetry/event.ts";
import { addressDomain } from "../../smtp/mod.ts";
import { findDestinations } from "../destination.ts";
import type { ReportMail } from "../report_mail.ts";
import type { FailureCase, FailureKind } from "./case.ts";
import { type DkimWishes, findDkimWishes, wantsToHear } from "./dkim_wishes.ts";
import { type FailedMessage, failureReport, reportedHeader } from "./feedback.ts";
import { createRedaction, type Redaction } from "./redact.ts";

/** What a report is made by, as the settings say for the message it is about. */
export interface FailureSettings {
  readonly from: { readonly name: string; readonly address: string };
  readonly subject: string;
  /** Most reports to an address. */
  readonly rate: Rate;
  /** Ids of signatures. */
  readonly sign: readonly string[];
}

/** Sends reports of failures. */
export interface FailureReports {
  /**
   * Finds out who wants to hear of a failure, and queues the report. Returns at once; what goes wrong becomes an event.
   * With too many under way it is left out.
   */
  report(failed: FailedMessage, found: FailureCase, settings: FailureSettings): void;
  /** What a signing domain wants clients to be told of a refusal (RFC 6651 §3.3, step 10). */
  refusalText(domain: string): Promise<string | undefined>;
  /** Takes no more. Waits two seconds for what is under way; what takes longer, as DNS may, is left out. */
  close(): Promise<void>;
}

/** What {@link createFailureReports} needs. */
export interface FailureReportsOptions {
  readonly resolver: Pick<Resolver, "txt">;
  readonly clock: Clock;
  /** Counts together with other nodes. */
  readonly rates: { take(key: string, rate: Rate): boolean | Promise<boolean> };
  /** Queues a report. @throws {StoreUnavailable} (rejects) */
  send(mail: ReportMail, sign: readonly string[]): Promise<readonly string[]>;
  /** `server.hostname` */
  readonly hostname: string;
  readonly userAgent: string;
  /** Key of the hash that stands for recipients; absent: they are told. */
  readonly redactionKey: () => Uint8Array | undefined;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly emit: Emit;
}

/** Reports that are made at a time. */
const MOST_PENDING = 100;
/** How long the end of the program waits for reports, in milliseconds. */
const PATIENCE = 2_000;
/** Addresses that get a report; so many times as many go to all addresses of an organization together. */
const MOST_PLACES = 5;

const SENT: Readonly<Record<FailureKind, EventName>> = {
  dkim: "outgoing-report.dkim-report",
  spf: "outgoing-report.spf-report",
  dmarc: "outgoing-report.dmarc-report",
};

const LIMITED: Readonly<Record<FailureKind, EventName>> = {
  dkim: "outgoing-report.dkim-rate-limited",
  spf: "outgoing-report.spf-rate-limited",
  dmarc: "outgoing-report.dmarc-rate-limited",
};

/** A mailbox that wants the report, and the octets it takes. */
interface Place {
  readonly address: string;
  readonly limit: number;
}

/** Makes {@link FailureReports}. */
export function createFailureReports(options: FailureReportsOptions): FailureReports {
  const { resolver, clock, rates, send, hostname, userAgent, redactionKey, random, emit } = options;
  const pending = new Set<Promise<void>>();
  let closed = false;

  const placesFor = async ({ kind, domain, wishes }: FailureCase): Promise<readonly Place[]> => {
    if (wishes.from === "spf") return [{ address: wishes.address, limit: Infinity }];
    if (wishes.from === "dkim") {
      const wanted: DkimWishes | undefined = await findDkimWishes(domain, resolver);
      const address = wanted?.address;
      return wanted === undefined || address === undefined || !wantsToHear(wanted, wishes.fault, random)
        ? []
        : [{ address, limit: Infinity }];
    }
    const found = await findDestinations(wishes.uris, { domain, tag: "ruf", resolver });
    for (const uri of found.unauthorized) emit("outgoing-report.unauthorized-reporting-address", { domain, uri });
    for (const uri of found.unknown) {
      const reason = `DNS could not say for now whether ${uri} may get reports`;
      emit("outgoing-report.submission-error", { kind, domain, reason });
    }
    return found.destinations.flatMap((place) =>
      place.kind === "mailto" ? [{ address: place.address, limit: place.limit ?? Infinity }] : []
    ).slice(0, MOST_PLACES);
  };

  // DNS names any number of addresses, and their mail host may be anybody's: organizations have a limit as well.
  const isAllowed = async (kind: FailureKind, address: string, rate: Rate): Promise<boolean> => {
    if (!await rates.take(`report ${kind} ${address}`, rate)) return false;
    const organization = (await loadPublicSuffixes())(addressDomain(address));
    return await rates.take(`report ${kind} ${organization}`, { ...rate, count: rate.count * MOST_PLACES });
  };

  const make = async (failed: FailedMessage, found: FailureCase, settings: FailureSettings): Promise<void> => {
    const { kind, domain } = found;
    const places = await placesFor(found);
    if (places.length === 0) {
      emit("outgoing-report.no-recipients-found", { kind, domain });
      return;
    }
    // Made once, and only if there is anybody left to get it.
    let redaction: Redaction | undefined;
    for (const { address, limit } of places) {
      if (!await isAllowed(kind, address.toLowerCase(), settings.rate)) {
        emit(LIMITED[kind], { domain, to: address });
        continue;
      }
      const key = redactionKey();
      if (key !== undefined) redaction ??= createRedaction(key, failed.recipients, reportedHeader(failed));
      const mail = failureReport(failed, found, [address], { ...settings, hostname, userAgent }, redaction);
      const size = mail.parts.reduce((sum, { body }) => sum + body.length, 0);
      if (size > limit) {
        const reason = `the report has ${size} octets, ${address} takes ${limit}`;
        emit("outgoing-report.submission-error", { kind, domain, to: address, reason });
        continue;
      }
      const [id] = await send(mail, settings.sign);
      emit(SENT[kind], { domain, to: address, id });
    }
  };

  return {
    report(failed, found, settings) {
      const { kind, domain } = found;
      const leftOut = (reason: string) => emit("outgoing-report.submission-error", { kind, domain, reason });
      if (closed) return leftOut("the server stops");
      if (pending.size >= MOST_PENDING) return leftOut("too many reports are being made");
      // What waits for DNS shall not keep the body in memory.
      const head = failed.head && reportedHeader(failed).slice();
      const made = make({ ...failed, head }, found, settings).catch((error: unknown) => {
        // Reports are a courtesy: the traffic must not suffer from them.
        const known = error instanceof StoreUnavailable || error instanceof LookupUnavailable;
        leftOut(known || !(error instanceof Error) ? String(error) : error.stack ?? error.message);
      }).finally(() => pending.delete(made));
      pending.add(made);
    },
    refusalText: async (domain) => (await findDkimWishes(domain, resolver))?.smtpText,
    async close() {
      closed = true;
      if (pending.size === 0) return;
      const late = Promise.withResolvers<void>();
      const patience = clock.after(PATIENCE, late.resolve);
      await Promise.race([Promise.all(pending), late.promise]);
      patience.cancel();
    },
  };
}
