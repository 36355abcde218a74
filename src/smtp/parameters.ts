/** The ESMTP parameters of MAIL FROM and RCPT TO: each extension's values, checked and decoded. */

import type { EsmtpParameter } from "./command.ts";
import type { DeliverBy, MailParameters, Notify, OriginalRecipient, RcptParameters } from "./envelope.ts";
import { type Reply, reply } from "./reply.ts";
import { utf8AddressDecode, xtextDecode } from "./xtext.ts";

/** Which extensions this session offered; parameters of the others are refused. */
export interface Offered {
  readonly size: boolean;
  /** 8BITMIME (RFC 6152). */
  readonly body: boolean;
  /** BINARYMIME (RFC 3030). */
  readonly binarymime: boolean;
  readonly smtputf8: boolean;
  readonly dsn: boolean;
  readonly auth: boolean;
  readonly requiretls: boolean;
  readonly futureRelease: boolean;
  readonly deliverBy: boolean;
  readonly mtPriority: boolean;
  readonly solicit: boolean;
}

/** All parameters there are. */
export const EVERYTHING_OFFERED: Offered = {
  size: true,
  body: true,
  binarymime: true,
  smtputf8: true,
  dsn: true,
  auth: true,
  requiretls: true,
  futureRelease: true,
  deliverBy: true,
  mtPriority: true,
  solicit: true,
};

/** No parameter at all, as before EHLO. */
export const NOTHING_OFFERED: Offered = {
  size: false,
  body: false,
  binarymime: false,
  smtputf8: false,
  dsn: false,
  auth: false,
  requiretls: false,
  futureRelease: false,
  deliverBy: false,
  mtPriority: false,
  solicit: false,
};

/** The parameters of MAIL, or what to answer. */
export type MailParametersResult =
  | { readonly kind: "parameters"; readonly parameters: MailParameters }
  | { readonly kind: "error"; readonly reply: Reply };

/** The parameters of RCPT, or what to answer. */
export type RcptParametersResult =
  | { readonly kind: "parameters"; readonly parameters: RcptParameters }
  | { readonly kind: "error"; readonly reply: Reply };

type Writable<T> = { -readonly [K in keyof T]: T[K] };
/** Takes a value into `into`; false if the value is bad. */
type MailReader = (value: string | undefined, into: Writable<MailParameters>, offered: Offered) => boolean;

const NO_MAIL_PARAMETERS: MailParametersResult = { kind: "parameters", parameters: {} };
const NO_RCPT_PARAMETERS: RcptParametersResult = { kind: "parameters", parameters: {} };

interface MailParameter {
  readonly extension: keyof Offered;
  readonly read: MailReader;
}

const MAIL_PARAMETERS: ReadonlyMap<string, MailParameter> = new Map<string, MailParameter>([
  ["SIZE", { extension: "size", read: readSize }],
  ["BODY", { extension: "body", read: readBody }],
  ["SMTPUTF8", { extension: "smtputf8", read: (value, into) => value === undefined && (into.smtputf8 = true) }],
  ["AUTH", { extension: "auth", read: readAuth }],
  ["RET", { extension: "dsn", read: readRet }],
  ["ENVID", { extension: "dsn", read: readEnvid }],
  ["REQUIRETLS", { extension: "requiretls", read: (value, into) => value === undefined && (into.requiretls = true) }],
  ["HOLDFOR", { extension: "futureRelease", read: readHoldFor }],
  ["HOLDUNTIL", { extension: "futureRelease", read: readHoldUntil }],
  ["BY", { extension: "deliverBy", read: readBy }],
  ["MT-PRIORITY", { extension: "mtPriority", read: readMtPriority }],
  ["SOLICIT", { extension: "solicit", read: readSolicit }],
]);

/** Reads the parameters of MAIL FROM. Limits that depend on settings (size, hold, deadline) are not checked here. */
export function readMailParameters(parameters: readonly EsmtpParameter[], offered: Offered): MailParametersResult {
  if (parameters.length === 0) return NO_MAIL_PARAMETERS;
  const into: Writable<MailParameters> = {};
  const seen = new Set<string>();
  for (const { keyword, value } of parameters) {
    const parameter = MAIL_PARAMETERS.get(keyword);
    if (parameter === undefined || !offered[parameter.extension]) return notOffered(keyword);
    if (seen.has(keyword)) return badParameter(`Parameter ${keyword} given twice`);
    seen.add(keyword);
    if (!parameter.read(value, into, offered)) return badParameter(`Bad value of parameter ${keyword}`);
  }
  // RFC 4865 §4.1: one or the other.
  if (into.holdFor !== undefined && into.holdUntil !== undefined) {
    return badParameter("HOLDFOR and HOLDUNTIL exclude each other");
  }
  return { kind: "parameters", parameters: into };
}

/** Reads the parameters of RCPT TO. */
export function readRcptParameters(parameters: readonly EsmtpParameter[], offered: Offered): RcptParametersResult {
  if (parameters.length === 0) return NO_RCPT_PARAMETERS;
  const into: Writable<RcptParameters> = {};
  for (const { keyword, value } of parameters) {
    if ((keyword !== "NOTIFY" && keyword !== "ORCPT") || !offered.dsn) return notOffered(keyword);
    if ((keyword === "NOTIFY" ? into.notify : into.orcpt) !== undefined) {
      return badParameter(`Parameter ${keyword} given twice`);
    }
    if (keyword === "NOTIFY") {
      const notify = parseNotify(value);
      if (notify === undefined) return badParameter("Bad value of parameter NOTIFY");
      into.notify = notify;
    } else {
      const orcpt = parseOrcpt(value);
      if (orcpt === undefined) return badParameter("Bad value of parameter ORCPT");
      into.orcpt = orcpt;
    }
  }
  return { kind: "parameters", parameters: into };
}

