/** The overview: how the program is, what waits and why, what was settled lately, where it listens. */

import type { MessageView } from "../../queue/types.ts";
import type { ListenerView, RecentEvent } from "../dependencies.ts";
import type { MailSummary } from "../mailbox.ts";
import { address, dueMoment, foreign, formatSize, html, type Markup, moment, plural } from "./markup.ts";
import type { StatusSnapshot } from "./snapshot.ts";
import { badge, eventBadge, reasonOf, recipientsOf, slowest, stateBadge } from "./words.ts";

/** The body of the overview. Sections with `data-live` are replaced by the script when something changed. */
export function overview(snapshot: StatusSnapshot, now: number): Markup {
  return html`<h1 class="unseen">Overview of ${snapshot.hostname}</h1>
${readiness(snapshot)}
${figures(snapshot, now)}
${snapshot.mail === undefined ? "" : mailSection(snapshot.mail, now)}
${waiting(snapshot, now)}
${recent(snapshot.recent, now)}
${listeners(snapshot.listeners)}`;
}

function readiness({ readiness, queue }: StatusSnapshot): Markup {
  if (!readiness.ready) {
    const reasons = readiness.reasons.length === 0 ? ["starting"] : readiness.reasons;
    return html`
      <section id="readiness" data-live class="notice bad" aria-label="State">
        <p><strong>Not ready for mail.</strong> ${reasons.join("; ")}.</p>
      </section>
    `;
  }
  if (queue === null) {
    return html`
      <section id="readiness" data-live class="notice careful" aria-label="State">
        <p><strong>The store cannot be reached.</strong> New mail is put off and deliveries pause; nothing is lost.</p>
      </section>
    `;
  }
  return html`
    <section id="readiness" data-live class="notice good" aria-label="State">
      <p><strong>Ready for mail.</strong></p>
    </section>
  `;
}

function figures({ queue }: StatusSnapshot, now: number): Markup {
  if (queue === null) return html`<section id="figures" data-live hidden></section>`;
  const figure = (name: string, value: number) =>
    html`
      <div>
        <dt>${name}</dt>
        <dd>${value.toLocaleString("en")}</dd>
      </div>
    `;
  return html`<section id="figures" data-live aria-labelledby="figures-title">
<h2 id="figures-title">Queue</h2>
<dl class="figures">
${figure("Messages", queue.messages)}
${figure("Recipients waiting", queue.recipients.queued)}
${figure("In delivery", queue.recipients.delivering)}
${figure("Held", queue.recipients.held)}
</dl>
${
    queue.oldest === null
      ? ""
      : html`<p class="soft">Oldest message accepted ${moment(queue.oldest, now)}.${byQueue(queue.queues)}</p>`
  }
</section>`;
}

function byQueue(
  queues: readonly { readonly queue: string; readonly state: string; readonly count: number }[],
): string {
  const open = new Map<string, number>();
  for (const { queue, state, count } of queues) {
    if (state !== "delivered" && state !== "failed") open.set(queue, (open.get(queue) ?? 0) + count);
  }
  if (open.size < 2) return "";
  return ` By virtual queue: ${
    [...open].map(([queue, count]) => `${queue} ${count.toLocaleString("en")}`).join(", ")
  }.`;
}

function waiting({ messages, queue }: StatusSnapshot, now: number): Markup {
  const total = queue?.messages ?? messages.length;
  const more = total > messages.length
    ? html`
      <span class="soft">oldest ${messages.length} of ${total.toLocaleString("en")}</span>
    `
    : "";
  return html`<section id="waiting" data-live aria-labelledby="waiting-title">
<h2 id="waiting-title">Messages in the queue${more}</h2>
${
    messages.length === 0
      ? empty("Nothing waits.")
      : html`<ul class="rows">${messages.map((one) => queued(one, now))}</ul>`
  }
</section>`;
}

function queued(message: MessageView, now: number): Markup {
  const recipient = slowest(message);
  const attempts = recipient?.attempts ?? 0;
  return html`
    <li>
      <div class="line"><a class="what" href="/messages/${message.id}">${address(
        message.sender,
      )} <span class="to">to</span> ${recipientsOf(message)}</a>
    <span class="side">${stateBadge(message.state)}</span></div>
      <p class="why">${recipient === undefined ? "" : reasonOf(recipient)}</p>
      <p class="soft">${message.due === null ? "" : html`
        next attempt ${dueMoment(message.due, now)} ·
      `}${attempts === 0 ? "" : `${plural(attempts, "attempt")} so far · `}accepted ${moment(
        message.created,
        now,
      )} · ${formatSize(message.size)}</p>
    </li>
  `;
}

function recent(events: readonly RecentEvent[], now: number): Markup {
  return html`<section id="recent" data-live aria-labelledby="recent-title">
<h2 id="recent-title">Recent deliveries</h2>
${
    events.length === 0 ? empty("Nothing was delivered yet.") : html`<ul class="rows">${
      events.map((event) =>
        html`<li>
<div class="line"><span class="what">${address(event.sender)} <span class="to">to</span> ${
          foreign(event.recipient)
        }</span>
<span class="side">${eventBadge(event.name)}</span></div>
${event.text === "" ? "" : html`<p class="why">${foreign(event.text, 500)}</p>`}
<p class="soft">${moment(event.time, now)}</p>
</li>`
      )
    }</ul>`
  }
</section>`;
}

function listeners(views: readonly ListenerView[]): Markup {
  return html`<section id="listeners" data-live aria-labelledby="listeners-title">
<h2 id="listeners-title">Listeners</h2>
${
    views.length === 0 ? empty("Nothing listens.") : html`<ul class="rows">${
      views.map((view) =>
        html`
          <li>
            <div class="line"><span class="what">${view.id} <span class="soft">${view.protocol
              .toUpperCase()}</span></span>
          <span class="side soft">${plural(view.connections, "connection")}</span></div>
            <p class="why">${view.addresses.join(", ")}</p>
          </li>
        `
      )
    }</ul>`
  }
</section>`;
}

/** The latest delivered mail, as on the overview of a development server. */
export function mailSection(mail: readonly MailSummary[], now: number): Markup {
  return html`<section id="mail" data-live aria-labelledby="mail-title">
<h2 id="mail-title">Delivered mail</h2>
${
    mail.length === 0
      ? empty("No mail yet. Send some to a listener below; it is delivered here.")
      : html`<ul class="rows">${mail.map((one) => mailRow(one, now))}</ul>`
  }
</section>`;
}

function mailRow(mail: MailSummary, now: number): Markup {
  const subject = mail.subject === "" ? html`<i>no subject</i>` : foreign(mail.subject);
  return html`
    <li>
      <div class="line"><a class="what" href="/mail/${mail.mailbox}/${encodeURIComponent(mail.id)}">${subject}</a>
    <span class="side">${badge(mail.mailboxName === "" ? "mail" : mail.mailboxName, "calm")}</span></div>
      <p class="why">${mail.from === ""
        ? html`<i>no sender</i>`
        : foreign(mail.from)} <span class="to">to</span> ${mail.to === "" ? html`<i>nobody</i>` : foreign(mail.to)}</p>
      <p class="soft">${moment(mail.delivered, now)} · ${formatSize(mail.size)}</p>
    </li>
  `;
}

function empty(text: string): Markup {
  return html`<p class="empty">${text}</p>`;
}
