/**
 * DMARC aggregate reports: the XML of RFC 7489 appendix C and RFC 9990, and what large reporters make of it. Elements are
 * known by their name and the one around them, so that wrappers and namespaces do not matter.
 */

import type { AuthResult, DmarcRecord, DmarcReport, DmarcTotals, FailingSource, PublishedPolicy } from "./incoming.ts";
import { MOST_DETAILS, MOST_FAILING, MOST_RECORDS, MOST_SOURCES, MOST_VALUES } from "./limits.ts";
import { clip, count, createProblems, domainName, ipAddress, type Problems, time, word } from "./value.ts";
import { fromFileName, type ReportHints } from "./hints.ts";
import { FormatError, xmlReader } from "./xml.ts";

/** Reads one report. */
export interface DmarcReader {
  /** @throws {FormatError} if it is no report, or must not be read on */
  write(text: string): void;
  /** @throws {FormatError} likewise */
  end(): DmarcReport;
}

/** The root element is another one: XML, but no report. */
export class NoReport extends FormatError {}

/** Elements around a report. */
const MOST_BEFORE = 3;

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** What is known of a record while it is read; undefined for what it has not said. */
interface RecordDraft {
  source: string | undefined;
  count: string | undefined;
  disposition: string | undefined;
  dkim: string | undefined;
  spf: string | undefined;
  headerFrom: string;
  envelopeFrom: string;
  envelopeTo: string;
  readonly reasons: { type: string; comment: string }[];
  readonly dkimResults: Draft<AuthResult>[];
  readonly spfResults: Draft<AuthResult>[];
}

function newRecord(): RecordDraft {
  return {
    source: undefined,
    count: undefined,
    disposition: undefined,
    dkim: undefined,
    spf: undefined,
    headerFrom: "",
    envelopeFrom: "",
    envelopeTo: "",
    reasons: [],
    dkimResults: [],
    spfResults: [],
  };
}

