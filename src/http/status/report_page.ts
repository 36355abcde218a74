/** One report of others, with everything it says. */

import type { IncomingReport, ReportDetail } from "../../report/mod.ts";
import { number } from "./chart.ts";
import { foreign, html, type Markup, moment } from "./markup.ts";
import { kindBadge } from "./reports_page.ts";
import { badge } from "./words.ts";

/** Rows that are shown; the management API gives all. */
const MOST_ROWS = 500;

/** The body of the page. */
export function reportPage(detail: ReportDetail, now: number): Markup {
  const { report, mail } = detail;
  const facts: readonly (readonly [string, Markup | string])[] = [
    ["Domain", foreign(detail.domain)],
    [
      "About",
      detail.begin === null
        ? ""
        : `${shortTime(detail.begin)}${detail.end === null ? "" : ` to ${shortTime(detail.end)}`}`,
    ],
    ["Passed", number(detail.passed)],
    ["Failed", number(detail.failed)],
    ...factsOf(report).map(([name, value]) => [name, value === "" ? "" : foreign(value, 1000)] as const),
    ["Received", html`${moment(detail.received, now)}, kept until ${shortTime(detail.expires)}`],
    [
      "Sent by",
      html`${mail.from === "" ? html`<i>null sender</i>` : foreign(mail.from)} from ${foreign(mail.remoteIp)} ${
        mail.dmarc === "" ? "" : badge(`DMARC ${mail.dmarc}`, mail.dmarc === "pass" ? "good" : "careful")
      }`,
    ],
    ["Sent to", foreign(mail.to)],
  ];
  return html`<section aria-labelledby="report-title">
<h1 id="report-title">${detail.reporter === "" ? html`<i>Unnamed</i>` : foreign(detail.reporter)} <span class="side">${
    kindBadge(detail.kind)
  }</span></h1>
<dl class="facts">${
    facts.map(([name, value]) =>
      value === "" ? "" : html`
        <div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>
      `
    )
  }</dl>
${
    report.problems.length === 0
      ? ""
      : html`<p class="notice careful">The report is not as it should be: ${
        foreign(report.problems.join("; "), 2000)
      }.</p>`
  }
<div class="actions"><details><summary>Delete…</summary>
<p>The report is deleted for good, and counts no longer.</p>
<form method="post" action="/reports/${detail.id}/delete"><button class="danger">Delete this report</button></form>
</details></div>
</section>
${tablesOf(report)}`;
}

/** `2026-01-31 12:00`, UTC as the rest of the report. */
function shortTime(iso: string): string {
  return iso.slice(0, 16).replace("T", " ") + " UTC";
}

function factsOf(report: IncomingReport): readonly (readonly [string, string])[] {
  switch (report.kind) {
    case "dmarc": {
      const { totals } = report;
      return [
        ["Report id", report.reportId],
        ["Contact", report.contact],
        [
          "Policy",
          Object.entries(report.policy).flatMap(([key, value]) => value === "" ? [] : `${key}=${value}`).join("; "),
        ],
        ["Aligned", `DKIM ${number(totals.dkimPassed)}, SPF ${number(totals.spfPassed)} of ${number(totals.messages)}`],
        [
          "Treated",
          `accepted ${number(totals.accepted)}, quarantined ${number(totals.quarantined)}, rejected ${
            number(totals.rejected)
          }`,
        ],
        ["Errors", report.errors.join("; ")],
      ];
    }
    case "tls":
      return [["Report id", report.reportId], ["Contact", report.contact]];
    case "abuse":
    case "auth-failure":
      return [
        ["Type", [report.feedbackType, report.authFailure].filter((part) => part !== "").join(", ")],
        ["Result", report.deliveryResult],
        ["Source", report.source],
        ["Return path", report.envelopeFrom],
        ["Recipients", report.envelopeTo.join(", ")],
        ["Results", report.authenticationResults.join("; ")],
        ["From", report.original.from],
        ["Subject", report.original.subject],
        ["Message-ID", report.original.messageId],
        ["Links", report.uris.join(" ")],
      ];
    case "dsn":
      return [
        ["From", report.original.from],
        ["Subject", report.original.subject],
        ["Message-ID", report.original.messageId],
      ];
  }
}

