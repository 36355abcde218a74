/** The part of a delivery status notification that people read: what happened and what to do about it. */

import { firstField, formatDate, parseHeader } from "../message/mod.ts";
import type { NoticeRecipient, QueuedMessage } from "../queue/types.ts";
import { type DialogueLine, formatDialogueLine } from "../smtp/mod.ts";
import { noticeStatus } from "./dsn_status.ts";
import { type Advice, NOTICE_WORDS as WORDS } from "./wording.ts";

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
  if (actions.has("failed")) return WORDS.subject.failed;
  if (actions.has("delayed")) return WORDS.subject.delayed;
  return actions.has("relayed") ? WORDS.subject.relayed : WORDS.subject.delivered;
}

/** The text, lines ending in CRLF. Text of other hosts is cut, wrapped and freed of control characters. */
export function noticeText({ hostname, message, recipients, now }: NoticeTextOptions): string {
  const of = (...actions: NoticeRecipient["action"][]) => recipients.filter(({ action }) => actions.includes(action));
  const out: string[] = [WORDS.greeting(hostname), "", ...subjectLine(message)];
  const quoted = new Set<string>();
  const sent = formatDate(message.created);
  section(out, of("failed"), WORDS.failed(sent), (notice) => [
    ...answer(notice),
    ...wrap(WORDS.whatToDo(advice(notice)), "  "),
    ...conversation(notice, quoted),
  ]);
  section(out, of("delayed"), WORDS.delayed(sent), (notice) => [
    ...answer(notice),
    ...(notice.willRetryUntil === undefined
      ? []
      : wrap(WORDS.attemptsUntil(formatDate(Math.max(notice.willRetryUntil, now))), "  ")),
  ]);
  section(
    out,
    of("delivered", "expanded"),
    WORDS.delivered,
    (notice) => notice.action === "expanded" ? wrap(WORDS.expanded, "  ") : [],
  );
  section(
    out,
    of("relayed"),
    WORDS.relayed,
    (notice) => notice.detail.host === "" ? [] : wrap(WORDS.passedOnTo(plain(notice.detail.host)), "  "),
  );
  out.push(...wrap(WORDS.details, ""));
  return out.join("\r\n") + "\r\n";
}

// So that people recognise which message it is about.
function subjectLine({ content }: QueuedMessage): readonly string[] {
  const header = parseHeader(content.head.subarray(0, LARGEST_HEADER));
  const subject = plain(firstField(header, "subject")?.text() ?? "");
  return subject === "" ? [] : [...wrap(WORDS.about(subject.slice(0, LONGEST_SUBJECT)), ""), ""];
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
  return wrap(detail.reply === undefined ? WORDS.reason(text) : text, "  ");
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
  return [...wrap(WORDS.conversation, "  "), ...lines];
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
const ADVICE: readonly (readonly [pattern: RegExp, advice: Advice])[] = [
  [/\.1\.[016]$/, "noMailbox"],
  [/\.1\.(?:2|10)$/, "noDomain"],
  [/\.1\.[347]$|\.1\.8$/, "badAddress"],
  [/\.2\.1$/, "closed"],
  [/\.2\.2$/, "full"],
  [/\.2\.3$|\.3\.4$/, "tooLarge"],
  [/\.4\.6$/, "loop"],
  [/\.4\.[0-57]$/, "unreachable"],
  [/\.6\.7$/, "international"],
  [/\.6\.[0-9]+$/, "content"],
  [/\.7\.(?:10|30)$|\.7\.4$/, "unsafe"],
  [/\.7\.[0-9]+$/, "policy"],
];

function advice(notice: NoticeRecipient): string {
  const status = noticeStatus(notice);
  return WORDS.advice[ADVICE.find(([pattern]) => pattern.test(status))?.[1] ?? "other"];
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