/** Starts reading a report. */
export function dmarcReader(hints: ReportHints): DmarcReader {
  const problems = createProblems();
  const meta = { reporter: "", email: "", extra: "", id: "", begin: "", end: "" };
  const policy: Draft<PublishedPolicy> = {
    domain: "",
    p: "",
    sp: "",
    np: "",
    adkim: "",
    aspf: "",
    pct: "",
    fo: "",
    testing: "",
    discoveryMethod: "",
  };
  const errors: string[] = [];
  const tally = createTally();
  let record: RecordDraft | undefined;
  /** How deep the report lies; 0 before it begins. Some put a schema around it that they never close. */
  let rootDepth = 0;
  let rootClosed = false;
  let before = 0;
  let root = "";

  const setMeta = (parent: string, name: string, text: string) => {
    if (name === "org_name") meta.reporter ||= clip(text);
    else if (name === "email") meta.email ||= clip(text);
    else if (name === "extra_contact_info") meta.extra ||= clip(text);
    else if (name === "report_id") meta.id ||= clip(text);
    else if (name === "begin") meta.begin ||= clip(text);
    else if (name === "end") meta.end ||= clip(text);
    else if (name === "error" && parent === "report_metadata" && errors.length < MOST_VALUES) errors.push(clip(text));
  };
  const setPolicy = (name: string, text: string) => {
    const key = POLICY_KEYS[name];
    if (key === undefined || policy[key] !== "") return;
    policy[key] = key === "domain" ? domainName(text) : word(text);
  };

  const noFeedback = () =>
    new NoReport(root === "" ? "it holds no XML element" : `its root element is ${clip(root, 40)} and not feedback`);

  const reader = xmlReader({
    open(path) {
      const name = path.at(-1) ?? "";
      root ||= name;
      if (rootDepth === 0) {
        if (name === "feedback") rootDepth = path.length;
        else if (++before > MOST_BEFORE) throw noFeedback();
      } else if (record === undefined) {
        if (name === "record") record = newRecord();
      } else {
        const parent = path.at(-2);
        if (parent === "auth_results" && name === "dkim" && record.dkimResults.length < MOST_VALUES) {
          record.dkimResults.push({ domain: "", part: "", result: "", text: "" });
        } else if (parent === "auth_results" && name === "spf" && record.spfResults.length < MOST_VALUES) {
          record.spfResults.push({ domain: "", part: "", result: "", text: "" });
        } else if (name === "reason" && record.reasons.length < MOST_VALUES) {
          record.reasons.push({ type: "", comment: "" });
        }
      }
    },
    close(path, text) {
      const name = path.at(-1) ?? "";
      const parent = path.at(-2) ?? "";
      if (path.length === rootDepth) rootClosed = true;
      if (record === undefined) {
        if (parent === "policy_published") setPolicy(name, text);
        else if (parent !== "") setMeta(parent, name, text);
      } else if (name === "record") {
        tally.add(record, problems);
        record = undefined;
      } else {
        setRecord(record, parent, name, text);
      }
    },
    flaw: (description) => problems.note(`the XML is not well-formed: ${description}`),
  });

  return {
    write: reader.write,
    end() {
      reader.end();
      if (rootDepth === 0) throw noFeedback();
      if (!rootClosed && tally.totals.messages === 0) throw new FormatError("it ends before its first record");
      if (!rootClosed) problems.note("the report ends early");
      const records = tally.records();
      const named = fromFileName(hints.fileName);
      const begin = time(meta.begin) ?? named?.begin;
      const end = time(meta.end) ?? named?.end;
      if (policy.domain === "") {
        policy.domain = named?.domain || hints.domain || records[0]?.headerFrom || "";
        problems.note("policy_published/domain is missing");
      }
      if (policy.domain === "") throw new FormatError("it does not say which domain it is about");
      if (meta.reporter === "") problems.note("report_metadata/org_name is missing");
      if (meta.id === "") problems.note("report_metadata/report_id is missing");
      if (time(meta.begin) === undefined) problems.note("report_metadata/date_range is missing or no time");
      return {
        kind: "dmarc",
        reporter: meta.reporter || named?.receiver || domainOf(meta.email) || hints.sender,
        contact: [meta.email, meta.extra].filter((part) => part !== "").join(", "),
        reportId: meta.id || named?.id || "",
        begin,
        end: begin !== undefined && end !== undefined && end < begin ? undefined : end,
        policy,
        totals: tally.totals,
        failing: tally.failing(),
        records,
        recordsLeftOut: tally.leftOut(),
        errors,
        problems: problems.list,
      };
    },
  };
}

const POLICY_KEYS: Readonly<Record<string, keyof PublishedPolicy>> = Object.assign(Object.create(null), {
  domain: "domain",
  p: "p",
  sp: "sp",
  np: "np",
  adkim: "adkim",
  aspf: "aspf",
  pct: "pct",
  fo: "fo",
  testing: "testing",
  discovery_method: "discoveryMethod",
});

function setRecord(record: RecordDraft, parent: string, name: string, text: string): void {
  switch (name) {
    case "source_ip":
      record.source ??= text;
      return;
    case "count":
      record.count ??= text;
      return;
    case "disposition":
      record.disposition ??= word(text);
      return;
    case "header_from":
      record.headerFrom ||= domainName(text);
      return;
    case "envelope_from":
      record.envelopeFrom ||= domainName(text);
      return;
    case "envelope_to":
      record.envelopeTo ||= domainName(text);
      return;
    case "reason": {
      const reason = record.reasons.at(-1);
      if (reason !== undefined && reason.type === "") reason.type = word(text);
      return;
    }
  }
  if (parent === "policy_evaluated") {
    if (name === "dkim") record.dkim ??= word(text);
    else if (name === "spf") record.spf ??= word(text);
  } else if (parent === "reason") {
    const reason = record.reasons.at(-1);
    if (reason !== undefined && name === "type") reason.type = word(text);
    else if (reason !== undefined && name === "comment") reason.comment = clip(text);
  } else if (parent === "dkim" || parent === "spf") {
    const result = (parent === "dkim" ? record.dkimResults : record.spfResults).at(-1);
    if (result === undefined) return;
    if (name === "domain") result.domain = domainName(text);
    else if (name === "selector" || name === "scope") result.part = clip(text, 255);
    else if (name === "result") result.result = word(text);
    else if (name === "human_result") result.text = clip(text);
  }
}

