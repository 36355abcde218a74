/** `notify` (RFC 5435) by mail (RFC 5436), `valid_notify_method`, `notify_method_capability`, `:encodeurl`. */

import type { NotifyAction, OutgoingMail } from "../actions.ts";
import { composeMail, dateText, headerAddress, headerText } from "../compose.ts";
import type { Call, Compiler, Extension, TagDefinition } from "../definition.ts";
import { firstField, type ListedAddress, parseAddressList } from "../../message/mod.ts";
import { allowedSenders, mailboxOf, parseMailbox } from "../mailbox_address.ts";
import { type MailtoUri, parseMailto } from "../mailto.ts";
import { SieveRuntimeError } from "../problem.ts";
import type { Run } from "../run.ts";

const LONGEST_SUBJECT = 256;
/** RFC 5435 §3.6, in the words of the fields that mail programs read. */
const IMPORTANCE: Readonly<Record<string, { readonly priority: string; readonly word: string }>> = {
  "1": { priority: "1 (Highest)", word: "high" },
  "2": { priority: "3 (Normal)", word: "normal" },
  "3": { priority: "5 (Lowest)", word: "low" },
};

function methodProblem(uri: string): string | undefined {
  if (!/^mailto:/i.test(uri)) return `the notification method '${uri.slice(0, 80)}' is not supported; mailto: is`;
  const parsed = parseMailto(uri);
  return "problem" in parsed ? `the URI '${uri.slice(0, 80)}' cannot be used: ${parsed.problem}` : undefined;
}

/** RFC 5435 §3.5: `name=value`. */
function optionProblem(option: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*=[^\0\r\n]*$/.test(option)
    ? undefined
    : `'${option.slice(0, 80)}' is not an option; it must look like "name=value"`;
}

const IMPORTANCE_TAG: TagDefinition = {
  name: "importance",
  value: { name: "importance", type: "string" },
  check({ text: { literal }, valueAt }, _call, compiler) {
    if (literal !== undefined && IMPORTANCE[literal] === undefined) {
      compiler.error(valueAt, `the importance must be "1", "2" or "3", but '${literal.slice(0, 80)}' was found`);
    }
  },
};

const OPTIONS_TAG: TagDefinition = {
  name: "options",
  value: { name: "options", type: "strings" },
  check({ texts, valueAt }, _call, compiler) {
    for (const option of texts.literal ?? []) {
      const problem = optionProblem(option);
      if (problem !== undefined) compiler.error(valueAt, problem);
    }
  },
};

const FROM_TAG: TagDefinition = {
  name: "from",
  value: { name: "from", type: "string" },
  check({ text: { literal }, valueAt }, _call, compiler) {
    if (literal !== undefined && parseMailbox(literal) === undefined) {
      compiler.error(valueAt, `'${literal.slice(0, 256)}' is not an address that mail can come from`);
    }
  },
};

interface Notification {
  readonly from: string | undefined;
  readonly importance: string;
  readonly text: string | undefined;
}

