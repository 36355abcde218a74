/** Observations to count, with what a test does not care about filled in. */

import type {
  DkimResult,
  DmarcObservation,
  DmarcRecord,
  DmarcResult,
  SpfResult,
} from "../../../../src/authentication/mod.ts";
import { readDmarcRecord } from "../../../../src/authentication/dmarc/record.ts";

/** The record in a text. */
export function recordOf(text: string, domain = "example.org"): DmarcRecord {
  const read = readDmarcRecord(domain, text);
  if (typeof read === "string") throw new Error(read);
  return read.record;
}

/** A signature and what it came to. */
export function dkim(domain: string, selector: string, result: DkimResult["result"] = "pass"): DkimResult {
  return {
    method: "dkim",
    result,
    domain,
    selector,
    algorithm: "rsa-sha256",
    auid: `@${domain}`,
    signature: "",
    testing: false,
    reportRequested: false,
  };
}

/** What SPF of the return path came to. */
export function spf(domain: string, result: SpfResult["result"] = "pass"): SpfResult {
  return { method: "spf", result, identity: "mailfrom", domain, sender: `a@${domain}` };
}

/** What a message may differ in. */
export interface ObservationParts extends Partial<Omit<DmarcObservation, "results">> {
  readonly dmarc?: Partial<DmarcResult>;
  readonly dkim?: readonly DkimResult[];
  readonly spf?: SpfResult;
  /** Text of the record. */
  readonly record?: string;
}

/** A message that passed by SPF, unless something else is said. */
export function observation(parts: ObservationParts = {}): DmarcObservation {
  const { dmarc, record = "v=DMARC1; p=reject; rua=mailto:r@example.org", dkim = [], spf: ofSpf, ...rest } = parts;
  const spfResult = ofSpf ?? spf("example.org");
  return {
    ip: "192.0.2.1",
    sender: `a@${spfResult.domain}`,
    refused: false,
    ...rest,
    results: {
      dkim,
      spfMailFrom: spfResult,
      dmarc: {
        method: "dmarc",
        result: "pass",
        fromDomain: "example.org",
        record: recordOf(record),
        discovery: "psl",
        policy: "reject",
        disposition: "none",
        spfAligned: true,
        dkimAligned: false,
        ...dmarc,
      },
    },
  };
}