/** Adds up records. */
function createTally() {
  const totals: Draft<DmarcTotals> = {
    messages: 0,
    passed: 0,
    failed: 0,
    dkimPassed: 0,
    spfPassed: 0,
    accepted: 0,
    quarantined: 0,
    rejected: 0,
  };
  const kept: DmarcRecord[] = [];
  const failing = new Map<string, number>();
  let all = 0;
  let details = 0;
  return {
    totals: totals as DmarcTotals,
    records: (): readonly DmarcRecord[] => kept,
    leftOut: () => all - kept.length,
    failing: (): readonly FailingSource[] =>
      [...failing].map(([source, failed]) => ({ source, failed }))
        .sort((a, b) => b.failed - a.failed).slice(0, MOST_FAILING),
    add(draft: RecordDraft, problems: Problems) {
      const record = finish(draft, problems);
      if (record === undefined) return;
      all++;
      const { count: messages, source } = record;
      const dkim = record.dkim === "pass";
      const spf = record.spf === "pass";
      totals.messages += messages;
      if (dkim) totals.dkimPassed += messages;
      if (spf) totals.spfPassed += messages;
      if (dkim || spf) {
        totals.passed += messages;
      } else {
        totals.failed += messages;
        const known = failing.get(source);
        if (known !== undefined || failing.size < MOST_SOURCES) failing.set(source, (known ?? 0) + messages);
      }
      if (record.disposition === "quarantine") totals.quarantined += messages;
      else if (record.disposition === "reject") totals.rejected += messages;
      else totals.accepted += messages;
      if (kept.length >= MOST_RECORDS || details >= MOST_DETAILS) return;
      kept.push(record);
      details += JSON.stringify(record).length;
    },
  };
}

function finish(draft: RecordDraft, problems: Problems): DmarcRecord | undefined {
  if (draft.source === undefined) {
    problems.note("a record without source_ip was left out");
    return undefined;
  }
  // RFC 7489 has it in every row; a row that lacks it stands for a message all the same.
  const messages = draft.count === undefined ? 1 : count(draft.count);
  if (draft.count === undefined) problems.note("a record without count was taken for one message");
  if (messages === undefined) {
    problems.note(`a record whose count is no number was left out: ${clip(draft.count ?? "", 40)}`);
    return undefined;
  }
  const { headerFrom, dkimResults, spfResults } = draft;
  const evaluated = draft.dkim !== undefined || draft.spf !== undefined;
  if (!evaluated) problems.note("a record without policy_evaluated was judged by its auth_results");
  const judged = (results: readonly AuthResult[]) =>
    results.some(({ domain, result }) => result === "pass" && isRelated(domain, headerFrom)) ? "pass" : "fail";
  return {
    source: ipAddress(draft.source),
    count: messages,
    disposition: draft.disposition ?? "none",
    dkim: evaluated ? draft.dkim ?? "fail" : judged(dkimResults),
    spf: evaluated ? draft.spf ?? "fail" : judged(spfResults),
    reasons: draft.reasons.filter(({ type, comment }) => type !== "" || comment !== ""),
    headerFrom,
    envelopeFrom: draft.envelopeFrom,
    envelopeTo: draft.envelopeTo,
    dkimResults,
    spfResults,
  };
}

/** Whether one domain is the other or lies in it: alignment, as far as it can be told without a list of suffixes. */
function isRelated(one: string, other: string): boolean {
  return one !== "" && other !== "" && (one === other || one.endsWith(`.${other}`) || other.endsWith(`.${one}`));
}

function domainOf(address: string): string {
  return address.includes("@") ? domainName(address.slice(address.lastIndexOf("@") + 1).replace(/[>,;\s].*$/, "")) : "";
}