/** RFC 5436 §2.7.1: nobody is told of what programs wrote, or loops would begin. */
function isAutomatic(run: Run): boolean {
  const value = firstField(run.message.header, "auto-submitted")?.value().toLowerCase() ?? "no";
  return value.replace(/[\s;(].*$/, "") !== "no";
}

/** Recipients that an earlier notification of this run does not reach already (RFC 5435 §3.3). */
function fresh(run: Run, listed: readonly ListedAddress[], told: Set<string>): readonly ListedAddress[] {
  for (const action of run.actions) {
    if (action.kind === "notify") { for (const to of action.mail?.to ?? []) told.add(to.toLowerCase()); }
  }
  return listed.filter((each) => {
    const address = mailboxOf(each)?.address.toLowerCase() ?? "";
    const isNew = !told.has(address);
    told.add(address);
    return isNew;
  });
}

/** RFC 5436 §2.2: the sender in the envelope; the null sender for what had it, so that no bounce is answered. */
function envelopeSender(run: Run, from: string): string {
  const { envelope, settings } = run;
  if ((envelope.from ?? "") === "") return "";
  const wanted = settings.get("sieve_notify_mailto_envelope_from")?.trim();
  if (wanted === "sender") return envelope.from ?? "";
  if (wanted === "recipient" || wanted === "orig_recipient") return envelope.to ?? "";
  if (wanted === "user_email") return settings.get("sieve_user_email") ?? envelope.to ?? "";
  return /^<(.+)>$/.exec(wanted ?? "")?.[1] ?? from;
}

function compose(run: Run, uri: MailtoUri, { from, importance, text }: Notification): OutgoingMail | undefined {
  if (isAutomatic(run)) return undefined;
  const told = new Set<string>();
  const to = fresh(run, uri.to, told);
  const cc = fresh(run, uri.cc, told);
  const recipients = [...to, ...cc].flatMap((each) => mailboxOf(each)?.address ?? []);
  if (recipients.length === 0) return undefined;
  const now = run.host.now();
  const id = run.host.messageId?.();
  const own = from ?? run.host.addresses?.[0] ??
    `Postmaster <postmaster@${run.host.environment?.("domain") ?? "localhost"}>`;
  const [sender] = parseAddressList(own);
  const { priority, word } = IMPORTANCE[importance] ?? { priority: "3 (Normal)", word: "normal" };
  const original = (name: string) => firstField(run.message.header, name)?.text().trim() ?? "";
  // RFC 5436 §2.7: the text of the script comes first, then that of the URI, then that of the message.
  const subject = text ?? uri.subject ?? (original("subject") || "New mail");
  const chars = Array.from(subject);
  const short = chars.length > LONGEST_SUBJECT ? `${chars.slice(0, LONGEST_SUBJECT - 1).join("")}…` : subject;
  return {
    from: envelopeSender(run, parseMailbox(own)?.address ?? ""),
    to: recipients,
    bytes: composeMail({
      fields: [
        ["X-Sieve", "godwit"],
        ["Date", dateText(now, run.host.zoneOffset?.(now) ?? 0)],
        ...(id === undefined ? [] : [["Message-ID", `<${id}>`]] as const),
        ["From", sender === undefined || sender.name === "" ? own : headerAddress(sender)],
        ...(to.length === 0 ? [] : [["To", to.map(headerAddress).join(", ")]] as const),
        ...(cc.length === 0 ? [] : [["Cc", cc.map(headerAddress).join(", ")]] as const),
        ["Subject", headerText(short)],
        ...uri.fields.map(([name, value]) => [name, headerText(value)] as const),
        // RFC 5436 §2.7.1: who is behind it stands there, also before there is a recipient.
        [
          "Auto-Submitted",
          `auto-notified; owner-email="${quoted(run.envelope.to ?? parseMailbox(own)?.address ?? "")}"`,
        ],
        ["Precedence", "bulk"],
        ["X-Priority", priority],
        ["Importance", word],
      ],
      // RFC 5435 §3.6.
      text: uri.body ?? text ?? `New mail\nFrom: ${original("from")}\nSubject: ${original("subject")}\n`,
    }),
  };
}

/** What stands between the quotes of a quoted string. */
function quoted(text: string): string {
  return text.replace(/["\\]/g, "\\$&");
}

/** What is known of notifications by mail, by capability. */
const CAPABILITIES: Readonly<Record<string, string>> = {
  // RFC 5436 §2.2: nobody knows who reads mail, or when.
  online: "maybe",
  // RFC 8580 §6.1.
  fcc: "yes",
};

function compileNotify(call: Call, compiler: Compiler) {
  if (compiler.options.limits?.outMessages === 0) {
    compiler.error(call.at, "local policy prohibits the use of a notify action: scripts may send no messages");
    return undefined;
  }
  const method = call.text("method");
  if (method.literal !== undefined) {
    const problem = methodProblem(method.literal);
    if (problem !== undefined) {
      compiler.error(call.position("method"), problem);
      return undefined;
    }
  }
  const [from, importance, text] = [call.tag("from"), call.tag("importance"), call.tag("message")];
  return compiler.action(call, (run): NotifyAction => {
    const uri = method.read(run);
    const problem = methodProblem(uri);
    if (problem !== undefined) throw new SieveRuntimeError(problem, call.at);
    const parsed = parseMailto(uri);
    const sender = from?.text.read(run);
    if (sender !== undefined && parseMailbox(sender) === undefined) {
      throw new SieveRuntimeError(`'${sender.slice(0, 256)}' is not an address that mail can come from`, call.at);
    }
    const mail = "problem" in parsed ? undefined : compose(run, parsed, {
      // RFC 5435 §3.3: what is not allowed is as if it were not there.
      from: allowedSenders(run, sender),
      importance: importance?.text.read(run) ?? "2",
      text: text?.text.read(run),
    });
    return { kind: "notify", method: uri, message: run.message, ...(mail === undefined ? {} : { mail }) };
  });
}

/** RFC 5435 §6: unreserved characters stay; nothing encoded is cut in two. */
function encodeUrl(text: string, limit: number): string {
  let out = "";
  for (const char of text.toWellFormed()) {
    const encoded = encodeURIComponent(char).replace(
      /[!'()*]/g,
      (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
    );
    if (out.length + encoded.length > limit) break;
    out += encoded;
  }
  return out;
}

export const enotify: readonly Extension[] = [{
  capability: "enotify",
  commands: [{
    name: "notify",
    parameters: [{ name: "method", type: "string" }],
    tags: [FROM_TAG, IMPORTANCE_TAG, OPTIONS_TAG, { name: "message", value: { name: "message", type: "string" } }],
    compile: compileNotify,
  }],
  tests: [
    {
      name: "valid_notify_method",
      parameters: [{ name: "notification uris", type: "strings" }],
      compile(call) {
        const uris = call.texts("notification uris");
        return (run) => uris.read(run).every((uri) => methodProblem(uri) === undefined);
      },
    },
    {
      name: "notify_method_capability",
      parameters: [
        { name: "notification uri", type: "string" },
        { name: "notification capability", type: "string" },
        { name: "key list", type: "strings" },
      ],
      tagSets: ["Match"],
      compile(call, compiler) {
        const matcher = compiler.matcher(call, "key list");
        if (matcher === undefined) return undefined;
        const [uri, capability] = [call.text("notification uri"), call.text("notification capability")];
        return (run) => {
          const name = capability.read(run).toLowerCase();
          const value = Object.hasOwn(CAPABILITIES, name) ? CAPABILITIES[name] : undefined;
          const method = uri.read(run);
          // RFC 8580 §6.1: for that one the scheme is enough.
          const valid = name === "fcc" ? /^mailto:/i.test(method) : methodProblem(method) === undefined;
          return value !== undefined && valid && matcher(run, [value]);
        };
      },
    },
  ],
  tags: [{
    to: ["set", "extracttext"],
    tag: { name: "encodeurl", group: "modifier of order 15", modifier: { order: 15, apply: encodeUrl } },
  }],
}];
