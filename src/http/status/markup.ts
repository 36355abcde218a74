/** Pieces of HTML that every page uses. Whatever is put into `html` templates is escaped, unless it is markup itself. */

import { html } from "hono/html";

/** Escaped HTML, or a promise of it. */
export type Markup = ReturnType<typeof html>;

export { html };

// Controls and lone surrogates, which have no look of their own.
const INVISIBLE = /[\p{Cc}\p{Cs}]/gu;

/**
 * Text that others wrote, as one run of inline text: controls become `�`, and `<bdi>` keeps its writing direction from
 * reordering what stands around it.
 */
export function foreign(text: string, longest = 300): Markup {
  const cut = text.length > longest ? text.slice(0, longest) + "…" : text;
  return html`<bdi>${cut.replace(/[\r\n\t]+/g, " ").replace(INVISIBLE, "�")}</bdi>`;
}

/** An address, or what stands for the null sender. */
export function address(text: string): Markup {
  return text === "" ? html`<i>null sender</i>` : foreign(text);
}

const UNITS: readonly (readonly [milliseconds: number, name: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
];

/** The time between two moments in one unit: `in 5 min`, `3 d ago`, `now`. The script repeats this in the browser. */
export function relativeTime(time: number, now: number): string {
  const distance = Math.abs(time - now);
  const unit = UNITS.find(([milliseconds]) => distance >= milliseconds);
  if (unit === undefined) return time > now ? "in under a minute" : "just now";
  const count = `${Math.floor(distance / unit[0])} ${unit[1]}`;
  return time > now ? `in ${count}` : `${count} ago`;
}

/** A moment relative to now; the script keeps it up to date and the exact time shows on hovering. */
export function moment(iso: string, now: number): Markup {
  const time = Date.parse(iso);
  if (Number.isNaN(time)) return foreign(iso);
  return html`<time datetime="${iso}" title="${iso}">${relativeTime(time, now)}</time>`;
}

/** A moment that is to come; when it has passed, what was planned for it is due `now`. */
export function dueMoment(iso: string, now: number): Markup {
  const time = Date.parse(iso);
  if (Number.isNaN(time)) return foreign(iso);
  return html`<time datetime="${iso}" title="${iso}" data-due>${time <= now ? "now" : relativeTime(time, now)}</time>`;
}

/** A size for people: `4 KB`, `1.5 MB`; 1 KB is 1024 octets. */
export function formatSize(octets: number): string {
  if (octets < 1024) return `${octets} B`;
  const kilo = octets / 1024;
  if (kilo < 1024) return `${Math.round(kilo)} KB`;
  const mega = kilo / 1024;
  return mega < 10 ? `${mega.toFixed(1)} MB` : `${Math.round(mega)} MB`;
}

/** `1 message`, `2 messages`. */
export function plural(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
