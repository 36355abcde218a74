/** The words of the status page for states, outcomes and reasons. */

import type { MessageView, RecipientState, RecipientView } from "../../queue/types.ts";
import { foreign, html, type Markup, plural } from "./markup.ts";

/** How good news something is; chooses the colour of its badge. */
export type Tone = "good" | "calm" | "careful" | "bad";

const STATES: Readonly<Record<RecipientState, readonly [word: string, tone: Tone]>> = {
  queued: ["waiting", "careful"],
  delivering: ["in delivery", "calm"],
  held: ["held", "careful"],
  delivered: ["delivered", "good"],
  failed: ["failed", "bad"],
};

// Last parts of event names, as the history of a message holds them.
const EVENTS: Readonly<Record<string, readonly [word: string, tone: Tone]>> = {
  delivered: ["delivered", "good"],
  completed: ["done", "good"],
  deferred: ["deferred", "careful"],
  rescheduled: ["rescheduled", "careful"],
  held: ["held", "careful"],
  failed: ["failed", "bad"],
  expired: ["expired", "bad"],
  cancelled: ["removed", "bad"],
};

/** A word on a coloured ground. */
export function badge(word: string, tone: Tone): Markup {
  return html`<span class="badge ${tone}">${word}</span>`;
}

/** Badge of a state. */
export function stateBadge(state: RecipientState): Markup {
  return badge(...STATES[state]);
}

/** Badge of an event by its name, such as `delivery.delivered`. */
export function eventBadge(name: string): Markup {
  const last = name.slice(name.lastIndexOf(".") + 1);
  const known = Object.hasOwn(EVENTS, last) ? EVENTS[last] : undefined;
  return badge(...(known ?? [last.replaceAll("-", " "), "calm"] as const));
}

/** Why a recipient is where it is. */
export function reasonOf(recipient: RecipientView): Markup {
  if (recipient.lastText !== "") return foreign(recipient.lastText, 500);
  if (recipient.state === "held") return html`held until it is released`;
  if (recipient.state === "delivering") return html`attempt under way`;
  if (recipient.attempts === 0) return html`not tried yet`;
  return html`last attempt failed: ${recipient.lastError}`;
}

/** The recipient that says most about why a message is still here. */
export function slowest(message: MessageView): RecipientView | undefined {
  const open = message.recipients.filter(({ state }) => state !== "delivered");
  return open.find(({ lastText }) => lastText !== "") ?? open[0] ?? message.recipients[0];
}

/** Recipients of a message in few words. */
export function recipientsOf(message: MessageView): Markup {
  const [first, ...others] = message.recipients;
  if (first === undefined) return html`nobody`;
  return others.length === 0
    ? foreign(first.address)
    : html`${foreign(first.address)} <span class="soft">and ${plural(others.length, "other")}</span>`;
}
