/** `vacation` (RFC 5230) and `:seconds` (RFC 6131). */

import { createHash } from "node:crypto";
import type { OutgoingMail, VacationAction } from "../actions.ts";
import { composeMail, dateText, headerAddress, headerText } from "../compose.ts";
import { writtenText } from "../call.ts";
import type { Call, Compiler, Extension } from "../definition.ts";
import { fieldsNamed, firstField, type ListedAddress, parseAddressList } from "../../message/mod.ts";
import { later } from "../later.ts";
import { allowedSenders, mailboxList, parseMailbox } from "../mailbox_address.ts";
import { SieveRuntimeError } from "../problem.ts";
import type { Run } from "../run.ts";

const DAY = 86_400;
const USUAL_SECONDS = 7 * DAY;
const LONGEST_SUBJECT = 256;
const MOST_REFERENCES = 30;

/** Fields that may name the user as a recipient (RFC 5230 §4.5). */
const RECIPIENT_FIELDS = ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"];
/** Fields that may name the sender, with the name that people know. */
const SENDER_FIELDS = ["sender", "resent-from", "from", "reply-to"];
/** RFC 2919 and RFC 2369: mail from lists is not answered. */
const LIST_FIELDS = [
  "list-id",
  "list-owner",
  "list-subscribe",
  "list-post",
  "list-unsubscribe",
  "list-archive",
  "list-help",
];

/** What a call says, read for one run. */
interface Reply {
  readonly reason: string;
  readonly subject: string | undefined;
  readonly from: string | undefined;
  readonly addresses: readonly string[];
  readonly mime: boolean;
  /** What makes it this reply and no other. */
  readonly identity: string;
  readonly seconds: number;
}

