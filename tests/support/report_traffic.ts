/** Traffic for DMARC reports on a clock of its own, and what the reports say of it in the end. */

import { gunzipSync } from "node:zlib";
import type { DmarcObservation, DmarcRecord } from "../../src/authentication/mod.ts";
import {
  createDmarcRecorder,
  makeDmarcReport,
  type MakingWorld,
  type ReportMail,
  startSending,
} from "../../src/report/mod.ts";
import { type Store, StoreUnavailable } from "../../src/store/mod.ts";
import { observation } from "../unit/report/dmarc/observation.ts";
import type { FakeClock } from "./fake_clock.ts";
import { createZone } from "./zone.ts";

/** How much traffic there is. */
export interface TrafficOptions {
  readonly store: Store;
  /** Begins at midnight, UTC. */
  readonly clock: FakeClock;
  readonly days: number;
  readonly messages: number;
  readonly domains: number;
  /** Addresses that mail comes from. */
  readonly sources: number;
  /** Called after each day. */
  readonly onDay?: (day: number) => void;
}

/** What went in and what came out. */
export interface TrafficCounts {
  /** Messages by domain and first second of the day. */
  readonly counted: ReadonlyMap<string, number>;
  /** The same from the reports that were sent. */
  readonly reported: ReadonlyMap<string, number>;
  readonly reports: number;
  /** Records in all reports. */
  readonly records: number;
}

const DAY = 86_400_000;
/** Messages between two writes. */
const AT_ONCE = 2_000;

/**
 * Counts messages over days and sends the reports. A few domains have most of the mail; one in five messages fails. Which
 * message comes from where depends on its number alone.
 */
export async function reportTraffic(options: TrafficOptions): Promise<TrafficCounts> {
  const { store, clock, days, messages, domains, sources } = options;
  const counted = new Map<string, number>();
  const reported = new Map<string, number>();
  const sent = { reports: 0, records: 0 };
  const recorder = createDmarcRecorder({ store, clock, reporter: "example.net", intervalOf: () => "daily" });
  const reporter = {
    submitter: "mx.example.net",
    from: { name: "", address: "dmarc@example.net" },
    orgName: "Example",
    maxSize: 26_214_400,
    sign: [],
  };
  const world: MakingWorld = {
    store,
    resolver: createZone({}),
    domain: "example.net",
    generator: "godwit",
    emit: () => {},
  };
  const read = (mail: ReportMail) => {
    const body = new TextDecoder().decode(mail.parts[1]?.body).replace(/\s/g, "");
    const xml = gunzipSync(Uint8Array.fromBase64(body)).toString();
    const [, begin] = /<begin>(\d+)</.exec(xml) ?? [];
    const [, domain] = /<policy_published>\s*<domain>(.*?)</.exec(xml) ?? [];
    sent.reports++;
    for (const [, count] of xml.matchAll(/<count>(\d+)</g)) {
      sent.records++;
      add(reported, `${domain} ${begin}`, Number(count));
    }
  };
  const sending = startSending({
    store,
    clock,
    owner: "node-a",
    reporterFor: () => Promise.resolve(reporter),
    make: (report) => makeDmarcReport(report, reporter, world),
    send: async (mails, rows) => {
      await store.write(rows.statements).catch((cause) => {
        throw new StoreUnavailable("not stored", false, { cause });
      });
      for (const { mail } of mails) read(mail);
      return mails.map(() => "");
    },
    post: () => Promise.resolve(),
    emit: () => {},
  });

  const published = Array.from({ length: domains }, (_, index) => recordOf(index));
  const perDay = Math.ceil(messages / days);
  for (let number = 0, day = 0; day < days; day++) {
    const begins = clock.now();
    for (let today = 0; today < perDay && number < messages; today++, number++) {
      const one = message(number, published, sources);
      recorder.observe(one);
      add(counted, `${one.results.dmarc.record?.domain} ${begins / 1000}`, 1);
      if (today % AT_ONCE === AT_ONCE - 1) {
        await recorder.flush();
        await clock.advance(Math.floor(DAY / (perDay / AT_ONCE + 1)));
      }
    }
    await recorder.flush();
    await clock.advance(begins + DAY - clock.now());
    options.onDay?.(day);
  }
  await recorder.close();
  await clock.advance(5 * 3_600_000);
  await sending.run();
  await sending.close();
  return { counted, reported, ...sent };
}

function add(sums: Map<string, number>, key: string, count: number): void {
  sums.set(key, (sums.get(key) ?? 0) + count);
}

function recordOf(index: number): DmarcRecord {
  const base = observation().results.dmarc.record;
  if (base === undefined) throw new Error("there is no record");
  const domain = `d${index}.example`;
  return { ...base, domain, aggregateReports: [`mailto:r@${domain}`] };
}

function message(number: number, records: readonly DmarcRecord[], sources: number): DmarcObservation {
  // A multiplicative hash spreads what depends on the number.
  const spread = (salt: number) => (Math.imul(number + salt, 2654435761) >>> 0) / 2 ** 32;
  const record = records[Math.floor(spread(1) ** 3 * records.length)];
  const source = Math.floor(spread(2) ** 2 * sources);
  const passed = spread(3) > 0.2;
  const [domain, ip] = [record?.domain ?? "", `10.${source >> 16}.${(source >> 8) & 255}.${source & 255}`];
  const parts = observation({ ip });
  const { dmarc } = parts.results;
  return {
    ...parts,
    sender: `a@${domain}`,
    refused: !passed,
    results: {
      ...parts.results,
      dmarc: {
        ...dmarc,
        ...(record === undefined ? {} : { record }),
        fromDomain: domain,
        result: passed ? "pass" : "fail",
        disposition: passed ? "none" : "reject",
        spfAligned: passed,
      },
    },
  };
}
