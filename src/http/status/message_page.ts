/** One message of the queue: its recipients, its history, and what can be done with it. */

import { type DialogueLine, formatDialogueLine } from "../../smtp/mod.ts";
import type { MessageDetail } from "../dependencies.ts";
import { address, dueMoment, foreign, formatSize, html, type Markup, moment, plural } from "./markup.ts";
import { eventBadge, reasonOf, stateBadge } from "./words.ts";

/** The body of the page. */
export function messagePage({ message, events }: MessageDetail, now: number): Markup {
  const isHeld = message.recipients.some(({ state }) => state === "held");
  return html`
    <section aria-labelledby="message-title">
      <h1 id="message-title">Message ${message.id} <span class="side">${stateBadge(message.state)}</span></h1>
      <dl class="facts">
        <div>
          <dt>From</dt>
          <dd>${address(message.sender)}</dd>
        </div>
        <div>
          <dt>Accepted</dt>
          <dd>${moment(message.created, now)}</dd>
        </div>
        <div>
          <dt>Next attempt</dt>
          <dd>${message.due === null ? "none planned" : dueMoment(message.due, now)}</dd>
        </div>
        <div>
          <dt>Size</dt>
          <dd>${formatSize(message.size)}</dd>
        </div>
        <div>
          <dt>Source</dt>
          <dd>${message.source.replaceAll("_", " ")}</dd>
        </div>
        <div>
          <dt>Priority</dt>
          <dd>${message.priority}</dd>
        </div>
      </dl>
      <div class="actions">
    ${isHeld ? "" : action(message.id, "retry", "Try now")}
    ${isHeld ? action(message.id, "release", "Release") : action(message.id, "hold", "Hold")}
    <details><summary>Remove…</summary>
    <p>The message is removed for good, and its sender is not told.</p>
    ${action(message.id, "cancel", "Remove this message", "danger")}
    </details>
      </div>
    </section>
    <section aria-labelledby="recipients-title">
      <h2 id="recipients-title">Recipients</h2>
      <ul class="rows">${message.recipients.map((recipient) =>
        html`
          <li>
            <div class="line"><span class="what">${foreign(recipient.address)}</span>
          <span class="side">${stateBadge(recipient.state)}</span></div>
            <p class="why">${reasonOf(recipient)}</p>
            <p class="soft">queue ${recipient.queue} · ${plural(
              recipient.attempts,
              "attempt",
            )} so far${recipient.due === null ? "" : html`
              · next attempt ${dueMoment(recipient.due, now)}
            `}${recipient.expires === null ? "" : html`
              · given up ${dueMoment(recipient.expires, now)}
            `}</p>
            ${recipient.dialogue === undefined ? "" : conversation(recipient.dialogue)}
          </li>
        `
      )}</ul>
    </section>
    <section aria-labelledby="history-title">
    <h2 id="history-title">History</h2>
    ${events.length === 0
      ? html`<p class="empty">Nothing happened yet.</p>`
      : html`<ol class="rows">${
        events.map((event) =>
          html`<li>
<div class="line"><span class="what">${event.recipient === "" ? "Message" : foreign(event.recipient)}</span>
<span class="side">${eventBadge(event.name)}</span></div>
${event.text === "" ? "" : html`<p class="why">${foreign(event.text, 500)}</p>`}
<p class="soft">${moment(event.time, now)}</p>
</li>`
        )
      }</ol>`}
    </section>
  `;
}

/** Longest line of a conversation, in characters. */
const LONGEST_LINE = 600;

function conversation(dialogue: readonly DialogueLine[]): Markup {
  const lines = dialogue.map((line) => html`${foreign(formatDialogueLine(line), LONGEST_LINE)}${"\n"}`);
  return html`
    <details>
      <summary>Last failed conversation</summary>
      <pre class="text" tabindex="0">${lines}</pre>
    </details>
  `;
}

function action(id: string, name: string, label: string, look = ""): Markup {
  return html`<form method="post" action="/messages/${id}/${name}"><button class="${look}">${label}</button></form>`;
}
