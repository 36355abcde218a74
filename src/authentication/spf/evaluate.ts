/** `check_host()` (RFC 7208 §4): walks a record and what it includes, within the limits of §4.6.4. */

import { type Answer, DnsError } from "../../dns/resolver.ts";
import type { CheckContext, SpfRecordText, SpfReports, SpfVerdict } from "../types.ts";
import { dotted, inNetwork, ipv4Octets, ipv6Octets, readable } from "./address.ts";
import { expandMacros, type MacroText, parseMacroText, usesMacro } from "./macro.ts";
import { type Directive, isSpfRecord, type Mechanism, parseSpfRecord, type SpfRecord } from "./record.ts";

/** What is asked about; names as A-labels. */
export interface Subject {
  /** 4 or 16 octets. */
  readonly ip: Uint8Array;
  /** Local part and domain of the sender. */
  readonly local: string;
  readonly domain: string;
  readonly helo: string;
  readonly receiver: string;
}

/** How it ended. */
export interface Outcome {
  readonly verdict: SpfVerdict;
  readonly directive?: string;
  readonly reason?: string;
  /** `exp=` of the record that decided, and the domain of that record. */
  readonly explanation?: { readonly target: MacroText; readonly domain: string };
  /** Whom the domain that was asked about wants told. */
  readonly reports?: SpfReports;
  /** What was read to find that out, as far as it is short enough to be told. */
  readonly records?: readonly SpfRecordText[];
  /**
   * Milliseconds since the epoch up to which DNS lets it hold for whoever sends from this domain at this address; absent
   * if it does not: DNS did not answer, or a record asks for more about the sender than that.
   */
  readonly until?: number;
}

// RFC 7208 §4.6.4
const MOST_LOOKUPS = 10;
const MOST_VOID_LOOKUPS = 2;
const MOST_HOSTS = 10;
/** Milliseconds after which no further question is asked (RFC 7208 §4.6.4 asks for at least 20 s). */
const LONGEST_CHECK = 20_000;

const LONGEST_NAME = 253;
const MOST_RECORD_TEXT = 4096;
const LONGEST_EXPLANATION = 450;

/** Ends the whole check with an error; caught in {@link evaluate}. */
class Abort extends Error {
  constructor(readonly verdict: "temperror" | "permerror", reason: string) {
    super(reason);
  }
}

/** What one check has used up, and what it knows. */
interface Check {
  readonly subject: Subject;
  readonly context: CheckContext;
  readonly deadline: number;
  lookups: number;
  voids: number;
  validated: Promise<readonly string[]> | undefined;
  reports: SpfReports | undefined;
  readonly records: SpfRecordText[];
  /** Characters of records that are still kept: outcomes are remembered, and a record may have 64 KB. */
  recordRoom: number;
  /** Until when the outcome holds, as far as is known yet. */
  until: number;
}

function start(subject: Subject, context: CheckContext): Check {
  const deadline = context.now() + LONGEST_CHECK;
  return {
    subject,
    context,
    deadline,
    lookups: 0,
    voids: 0,
    validated: undefined,
    reports: undefined,
    records: [],
    recordRoom: MOST_RECORD_TEXT,
    until: Infinity,
  };
}

/** Runs the check for the domain of `subject`. */
export async function evaluate(subject: Subject, context: CheckContext): Promise<Outcome> {
  const check = start(subject, context);
  const outcome = await checkHost(check, subject.domain, true).catch((error: unknown): Outcome => {
    if (error instanceof Abort) return { verdict: error.verdict, reason: error.message };
    throw error;
  });
  return {
    ...outcome,
    ...(check.reports === undefined ? {} : { reports: check.reports }),
    ...(check.records.length === 0 ? {} : { records: check.records }),
    ...(check.until > context.now() && outcome.verdict !== "temperror" ? { until: check.until } : {}),
  };
}

/** Takes note of how long an answer holds. */
function noted<T>(check: Check, answer: Answer<T>): Answer<T> {
  check.until = Math.min(check.until, answer.until ?? 0);
  return answer;
}

