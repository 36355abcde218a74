/** The part of a delivery status notification that people read: what happened and what to do about it. */

import { firstField, formatDate, parseHeader } from "../message/mod.ts";
import type { NoticeRecipient, QueuedMessage } from "../queue/types.ts";
import { type DialogueLine, formatDialogueLine } from "../smtp/mod.ts";
import { noticeStatus } from "./dsn_status.ts";

/** What the text is made of. */
export interface NoticeTextOptions {
  readonly hostname: string;
  readonly message: QueuedMessage;
  readonly recipients: readonly NoticeRecipient[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const WIDTH = 76;
const LONGEST_ANSWER = 1000;
const LONGEST_SUBJECT = 200;
const LARGEST_HEADER = 64 * 1024;
/** Conversations that are quoted in one notice, lines of each, and characters of each line. */
const MOST_CONVERSATIONS = 3;
const QUOTED_LINES = 8;
const LONGEST_QUOTED_LINE = 120;

/** The subject, by the worst that happened. */
export function noticeSubject(recipients: readonly NoticeRecipient[]): string {
  const actions = new Set(recipients.map(({ action }) => action));
  if (actions.has("failed")) return "Your message could not be delivered";
  if (actions.has("delayed")) return "Your message is delayed";
  if (actions.has("relayed")) return "Your message was passed on";
  return "Your message was delivered";
}

/** The text, lines ending in CRLF. Text of other hosts is cut, wrapped and freed of control characters. */
export function noticeText({ hostname, message, recipients, now }: NoticeTextOptions): string {
  const of = (...actions: NoticeRecipient["action"][]) => recipients.filter(({ action }) => actions.includes(action));
  const out: string[] = [`This is the mail server ${hostname}.`, "", ...subjectLine(message)];
  const quoted = new Set<string>();
  section(
    out,
    of("failed"),
    `The message you sent on ${formatDate(message.created)} could not be delivered to the recipients below. ` +
      "No further attempt will be made.",
    (
      notice,
    ) => [...answer(notice), ...wrap(`What you can do: ${advice(notice)}`, "  "), ...conversation(notice, quoted)],
  );
  section(
    out,
    of("delayed"),
    `The message you sent on ${formatDate(message.created)} has not yet been delivered to the recipients below. ` +
      "You need not send it again: this server keeps trying by itself.",
    (notice) => [
      ...answer(notice),
      ...(notice.willRetryUntil === undefined
        ? []
        : wrap(`Attempts go on until ${formatDate(Math.max(notice.willRetryUntil, now))}.`, "  ")),
    ],
  );
  section(
    out,
    of("delivered", "expanded"),
    "You asked to be told: the message was delivered to the recipients below.",
    (notice) => notice.action === "expanded" ? wrap("The address stands for several, who got it each.", "  ") : [],
  );
  section(
    out,
    of("relayed"),
    "You asked to be told: the message was passed on for the recipients below to a server that sends no further notice.",
    (notice) => notice.detail.host === "" ? [] : wrap(`Passed on to ${plain(notice.detail.host)}.`, "  "),
  );
  out.push(...wrap("Details for programs and administrators are attached, with the message or its header.", ""));
  return out.join("\r\n") + "\r\n";
}

// So that people recognise which message it is about.
function subjectLine({ content }: QueuedMessage): readonly string[] {
  const header = parseHeader(content.head.subarray(0, LARGEST_HEADER));
  const subject = plain(firstField(header, "subject")?.text() ?? "");
  return subject === "" ? [] : [...wrap(`Subject: ${subject.slice(0, LONGEST_SUBJECT)}`, ""), ""];
}

function section(
  out: string[],
  recipients: readonly NoticeRecipient[],
  introduction: string,
  explain: (notice: NoticeRecipient) => readonly string[],
): void {
  if (recipients.length === 0) return;
  out.push(...wrap(introduction, ""), "");
  for (const notice of recipients) out.push(plain(notice.recipient.address), ...explain(notice), "");
}

function answer({ detail }: NoticeRecipient): readonly string[] {
  const text = plain(detail.text).slice(0, LONGEST_ANSWER);
  if (text === "") return [];
  // What a peer said comes with its name, whatever else went wrong comes without.
  return wrap(detail.reply === undefined ? `Reason: ${text}` : text, "  ");
}

/**
 * The end of what was said with the other server. Recipients of one transaction mostly share it: it is quoted once, and
 * not more than a few are.
 */
function conversation({ detail, recipient }: NoticeRecipient, quoted: Set<string>): readonly string[] {
  const dialogue = withoutOthers(detail.dialogue ?? [], recipient.address);
  if (dialogue.length === 0 || quoted.size >= MOST_CONVERSATIONS) return [];
  const lines = dialogue.slice(-QUOTED_LINES).map((line) => {
    const text = plain(formatDialogueLine(line));
    return `    ${text.length > LONGEST_QUOTED_LINE ? `${text.slice(0, LONGEST_QUOTED_LINE)}...` : text}`;
  });
  const said = lines.join();
  if (quoted.has(said)) return [];
  quoted.add(said);
  return [...wrap("The end of the conversation (seconds; C: this server, S: the other one):", "  "), ...lines];
}

/** Leaves out other recipients with their replies: who is behind a list is not for everybody who writes to it. */
function withoutOthers(dialogue: readonly DialogueLine[], address: string): readonly DialogueLine[] {
  const own = `<${address.toLowerCase()}>`;
  let dropping = false;
  return dialogue.filter(({ from, text }) => {
    if (from !== "server") dropping = from === "client" && /^RCPT TO:/i.test(text) && !text.toLowerCase().includes(own);
    return !dropping;
  });
}

/** Advice by status code (RFC 3463 §3), the most telling prefix first. */
const ADVICE: readonly (readonly [pattern: RegExp, text: string])[] = [
  [
    /\.1\.[016]$/,
    "check the spelling of the address. If it is right, the mailbox does not exist, or no longer; ask the " +
    "recipient by other means.",
  ],
  [/\.1\.(?:2|10)$/, "check the part of the address after the @. That domain does not exist or takes no mail."],
  [/\.1\.[347]$|\.1\.8$/, "check the spelling of the addresses; the other server found one malformed or unknown."],
  [/\.2\.1$/, "ask the recipient by other means: the mailbox is closed."],
  [/\.2\.2$/, "wait until the recipient has made room, then send the message again: the mailbox is full."],
  [/\.2\.3$|\.3\.4$/, "send a smaller message, for example without attachments: it is larger than allowed."],
  [/\.4\.6$/, "tell the recipient's administrator: the message went in circles between servers."],
  [/\.4\.[0-57]$/, "send the message again later. The recipient's server could not be reached in the time allowed."],
  [/\.6\.7$/, "use another address of the recipient: the server there cannot handle international addresses."],
  [/\.6\.[0-9]+$/, "send the message in another form: the other server cannot take its content."],
  [/\.7\.(?:10|30)$|\.7\.4$/, "ask the recipient's administrator: the server there offers no safe enough encryption."],
  [
    /\.7\.[0-9]+$/,
    "the other server refused the message by its rules. If it was wanted there, ask the recipient's " +
    "administrator and pass on the answer above.",
  ],
];

function advice(notice: NoticeRecipient): string {
  const status = noticeStatus(notice);
  return ADVICE.find(([pattern]) => pattern.test(status))?.[1] ??
    "see the answer above. If it does not help, ask your administrator and pass it on.";
}

function plain(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\p{Cc}\p{Cf}]/gu, "?").trim();
}

function wrap(text: string, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    // A word that fits no line is cut, so that no line of the text is over-long.
    for (const piece of word.match(/.{1,200}/gsu) ?? []) {
      if (line.length > indent.length && line.length + 1 + piece.length > WIDTH) {
        lines.push(line);
        line = indent;
      }
      line += line.length > indent.length ? ` ${piece}` : piece;
    }
  }
  return line.length > indent.length ? [...lines, line] : lines;
}
