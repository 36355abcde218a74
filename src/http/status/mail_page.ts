/** Delivered mail of a development server: the list, and one message. */

import type { MailboxView, MailSummary } from "../mailbox.ts";
import type { MailView } from "../mail_reader.ts";
import { foreign, formatSize, html, type Markup, plural } from "./markup.ts";
import { mailSection } from "./overview.ts";

/** The list of the latest messages. */
export function mailList(mailboxes: readonly MailboxView[], mail: readonly MailSummary[], now: number): Markup {
  return html`<h1 class="unseen">Delivered mail</h1>
${mailSection(mail, now)}
<section aria-labelledby="mailboxes-title">
<h2 id="mailboxes-title">Mailboxes</h2>
${
    mailboxes.length === 0 ? html`<p class="empty">There is no Maildir yet.</p>` : html`
      <table>
        <thead>
          <tr>
            <th scope="col">Maildir</th>
            <th scope="col" class="number">Messages</th>
          </tr>
        </thead>
        <tbody>${mailboxes.map((box) =>
          html`
            <tr>
              <th scope="row">${foreign(box.name === "" ? "." : box.name)}</th>
              <td class="number">${box.messages.toLocaleString("en")}</td>
            </tr>
          `
        )}</tbody>
      </table>
    `
  }
</section>`;
}

/**
 * One message. Its HTML is shown only in a frame that may neither run scripts nor load anything.
 *
 * @param path path of the message, without final slash
 */
export function mailMessage(mail: MailView, path: string): Markup {
  const row = (name: string, value: string) =>
    value === "" ? "" : html`
      <div>
        <dt>${name}</dt>
        <dd>${foreign(value, 2000)}</dd>
      </div>
    `;
  return html`<section aria-labelledby="subject">
<h1 id="subject">${mail.subject === "" ? html`<i>No subject</i>` : foreign(mail.subject, 1000)}</h1>
<dl class="facts">
${row("From", mail.from)}
${row("To", mail.to)}
${row("Date", mail.date)}
<div><dt>Size</dt><dd>${formatSize(mail.size)} · <a href="${path}/source">source</a></dd></div>
</dl>
${mail.text === null ? "" : html`<pre class="text" tabindex="0" aria-label="Text of the message">${mail.text}</pre>`}
${
    mail.html === null ? "" : html`
      <details${mail.text === null
        ? html`
          open
        `
        : ""}>
        <summary>HTML version</summary>
        <p class="soft">Scripts do not run and nothing is loaded from elsewhere.</p>
        <iframe src="${path}/html" sandbox referrerpolicy="no-referrer" loading="lazy"
          title="HTML version of the message"></iframe>
        </details>
    `
  }
${mail.text === null && mail.html === null ? html`<p class="empty">The message holds no text.</p>` : ""}
${
    mail.attachments.length === 0 ? "" : html`
      <details>
        <summary>${plural(mail.attachments.length, "attachment")}</summary>
        <ul class="plain">${mail.attachments.map((one) =>
          html`<li>${one.name === "" ? html`<i>unnamed</i>` : foreign(one.name)} <span class="soft">${
            foreign(one.type)
          }, ${formatSize(one.size)}</span></li>`
        )}</ul>
      </details>
    `
  }
<details>
<summary>All ${plural(mail.fields.length, "header field")}</summary>
<dl class="fields">${
    mail.fields.map(({ name, value }) =>
      html`
        <div>
          <dt>${foreign(name)}</dt>
          <dd>${foreign(value, 4000)}</dd>
        </div>
      `
    )
  }</dl>
</details>
</section>`;
}
