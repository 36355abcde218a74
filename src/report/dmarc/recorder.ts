/** Counts what DMARC comes to, for aggregate reports. */

import type { DmarcObserver, DmarcRecord, PolicyDiscovery } from "../../authentication/types.ts";
import { createGatherer, type GathererOptions } from "../aggregate/gatherer.ts";
import { encodePolicy } from "./policy.ts";
import { encodeRow, rowOf } from "./row.ts";

/** Takes observations and writes them to the ledger. */
export interface DmarcRecorder extends DmarcObserver {
  /** Writes what has been counted. Does not reject. */
  flush(): Promise<void>;
  /** Writes what is left and stops. */
  close(): Promise<void>;
}

interface About {
  readonly record: DmarcRecord;
  readonly discovery: PolicyDiscovery;
}

/** Milliseconds between two writes. */
const PAUSE = 5_000;

/** Makes a recorder. Messages of domains that ask for no reports are not counted. */
export function createDmarcRecorder(
  options: Pick<GathererOptions<About>, "store" | "clock" | "intervalOf" | "reporter">,
): DmarcRecorder {
  const gatherer = createGatherer<About>({
    ...options,
    kind: "dmarc",
    describe: ({ record, discovery }) => encodePolicy(record, discovery),
    shorten: () => "",
    pause: PAUSE,
  });
  return {
    observe(observation) {
      const { result, record, discovery = "psl" } = observation.results.dmarc;
      if (record === undefined || record.aggregateReports.length === 0 || result === "permerror") return;
      // RFC 7489 §7.2: mail of subdomains is told to where their policy was found.
      gatherer.count(record.domain, { record, discovery }, encodeRow(rowOf(observation)));
    },
    flush: gatherer.flush,
    close: gatherer.close,
  };
}