/** Whether mail was sent by a program, or to many (RFC 5230 §4.6, RFC 3834 §2). */
function isAutomatic(run: Run): boolean {
  const { header } = run.message;
  const value = (name: string) => firstField(header, name)?.value().toLowerCase() ?? "";
  if (LIST_FIELDS.some((name) => firstField(header, name) !== undefined)) return true;
  if (!["", "no"].includes(value("auto-submitted").replace(/[\s;(].*$/, ""))) return true;
  if (["bulk", "junk", "list"].includes(value("precedence"))) return true;
  return value("x-auto-response-suppress").split(",").some((each) => ["all", "oof"].includes(each.trim()));
}

/** Addresses that nobody reads (RFC 3834 §2, RFC 5230 §4.6). */
function isSystemAddress(address: string): boolean {
  const local = address.slice(0, Math.max(0, address.lastIndexOf("@"))).toLowerCase();
  return /^(?:mailer-daemon|listserv|majordomo|owner-.*)$/.test(local) || /-(?:request|relay|owner)$/.test(local);
}

function listed(run: Run, fields: readonly string[]): readonly ListedAddress[] {
  return fields.flatMap((name) => fieldsNamed(run.message.header, name)).flatMap((field) =>
    parseAddressList(field.value()).filter(({ valid, domain }) => valid && domain !== "")
  );
}

const plain = ({ local, domain }: { readonly local: string; readonly domain: string }) => `${local}@${domain}`;
const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** The addresses of the user, those of the script last. */
function ownAddresses(run: Run, given: readonly string[]): readonly string[] {
  const { envelope, host, settings } = run;
  const original = settings.get("sieve_vacation_use_original_recipient") === "yes" ? envelope.orig_to : undefined;
  const user = settings.get("sieve_user_email");
  return [user, envelope.to, original, ...host.addresses ?? [], ...given].flatMap((each) =>
    each === undefined || each === "" ? [] : [each]
  );
}

/** The sender to answer, and the own address that the mail was sent to; undefined if no answer is due. */
function partners(run: Run, reply: Reply): { readonly sender: string; readonly own: string } | undefined {
  const sender = run.envelope.from ?? "";
  // RFC 5230 §4.6: no reply to nobody, to oneself, to programs and lists.
  if (sender === "" || parseMailbox(sender) === undefined || isSystemAddress(sender) || isAutomatic(run)) {
    return undefined;
  }
  const own = ownAddresses(run, reply.addresses);
  if (own.some((address) => same(address, sender))) return undefined;
  const named = listed(run, RECIPIENT_FIELDS).map(plain);
  const found = named.find((address) => own.some((each) => same(each, address)));
  if (found === undefined && run.settings.get("sieve_vacation_check_recipient") !== "no") return undefined;
  const fromRecipient = run.settings.get("sieve_vacation_send_from_recipient") === "yes";
  const shown = fromRecipient ? run.envelope.to : found ?? own[0];
  return shown === undefined ? undefined : { sender, own: shown };
}

/** `To`: the sender, with the name that a field of the message gives. */
function recipientText(run: Run, sender: string): string {
  const names = listed(run, SENDER_FIELDS);
  const ignoring = run.settings.get("sieve_vacation_to_header_ignore_envelope") === "yes";
  const found = ignoring ? names[0] : names.find((each) => same(plain(each), sender));
  return found === undefined ? `<${sender}>` : headerAddress(found);
}

function subjectText(run: Run, reply: Reply): string {
  if (reply.subject !== undefined) return reply.subject;
  const original = firstField(run.message.header, "subject")?.text().trim() ?? "";
  if (original === "") return run.settings.get("sieve_vacation_default_subject") || "Automated reply";
  const template = run.settings.get("sieve_vacation_default_subject_template") || "Auto: %{subject}";
  return template.replaceAll("%{subject}", () => original);
}

function shortened(text: string): string {
  const chars = Array.from(text);
  return chars.length <= LONGEST_SUBJECT ? text : `${chars.slice(0, LONGEST_SUBJECT - 1).join("")}…`;
}

/** RFC 5230 §5.8: what the reply refers to. */
function references(run: Run): readonly (readonly [string, string])[] {
  const value = (name: string) => firstField(run.message.header, name)?.value() ?? "";
  const ids = (text: string) => text.match(/<[^<>\s]+>/g) ?? [];
  const [id] = ids(value("message-id"));
  if (id === undefined) return [];
  const earlier = ids(value("references")).length > 0 ? ids(value("references")) : ids(value("in-reply-to"));
  return [["In-Reply-To", id], ["References", [...earlier.slice(-MOST_REFERENCES), id].join(" ")]];
}

function compose(run: Run, reply: Reply, sender: string, own: string): OutgoingMail {
  const now = run.host.now();
  // RFC 5230 §4.3: what is not allowed is as if it were not there.
  const authors = allowedSenders(run, reply.from);
  const from = authors === undefined ? undefined : mailboxList(authors);
  // RFC 5322 §3.6.2: where several are the authors, one of them has sent it.
  const several = authors !== undefined && parseAddressList(authors).length > 1;
  const id = run.host.messageId?.();
  // RFC 5230 §5.1 wants the null sender; some servers refuse it.
  const fromRecipient = run.settings.get("sieve_vacation_send_from_recipient") === "yes";
  return {
    from: fromRecipient ? run.envelope.to ?? "" : "",
    to: [sender],
    bytes: composeMail({
      fields: [
        ["Date", dateText(now, run.host.zoneOffset?.(now) ?? 0)],
        ["From", from ?? `<${own}>`],
        ...(several ? [["Sender", `<${own}>`]] as const : []),
        ["To", recipientText(run, sender)],
        ["Subject", headerText(shortened(subjectText(run, reply)))],
        ...(id === undefined ? [] : [["Message-ID", `<${id}>`]] as const),
        ...references(run),
        // RFC 5230 §5.7, RFC 3834 §5.1.
        ["Auto-Submitted", "auto-replied (vacation)"],
        ["Precedence", "bulk"],
      ],
      text: reply.reason,
      mime: reply.mime,
    }),
  };
}

/**
 * RFC 5230 §4.2: replies with other content are other replies, unless the script names them. The content is that of the
 * script: what variables make of it each time is still the same reply.
 */
function contentIdentity(call: Call): string {
  const written = (tag: string) => {
    const use = call.tag(tag);
    return use === undefined ? null : writtenText(call, use.valueAt);
  };
  const reason = writtenText(call, call.position("reason"));
  const content = JSON.stringify([written("subject"), written("from"), call.has("mime"), reason]);
  return createHash("sha256").update(content).digest("hex");
}

/** RFC 5230 §5: a header of a MIME entity has no octets beyond ASCII. */
function mimeProblem(reason: string): string | undefined {
  const [header = ""] = reason.split(/\r?\n\r?\n/, 1);
  return /[^\0-\x7f]/.test(header) ? "the header of the MIME entity has characters beyond ASCII" : undefined;
}

/** How long a sender gets no second reply, within what the settings allow. */
function period(call: Call, compiler: Compiler): number {
  const days = call.tag("days")?.number;
  const asked = call.tag("seconds")?.number ?? (days === undefined ? USUAL_SECONDS : Math.max(days, 1) * DAY);
  const limit = (name: string) => {
    const [, digits, unit = "s"] = /^(\d+)\s*([smhd]?)/.exec(compiler.setting(name) ?? "") ?? [];
    return digits === undefined ? undefined : Number(digits) * { s: 1, m: 60, h: 3600, d: DAY, "": 1 }[unit as "s"];
  };
  const least = limit("sieve_vacation_min_period") ?? (call.has("seconds") ? 0 : DAY);
  return Math.min(Math.max(asked, least), limit("sieve_vacation_max_period") ?? Infinity);
}

function readReply(call: Call, compiler: Compiler): (run: Run) => Reply {
  const seconds = period(call, compiler);
  const content = contentIdentity(call);
  const [reason, mime] = [call.text("reason"), call.has("mime")];
  const [subject, from, handle] = [call.tag("subject"), call.tag("from"), call.tag("handle")];
  const addresses = call.tag("addresses")?.texts;
  return (run) => ({
    reason: reason.read(run),
    subject: subject?.text.read(run),
    from: from?.text.read(run),
    addresses: addresses?.read(run) ?? [],
    mime,
    identity: handle === undefined ? content : `=${handle.text.read(run)}`,
    seconds,
  });
}

const vacationExtension: Extension = {
  capability: "vacation",
  commands: [{
    name: "vacation",
    parameters: [{ name: "reason", type: "string" }],
    tags: [
      { name: "days", group: "period", value: { name: "days", type: "number" } },
      { name: "subject", value: { name: "subject", type: "string" } },
      { name: "from", value: { name: "from", type: "string" } },
      { name: "addresses", value: { name: "addresses", type: "strings" } },
      { name: "mime" },
      { name: "handle", value: { name: "handle", type: "string" } },
    ],
    compile(call, compiler) {
      const from = call.tag("from");
      if (from?.text.literal !== undefined && mailboxList(from.text.literal) === undefined) {
        compiler.error(from.valueAt, `'${from.text.literal.slice(0, 256)}' is not an address that mail can come from`);
        return undefined;
      }
      const { literal } = call.text("reason");
      const wrong = literal === undefined || !call.has("mime") ? undefined : mimeProblem(literal);
      if (wrong !== undefined) {
        compiler.error(call.position("reason"), wrong);
        return undefined;
      }
      const read = readReply(call, compiler);
      return compiler.action(call, (run): VacationAction | Promise<VacationAction> => {
        // RFC 5230 §4.7.
        if (run.actions.slice(run.settled).some(({ kind }) => kind === "vacation")) {
          throw new SieveRuntimeError("vacation can be used once in a script only", call.at);
        }
        const reply = read(run);
        if (reply.from !== undefined && mailboxList(reply.from) === undefined) {
          throw new SieveRuntimeError(`'${reply.from.slice(0, 256)}' is not an address`, call.at);
        }
        const problem = reply.mime ? mimeProblem(reply.reason) : undefined;
        if (problem !== undefined) throw new SieveRuntimeError(problem, call.at);
        const between = partners(run, reply);
        if (between === undefined) return { kind: "vacation", message: run.message };
        const key = ["vacation", reply.identity, between.sender.toLowerCase()].join("\0");
        const seen = run.host.seen?.(key, reply.seconds, false) ?? false;
        return later(
          seen,
          (before): VacationAction =>
            before && reply.seconds > 0 ? { kind: "vacation", message: run.message } : {
              kind: "vacation",
              mail: compose(run, reply, between.sender, between.own),
              message: run.message,
            },
        );
      });
    },
  }],
};

const seconds: Extension = {
  capability: "vacation-seconds",
  implies: ["vacation"],
  tags: [{ to: ["vacation"], tag: { name: "seconds", group: "period", value: { name: "seconds", type: "number" } } }],
};

export const vacation: readonly Extension[] = [vacationExtension, seconds];
