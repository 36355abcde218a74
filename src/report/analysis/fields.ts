/** Groups of header-like fields, such as reports in the parts of a mail are made of, and what is told of a message. */

import { decodeHeaderText, firstField, type ParsedHeader, parseHeader } from "../../message/mod.ts";
import type { OriginalMessage } from "./incoming.ts";
import { MOST_VALUES } from "./limits.ts";
import { clip, time } from "./value.ts";

/** One group. Values are cut to a length; blanks and comments stay. */
export interface FieldGroup {
  /** The first value of a field, `""` if there is none. */
  first(name: string): string;
  /** All values of a field. */
  all(name: string): readonly string[];
  readonly size: number;
}

/** The groups of a part, which empty lines separate. */
export function fieldGroups(bytes: Uint8Array, most: number): readonly FieldGroup[] {
  const groups: FieldGroup[] = [];
  for (let at = 0; at < bytes.length && groups.length < most;) {
    const header = parseHeader(bytes.subarray(at));
    if (header.fields.length > 0) groups.push(groupOf(header));
    if (!header.complete) break;
    at += header.bodyOffset;
  }
  return groups;
}

function groupOf(header: ParsedHeader): FieldGroup {
  const all = (name: string) =>
    header.fields.filter(({ lower }) => lower === name).slice(0, MOST_VALUES).map((field) => clip(field.value()));
  return { first: (name) => all(name)[0] ?? "", all, size: header.fields.length };
}

/** `rfc822; name` or `dns; name` without the type (RFC 3464 §2.1.2), and without comments. */
export function typed(value: string): string {
  const bare = value.replace(/\s\([^()]*\)\s*$/, "");
  const match = /^[\w-]+\s*;\s*(.*)$/.exec(bare);
  return (match?.[1] ?? bare).replace(/^<(.*)>$/, "$1").trim();
}

/** An address without its angle brackets. */
export function bareAddress(value: string): string {
  return value.replace(/^\s*</, "").replace(/>\s*$/, "").trim();
}

/** A date of RFC 5322, comments allowed. */
export function dateOf(value: string): number | undefined {
  return time(value.replace(/\([^()]*\)/g, " ").replace(/\s+/g, " "));
}

/** What the header of the message says that a report is about. */
export function originalOf(header: ParsedHeader | undefined): OriginalMessage {
  const text = (name: string) => {
    const field = header === undefined ? undefined : firstField(header, name);
    return field === undefined ? "" : clip(decodeHeaderText(field.value()));
  };
  return {
    from: text("from"),
    to: text("to"),
    subject: text("subject"),
    date: text("date"),
    messageId: text("message-id"),
  };
}