function readSize(value: string | undefined, into: Writable<MailParameters>): boolean {
  if (value === undefined || !/^[0-9]{1,20}$/.test(value)) return false;
  into.size = Math.min(Number(value), Number.MAX_SAFE_INTEGER);
  return true;
}

function readBody(value: string | undefined, into: Writable<MailParameters>, offered: Offered): boolean {
  switch (value?.toUpperCase()) {
    case "7BIT":
      into.body = "7bit";
      return true;
    case "8BITMIME":
      into.body = "8bitmime";
      return true;
    case "BINARYMIME":
      into.body = "binarymime";
      return offered.binarymime;
    default:
      return false;
  }
}

function readAuth(value: string | undefined, into: Writable<MailParameters>): boolean {
  const decoded = value === undefined ? undefined : xtextDecode(value);
  if (decoded === undefined || hasControls(decoded)) return false;
  into.auth = decoded === "<>" ? "" : decoded;
  return true;
}

function readRet(value: string | undefined, into: Writable<MailParameters>): boolean {
  const ret = value?.toLowerCase();
  if (ret !== "full" && ret !== "hdrs") return false;
  into.ret = ret;
  return true;
}

function readEnvid(value: string | undefined, into: Writable<MailParameters>): boolean {
  // RFC 3461 §4.4: at most 100 characters, printable ASCII once decoded.
  if (value === undefined || value.length > 100) return false;
  const envid = xtextDecode(value);
  if (envid === undefined || !/^[ -~]+$/.test(envid)) return false;
  into.envid = envid;
  return true;
}

function readHoldFor(value: string | undefined, into: Writable<MailParameters>): boolean {
  // RFC 4865 §3: a positive number without leading zeros.
  if (value === undefined || !/^[1-9][0-9]{0,8}$/.test(value)) return false;
  into.holdFor = Number(value);
  return true;
}

function readHoldUntil(value: string | undefined, into: Writable<MailParameters>): boolean {
  // RFC 4865 §3: a date-time of RFC 3339 §5.6 in UTC.
  const dateTime = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-]00:00)$/i;
  const time = value === undefined || !dateTime.test(value) ? NaN : Date.parse(value.toUpperCase());
  if (Number.isNaN(time)) return false;
  into.holdUntil = time;
  return true;
}

function readBy(value: string | undefined, into: Writable<MailParameters>): boolean {
  const match = /^([+-]?[0-9]{1,9});([NR])(T?)$/i.exec(value ?? "");
  if (match === null) return false;
  const by: DeliverBy = {
    seconds: Number(match[1]),
    mode: match[2]?.toUpperCase() === "R" ? "return" : "notify",
    trace: match[3] !== "",
  };
  into.by = by;
  // RFC 2852 §4: a deadline that has passed cannot ask for the message's return.
  return by.mode === "notify" || by.seconds > 0;
}

function readMtPriority(value: string | undefined, into: Writable<MailParameters>): boolean {
  if (value === undefined || !/^(?:0|-?[1-9])$/.test(value)) return false;
  into.mtPriority = Number(value);
  return true;
}

/** Whether this is a list of solicitation classes (RFC 3865 §2.2) such as `net.example:ADV`, separated by commas. */
export function isSolicitation(keywords: string): boolean {
  return keywords.length <= 1000 && /^[A-Za-z][A-Za-z0-9._:-]*(?:,[A-Za-z][A-Za-z0-9._:-]*)*$/.test(keywords);
}

function readSolicit(value: string | undefined, into: Writable<MailParameters>): boolean {
  if (value === undefined || !isSolicitation(value)) return false;
  into.solicit = value;
  return true;
}

function parseNotify(value: string | undefined): Notify | undefined {
  if (value === undefined) return undefined;
  const words = value.toUpperCase().split(",");
  if (!words.every((word) => /^(?:NEVER|SUCCESS|FAILURE|DELAY)$/.test(word))) return undefined;
  const never = words.includes("NEVER");
  // RFC 3461 §4.1: NEVER stands alone.
  if (never && words.length > 1) return undefined;
  return {
    never,
    success: words.includes("SUCCESS"),
    failure: words.includes("FAILURE"),
    delay: words.includes("DELAY"),
  };
}

function parseOrcpt(value: string | undefined): OriginalRecipient | undefined {
  // RFC 3461 §4.2: at most 500 characters.
  if (value === undefined || value.length > 500) return undefined;
  const match = /^([A-Za-z0-9][A-Za-z0-9.-]*);(.+)$/s.exec(value);
  if (match === null) return undefined;
  const [, type = "", encoded = ""] = match;
  const utf8 = type.toLowerCase() === "utf-8";
  const address = utf8 ? utf8AddressDecode(encoded) : xtextDecode(encoded);
  if (address === undefined || hasControls(address)) return undefined;
  // RFC 3461 §5.2.1 (d): it is passed on as it came, upper and lower case included.
  return { type, address };
}

function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

function notOffered(keyword: string): { kind: "error"; reply: Reply } {
  return {
    kind: "error",
    reply: reply(555, "5.5.4", `Parameter ${keyword.slice(0, 40)} not recognized or not offered`),
  };
}

function badParameter(text: string): { kind: "error"; reply: Reply } {
  return { kind: "error", reply: reply(501, "5.5.4", text) };
}
