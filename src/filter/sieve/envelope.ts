/** The envelope as scripts see and change it (`envelope.*`). */

import type { Envelope } from "../../sieve/mod.ts";
import type { DeliverBy, MailParameters, Notify, RcptParameters } from "../../smtp/mod.ts";
import type { FilteredRecipient, FilteredTransaction, Modification } from "../filter.ts";

/** The recipient that a script is about: the one under question, or the last one accepted. */
function latest({ recipient, recipients }: FilteredTransaction): FilteredRecipient | undefined {
  return recipient ?? recipients.at(-1);
}

/** The envelope for a run; empty before there is one. */
export function envelopeOf(
  transaction: FilteredTransaction | undefined,
  authenticatedAs: string,
  now: number,
): Envelope {
  if (transaction === undefined) return {};
  const { sender, parameters: { ret, envid, by } } = transaction;
  const recipient = latest(transaction);
  const { notify, orcpt } = recipient?.parameters ?? {};
  return {
    from: sender,
    to: recipient?.address,
    auth: authenticatedAs === "" ? undefined : authenticatedAs,
    notify: notify === undefined ? undefined : notifyText(notify),
    orcpt: orcpt === undefined ? undefined : `${orcpt.type};${orcpt.address}`,
    ret: ret?.toUpperCase(),
    envid,
    ...(by === undefined ? {} : {
      by_time_absolute: new Date(now + by.seconds * 1000).toISOString(),
      by_time_relative: String(by.seconds),
      by_mode: by.mode === "notify" ? "N" : "R",
      by_trace: String(by.trace),
    }),
  };
}

function notifyText(notify: Notify): string {
  if (notify.never) return "NEVER";
  const words = [notify.success && "SUCCESS", notify.failure && "FAILURE", notify.delay && "DELAY"];
  return words.filter((word) => word !== false).join(",");
}

/** The value of NOTIFY (RFC 3461 §4.1); undefined for the empty text. */
export function readNotify(text: string): Notify | undefined {
  if (text === "") return undefined;
  const words = text.toUpperCase().split(",").map((word) => word.trim());
  return {
    never: words.includes("NEVER"),
    success: words.includes("SUCCESS"),
    failure: words.includes("FAILURE"),
    delay: words.includes("DELAY"),
  };
}

const MAIL_KEYS = ["ret", "envid", "by_time_absolute", "by_time_relative", "by_mode", "by_trace"];
const RCPT_KEYS = ["notify", "orcpt"];

/** What a script has changed: modifications of the transaction, and variables that mean nothing at this stage. */
export interface EnvelopeChanges {
  readonly modifications: readonly Modification[];
  readonly without: readonly string[];
}

/** Compares the envelope after a run with the one before it. */
export function envelopeChanges(
  transaction: FilteredTransaction | undefined,
  before: Readonly<Envelope>,
  after: Readonly<Envelope>,
  now: number,
): EnvelopeChanges {
  const changed = Object.keys(after).filter((key) => (after[key] ?? "") !== (before[key] ?? ""));
  if (changed.length === 0) return NONE;
  if (transaction === undefined) return { modifications: [], without: changed };
  const modifications: Modification[] = [];
  const ofMail = changed.some((key) => MAIL_KEYS.includes(key));
  if (ofMail || changed.includes("from")) {
    const address = after.from ?? "";
    const parameters = ofMail ? mailParameters(transaction.parameters, after, changed, now) : undefined;
    modifications.push({ kind: "sender", address, ...(parameters === undefined ? {} : { parameters }) });
  }
  const recipient = latest(transaction);
  const ofRcpt = changed.filter((key) => key === "to" || RCPT_KEYS.includes(key));
  if (recipient === undefined) return { modifications, without: ofRcpt };
  if (ofRcpt.length > 0) {
    const address = after.to ?? recipient.address;
    const parameters = rcptParameters(recipient.parameters, after, changed);
    if (transaction.recipient !== undefined) {
      modifications.push({ kind: "recipient", address, parameters });
    } else {
      modifications.push(
        { kind: "delete-recipient", address: recipient.address },
        { kind: "add-recipient", address, parameters },
      );
    }
  }
  return { modifications, without: [] };
}

const NONE: EnvelopeChanges = { modifications: [], without: [] };

function mailParameters(
  given: MailParameters,
  after: Readonly<Envelope>,
  changed: readonly string[],
  now: number,
): MailParameters {
  const { ret: _ret, envid: _envid, by, ...rest } = given;
  const ret = after.ret?.toLowerCase();
  const next = changed.some((key) => key.startsWith("by_")) ? deliverBy(after, changed, now) : by;
  return {
    ...rest,
    ...(ret === "full" || ret === "hdrs" ? { ret } : {}),
    ...((after.envid ?? "") === "" ? {} : { envid: after.envid ?? "" }),
    ...(next === undefined ? {} : { by: next }),
  };
}

/** RFC 2852: a time makes it, the rest has defaults. Undefined without a time. */
function deliverBy(after: Readonly<Envelope>, changed: readonly string[], now: number): DeliverBy | undefined {
  const relative = after.by_time_relative ?? "";
  const absolute = after.by_time_absolute ?? "";
  const byClock = changed.includes("by_time_absolute") && !changed.includes("by_time_relative");
  if (byClock ? absolute === "" : relative === "") return undefined;
  const seconds = byClock ? Math.ceil((Date.parse(absolute) - now) / 1000) : Number(relative);
  const mode = after.by_mode === "N" ? "notify" : "return";
  // RFC 2852 §4: a deadline of mode R lies ahead.
  return { seconds: mode === "return" ? Math.max(1, seconds) : seconds, mode, trace: after.by_trace === "true" };
}

function rcptParameters(
  given: RcptParameters,
  after: Readonly<Envelope>,
  changed: readonly string[],
): RcptParameters {
  const { notify: _notify, orcpt: _orcpt, ...rest } = given;
  const notify = changed.includes("notify") ? readNotify(after.notify ?? "") : given.notify;
  const [, type = "", address = ""] = /^([^;]*);(.*)$/s.exec(after.orcpt ?? "") ?? [];
  const orcpt = changed.includes("orcpt") ? (type === "" ? undefined : { type, address }) : given.orcpt;
  return {
    ...rest,
    ...(notify === undefined ? {} : { notify }),
    ...(orcpt === undefined ? {} : { orcpt }),
  };
}
