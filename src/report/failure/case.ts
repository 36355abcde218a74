/** Which failures of authentication somebody wants to hear of, as far as the message and its results tell. */

import type { AuthResults, DkimFault, DkimResult, DmarcResult, SpfResult } from "../../authentication/types.ts";

/** Which settings a report is made by: `report.<kind>`. */
export type FailureKind = "dkim" | "spf" | "dmarc";

/** A failure that somebody may want to hear of. */
export interface FailureCase {
  readonly kind: FailureKind;
  /** What failed. For DMARC with all results that belong to it. */
  readonly failure:
    | { readonly type: "spf"; readonly spf: SpfResult }
    | { readonly type: "dkim"; readonly dkim: DkimResult }
    | {
      readonly type: "dmarc";
      readonly dmarc: DmarcResult;
      readonly dkim: DkimResult | undefined;
      readonly spf: SpfResult | undefined;
    };
  /** The domain that has asked for the report. */
  readonly domain: string;
  readonly wishes:
    /** The address stands in the record that was read. */
    | { readonly from: "spf"; readonly address: string }
    /** A record of the signing domain is to be asked; `fault` has to be among what it names. */
    | { readonly from: "dkim"; readonly fault: DkimFault }
    /** URIs of a DMARC record, whose owners have to agree. */
    | { readonly from: "dmarc"; readonly uris: readonly string[] };
}

/** Signatures that one message may cause reports about (RFC 6651 §3.3): whoever forges it may add any number. */
const MOST_SIGNATURES = 3;

/**
 * The failures of a message. Percentages that domains ask for are drawn here.
 *
 * @param random numbers in [0, 1)
 */
export function failureCases(results: AuthResults, random: () => number): readonly FailureCase[] {
  const cases: FailureCase[] = [];
  for (const spf of [results.spfMailFrom, results.spfEhlo]) {
    if (spf !== undefined) addSpf(cases, spf, random);
  }
  for (const dkim of results.dkim ?? []) addDkim(cases, dkim);
  if (results.dmarc !== undefined) addDmarc(cases, results.dmarc, results);
  return cases;
}

/** RFC 6652 §4.1 */
const SPF_LETTERS: Readonly<Record<SpfResult["result"], string>> = {
  none: "n",
  neutral: "n",
  pass: "",
  fail: "f",
  softfail: "s",
  temperror: "e",
  permerror: "e",
};

function addSpf(cases: FailureCase[], spf: SpfResult, random: () => number): void {
  const { result, reports, domain } = spf;
  if (reports === undefined || result === "pass") return;
  const { address, percent, wanted } = reports;
  if (!wanted.some((letter) => letter === "all" || letter === SPF_LETTERS[result])) return;
  // Both identities are often of one domain.
  const isTold = cases.some(({ wishes }) => wishes.from === "spf" && wishes.address === address);
  if (isTold || random() * 100 >= percent) return;
  cases.push({ kind: "spf", failure: { type: "spf", spf }, domain, wishes: { from: "spf", address } });
}

function addDkim(cases: FailureCase[], dkim: DkimResult): void {
  const { fault, reportRequested, domain } = dkim;
  if (fault === undefined || !reportRequested) return;
  // RFC 6651 §3.3: one report to a domain about a message.
  const told = cases.filter((other) => other.kind === "dkim");
  if (told.length === MOST_SIGNATURES || told.some((other) => other.domain === domain)) return;
  cases.push({ kind: "dkim", failure: { type: "dkim", dkim }, domain, wishes: { from: "dkim", fault } });
}

/** RFC 6591 §3.3; a domain without a record has nothing that could fail. */
const SPF_FAILURES: ReadonlySet<SpfResult["result"]> = new Set(["fail", "softfail", "temperror", "permerror"]);

/** RFC 7489 §6.3, `fo=` */
function addDmarc(cases: FailureCase[], dmarc: DmarcResult, { dkim = [], spfMailFrom, spfEhlo }: AuthResults): void {
  const { record, result, dkimAligned, spfAligned } = dmarc;
  if (record === undefined || record.failureReports.length === 0 || (result !== "pass" && result !== "fail")) return;
  const { failureOptions, failureReports: uris, domain } = record;
  const spf = spfMailFrom ?? spfEhlo;
  const failed = dkim.find(({ fault }) => fault !== undefined);
  const wishes = { from: "dmarc", uris } as const;
  const asksFor = (option: string) => failureOptions.includes(option);
  if ((asksFor("0") && !dkimAligned && !spfAligned) || (asksFor("1") && !(dkimAligned && spfAligned))) {
    const shown = failed ?? dkim.find((one) => one.result !== "none");
    cases.push({ kind: "dmarc", failure: { type: "dmarc", dmarc, dkim: shown, spf }, domain, wishes });
  }
  if (asksFor("d") && failed !== undefined) {
    cases.push({ kind: "dmarc", failure: { type: "dkim", dkim: failed }, domain, wishes });
  }
  if (asksFor("s") && spf !== undefined && SPF_FAILURES.has(spf.result)) {
    cases.push({ kind: "dmarc", failure: { type: "spf", spf }, domain, wishes });
  }
}