/** @param isOwn whether the record speaks for the domain that was asked about, and is not only included */
async function checkHost(check: Check, domain: string, isOwn: boolean): Promise<Outcome> {
  const texts = await ask(check, domain, () => check.context.resolver.txt(domain));
  const found = texts.records.filter(isSpfRecord);
  const [text] = found;
  if (text === undefined) return { verdict: "none", reason: `${domain} has no SPF record` };
  if (found.length > 1) return { verdict: "permerror", reason: `${domain} has several SPF records` };
  if (check.recordRoom >= text.length) {
    check.recordRoom -= text.length;
    check.records.push({ domain, text });
  }
  const record = parseSpfRecord(text);
  if (record.kind === "broken") return { verdict: "permerror", reason: `SPF record of ${domain}: ${record.problem}` };
  if (isOwn) check.reports = record.reports && { ...record.reports, address: `${record.reports.address}@${domain}` };
  for (const directive of record.directives) {
    const match = matches(check, directive.mechanism, domain);
    // Most terms are networks, which need nobody's answer.
    if (match === true || (match !== false && await match)) return decided(record, directive, domain);
  }
  if (record.redirect === undefined) return { verdict: "neutral", reason: "no directive matches" };
  return await redirected(check, record.redirect, domain, isOwn);
}

function decided(record: SpfRecord, directive: Directive, domain: string): Outcome {
  return {
    verdict: directive.verdict,
    directive: directive.text,
    ...(record.explanation === undefined ? {} : { explanation: { target: record.explanation, domain } }),
  };
}

/** RFC 7208 §6.1 */
async function redirected(check: Check, redirect: MacroText, domain: string, isOwn: boolean): Promise<Outcome> {
  countLookup(check);
  const target = await nameOf(check, redirect, domain);
  if (target === undefined) return { verdict: "permerror", reason: "redirect= names no domain" };
  const outcome = await checkHost(check, target, isOwn);
  return outcome.verdict === "none"
    ? { verdict: "permerror", reason: `redirect=${target}: there is no SPF record` }
    : outcome;
}

function matches(check: Check, mechanism: Mechanism, domain: string): boolean | Promise<boolean> {
  switch (mechanism.kind) {
    case "all":
      return true;
    case "ip":
      return inNetwork(check.subject.ip, mechanism.network, mechanism.prefix);
    case "include":
      return includes(check, mechanism.target, domain);
    case "a":
      return matchesHost(check, mechanism, domain);
    case "mx":
      return matchesMailHost(check, mechanism, domain);
    case "ptr":
      return matchesReverse(check, mechanism.target, domain);
    case "exists":
      return exists(check, mechanism.target, domain);
  }
}

/** RFC 7208 §5.2 */
async function includes(check: Check, include: MacroText, domain: string): Promise<boolean> {
  countLookup(check);
  const target = await nameOf(check, include, domain);
  if (target === undefined) throw new Abort("permerror", "include: names no domain");
  const { verdict, reason } = await checkHost(check, target, false);
  switch (verdict) {
    case "pass":
      return true;
    case "fail":
    case "softfail":
    case "neutral":
      return false;
    case "none":
      throw new Abort("permerror", `include:${target}: there is no SPF record`);
    default:
      throw new Abort(verdict, reason ?? `include:${target}`);
  }
}

type AddressMechanism = Extract<Mechanism, { kind: "a" | "mx" }>;

/** RFC 7208 §5.3 */
async function matchesHost(check: Check, mechanism: AddressMechanism, domain: string): Promise<boolean> {
  countLookup(check);
  const target = await targetOf(check, mechanism.target, domain);
  if (target === undefined) return false;
  const found = await addresses(check, target);
  countVoid(check, found);
  return found.records.some((ip) => hasAddress(check, ip, mechanism));
}