interface ColumnWords {
  readonly heading: string;
  readonly numeric?: true;
}

function tablesOf(report: IncomingReport): Markup {
  switch (report.kind) {
    case "dmarc":
      return table(
        "records",
        "Records",
        [
          { heading: "Address" },
          { heading: "Messages", numeric: true },
          { heading: "DKIM" },
          { heading: "SPF" },
          { heading: "Treated" },
          { heading: "From" },
          { heading: "Details" },
        ],
        report.records.map((record) => [
          foreign(record.source, 60),
          number(record.count),
          result(record.dkim),
          result(record.spf),
          foreign(record.disposition, 40),
          foreign(record.headerFrom, 80),
          foreign(
            [
              ...record.reasons.map(({ type, comment }) => comment === "" ? type : `${type} (${comment})`),
              ...record.dkimResults.map(({ domain, part, result }) => `dkim ${domain} ${part} ${result}`),
              ...record.spfResults.map(({ domain, result }) => `spf ${domain} ${result}`),
            ].join("; "),
            400,
          ),
        ]),
        report.recordsLeftOut,
      );
    case "tls":
      return html`${
        table(
          "policies",
          "Policies",
          [{ heading: "Domain" }, { heading: "Policy" }, { heading: "Passed", numeric: true }, {
            heading: "Failed",
            numeric: true,
          }],
          report.policies.map((one) => [
            foreign(one.domain, 80),
            foreign(one.type, 40),
            number(one.succeeded),
            number(one.failed),
          ]),
        )
      }${
        table(
          "failures",
          "Failures",
          [{ heading: "Host" }, { heading: "Result" }, { heading: "Sessions", numeric: true }, { heading: "From" }, {
            heading: "Details",
          }],
          report.policies.flatMap(({ failures }) =>
            failures.map((one) => [
              foreign(one.mx || one.receivingIp, 80),
              foreign(one.result, 60),
              number(one.sessions),
              foreign(one.sendingIp, 60),
              foreign([one.reason, one.information].filter((part) => part !== "").join(" "), 400),
            ])
          ),
        )
      }`;
    case "dsn":
      return table(
        "recipients",
        "Recipients",
        [{ heading: "Recipient" }, { heading: "Action" }, { heading: "Status" }, { heading: "Server" }, {
          heading: "Details",
        }],
        report.recipients.map((one) => [
          foreign(one.recipient, 100),
          foreign(one.action, 40),
          foreign(one.status, 20),
          foreign(one.remoteMta, 80),
          foreign(one.diagnostic, 400),
        ]),
      );
    default:
      return html``;
  }
}

function result(word: string): Markup {
  return badge(word === "" ? "–" : word.slice(0, 20), word === "pass" ? "good" : "bad");
}

function table(
  id: string,
  title: string,
  columns: readonly ColumnWords[],
  rows: readonly (readonly (Markup | string)[])[],
  leftOut = 0,
): Markup {
  if (rows.length === 0) return html``;
  const classOf = (index: number) =>
    columns[index]?.numeric
      ? html`
        class="number"
      `
      : "";
  const hidden = Math.max(0, rows.length - MOST_ROWS) + leftOut;
  return html`<section aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
<div class="scroll"><table>
<thead><tr>${
    columns.map(({ heading }, index) =>
      html`
        <th scope="col" ${classOf(index)}>${heading}</th>
      `
    )
  }</tr></thead>
<tbody>${
    rows.slice(0, MOST_ROWS).map((row) =>
      html`<tr>${
        row.map((cell, index) =>
          index === 0 ? html`<th scope="row">${cell}</th>` : html`<td${classOf(index)}>${cell}</td>`
        )
      }</tr>`
    )
  }</tbody></table></div>
${hidden === 0 ? "" : html`<p class="soft">and ${number(hidden)} more</p>`}
</section>`;
}
