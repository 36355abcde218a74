/** What two sides said to each other, as people read it. */

import type { Reply } from "./reply.ts";

/** One line of a dialogue. Untrusted text, not yet encoded. */
export interface DialogueLine {
  /** Milliseconds since the dialogue began. */
  readonly at: number;
  /** Who said it; `note` stands for something that nobody said, such as the end of the connection. */
  readonly from: "client" | "server" | "note";
  /** Without CRLF. */
  readonly text: string;
}

/** What stands for credentials. */
export const HIDDEN = "***";

const LONGEST_LINE = 500;
/** What a line costs beside its text. */
const OVERHEAD = 16;

/** The lines of a reply as they were sent: `250-mx.example.net`, `250 SIZE`. */
export function replyLines({ code, enhanced, text }: Reply): string[] {
  const prefix = enhanced === undefined ? "" : `${enhanced} `;
  const last = text.length - 1;
  if (last < 0) return [String(code)];
  return text.map((line, index) => `${code}${index < last ? "-" : " "}${prefix}${line}`.trimEnd());
}

/**
 * Takes lines out of the middle until at most `most` characters are left, about a third of them before the gap and the
 * rest after it, where the trouble is. Over-long lines are cut.
 */
export function boundDialogue(lines: readonly DialogueLine[], most: number): readonly DialogueLine[] {
  const cut = lines.some(({ text }) => text.length > LONGEST_LINE)
    ? lines.map((line) => line.text.length > LONGEST_LINE ? { ...line, text: shorten(line.text) } : line)
    : lines;
  const cost = (line: DialogueLine) => line.text.length + OVERHEAD;
  if (cut.reduce((sum, line) => sum + cost(line), 0) <= most) return cut;
  let first = 0;
  let used = 0;
  for (const line of cut) {
    if (used + cost(line) > most / 3) break;
    used += cost(line);
    first++;
  }
  let from = cut.length;
  for (const line of [...cut].reverse()) {
    if (used + cost(line) > most && from < cut.length) break;
    used += cost(line);
    from--;
  }
  const missing = from - first;
  if (missing <= 0) return cut;
  const text = `${missing} line${missing === 1 ? "" : "s"} left out`;
  return [...cut.slice(0, first), { at: cut[first]?.at ?? 0, from: "note", text }, ...cut.slice(from)];
}

function shorten(text: string): string {
  return `${text.slice(0, LONGEST_LINE)}...`;
}

const MARKS: Readonly<Record<DialogueLine["from"], string>> = { client: "C:", server: "S:", note: "--" };

/** One line for people: `  0.012 C: MAIL FROM:<ana@example.org>`; seconds since the beginning. */
export function formatDialogueLine({ at, from, text }: DialogueLine): string {
  return `${(at / 1000).toFixed(3).padStart(7)} ${MARKS[from]} ${text}`;
}