/** RFC 7208 §5.4. There is no implicit MX here. */
async function matchesMailHost(check: Check, mechanism: AddressMechanism, domain: string): Promise<boolean> {
  countLookup(check);
  const target = await targetOf(check, mechanism.target, domain);
  if (target === undefined) return false;
  const found = await ask(check, target, () => check.context.resolver.mx(target));
  countVoid(check, found);
  if (found.records.length > MOST_HOSTS) {
    throw new Abort("permerror", `${target} has more than ${MOST_HOSTS} MX records`);
  }
  for (const { exchange } of found.records) {
    if (exchange === "") continue;
    const hosts = await addresses(check, exchange);
    if (hosts.records.some((ip) => hasAddress(check, ip, mechanism))) return true;
  }
  return false;
}

/** RFC 7208 §5.5 */
async function matchesReverse(check: Check, mechanism: MacroText | undefined, domain: string): Promise<boolean> {
  countLookup(check);
  const target = await targetOf(check, mechanism, domain);
  if (target === undefined) return false;
  const names = await validatedNames(check);
  return names.some((name) => isWithin(name, target.toLowerCase()));
}

/** RFC 7208 §5.7: the lookup is for A, whatever address the client has. */
async function exists(check: Check, mechanism: MacroText, domain: string): Promise<boolean> {
  countLookup(check);
  const target = await targetOf(check, mechanism, domain);
  if (target === undefined) return false;
  const found = await ask(check, target, () => check.context.resolver.a(target));
  countVoid(check, found);
  return found.records.length > 0;
}

function targetOf(
  check: Check,
  target: MacroText | undefined,
  domain: string,
): string | Promise<string | undefined> {
  return target === undefined ? domain : nameOf(check, target, domain);
}

/** Macros that differ between senders from one domain at one address. */
const PERSONAL = ["s", "l", "h"] as const;

/** A target with its macros expanded; `undefined` if that is no name to look up, so that nothing matches. */
async function nameOf(check: Check, target: MacroText, domain: string): Promise<string | undefined> {
  const { local } = check.subject;
  if (PERSONAL.some((letter) => usesMacro(target, letter))) check.until = 0;
  // RFC 8616 §4: a local part outside ASCII makes the term match nothing.
  if (/[^\0-\x7f]/.test(local) && (usesMacro(target, "s") || usesMacro(target, "l"))) return undefined;
  let name = expandMacros(target, await macroValues(check, target, domain));
  if (name.endsWith(".")) name = name.slice(0, -1);
  // RFC 7208 §7.3: labels are taken off on the left until it fits.
  while (name.length > LONGEST_NAME) {
    const dot = name.indexOf(".");
    if (dot < 0) return undefined;
    name = name.slice(dot + 1);
  }
  return name.split(".").every((label) => label.length > 0 && label.length <= 63) ? name : undefined;
}

/** The values of the letters that a text uses (RFC 7208 §7.2). */
async function macroValues(check: Check, text: MacroText, domain: string): Promise<(letter: string) => string> {
  const { subject, context } = check;
  const name = usesMacro(text, "p") ? await validatedName(check, domain) : "unknown";
  return (letter) => {
    switch (letter) {
      case "s":
        return `${subject.local}@${subject.domain}`;
      case "l":
        return subject.local;
      case "o":
        return subject.domain;
      case "d":
        return domain;
      case "i":
        return dotted(subject.ip);
      case "p":
        return name;
      case "v":
        return subject.ip.length === 4 ? "in-addr" : "ip6";
      case "h":
        return subject.helo;
      case "c":
        return readable(subject.ip);
      case "r":
        return subject.receiver || "unknown";
      case "t":
        return `${Math.floor(context.now() / 1000)}`;
      default:
        return "";
    }
  };
}

/** `%{p}`: the domain itself if the client bears it, else a name below it, else any, else "unknown". */
async function validatedName(check: Check, domain: string): Promise<string> {
  if (check.validated === undefined) countLookup(check);
  const names = await validatedNames(check);
  const lower = domain.toLowerCase();
  return names.find((name) => name === lower) ?? names.find((name) => isWithin(name, lower)) ?? names[0] ?? "unknown";
}

/** The names of the client that lead back to it (RFC 7208 §5.5); what cannot be looked up is left out. */
function validatedNames(check: Check): Promise<readonly string[]> {
  return check.validated ??= validate(check);
}

async function validate(check: Check): Promise<readonly string[]> {
  const { resolver, now } = check.context;
  const names: string[] = [];
  try {
    const { records } = noted(check, await resolver.ptr(readable(check.subject.ip)));
    for (const name of records.slice(0, MOST_HOSTS)) {
      if (now() > check.deadline) throw new DnsError("DNS is too slow", "timeout");
      try {
        const found = noted(check, await hostLookup(check, name));
        if (found.records.some((ip) => hasAddress(check, ip, EXACTLY))) names.push(name.toLowerCase());
      } catch (error) {
        if (!(error instanceof DnsError)) throw error;
        check.until = 0;
      }
    }
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    check.until = 0;
  }
  return names;
}

const EXACTLY = { ipv4: 32, ipv6: 128 } as const;

function isWithin(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}

/**
 * What the domain says to those it refuses (RFC 7208 §6.2); `undefined` if there is nothing usable. These lookups do not
 * count.
 */
export async function explain(outcome: Outcome, subject: Subject, context: CheckContext): Promise<string | undefined> {
  if (outcome.explanation === undefined) return undefined;
  const { target, domain } = outcome.explanation;
  const check = start(subject, context);
  try {
    const name = await nameOf(check, target, domain);
    if (name === undefined) return undefined;
    const { records } = await ask(check, name, () => context.resolver.txt(name));
    const [text] = records;
    if (text === undefined || records.length > 1 || /[^ -~]/.test(text)) return undefined;
    const parsed = parseMacroText(text, "explanation");
    if (parsed === undefined) return undefined;
    const explanation = expandMacros(parsed.pieces, await macroValues(check, parsed.pieces, domain));
    return /^[ -~]*$/.test(explanation) ? explanation.slice(0, LONGEST_EXPLANATION) : undefined;
  } catch (error) {
    if (error instanceof Abort) return undefined;
    throw error;
  }
}

function countLookup(check: Check): void {
  if (++check.lookups > MOST_LOOKUPS) throw new Abort("permerror", `more than ${MOST_LOOKUPS} terms need DNS`);
}

/** RFC 7208 §4.6.4 counts terms whose lookup finds nothing, not every host behind an MX. */
function countVoid(check: Check, answer: Answer<unknown>): void {
  if (answer.records.length > 0) return;
  if (++check.voids > MOST_VOID_LOOKUPS) {
    throw new Abort("permerror", `more than ${MOST_VOID_LOOKUPS} lookups found nothing`);
  }
}

/**
 * A lookup of a name whose failure is the end of the check. Which server did not answer is nobody's business who reads
 * the headers of a message.
 */
async function ask<T>(check: Check, name: string, lookup: () => Promise<Answer<T>>): Promise<Answer<T>> {
  if (check.context.now() > check.deadline) throw new Abort("temperror", "DNS is too slow");
  try {
    return noted(check, await lookup());
  } catch (error) {
    if (error instanceof DnsError) throw new Abort("temperror", `${name} could not be looked up: ${error.reason}`);
    throw error;
  }
}

function addresses(check: Check, name: string): Promise<Answer<string>> {
  return ask(check, name, () => hostLookup(check, name));
}

function hostLookup(check: Check, name: string): Promise<Answer<string>> {
  const { resolver } = check.context;
  return check.subject.ip.length === 4 ? resolver.a(name) : resolver.aaaa(name);
}

function hasAddress(
  check: Check,
  text: string,
  lengths: { readonly ipv4: number; readonly ipv6: number },
): boolean {
  const { ip } = check.subject;
  const network = ip.length === 4 ? ipv4Octets(text) : ipv6Octets(text);
  return network !== undefined && inNetwork(ip, network, ip.length === 4 ? lengths.ipv4 : lengths.ipv6);
}
