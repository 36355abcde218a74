/** What others report about mail of the local domains: trends, where it fails, and the reports themselves. */

import type { ReportTrends, ReportView, TrendFailure } from "../../report/mod.ts";
import { type Column, columnChart, meter, number, percent } from "./chart.ts";
import { foreign, html, type Markup, moment } from "./markup.ts";
import { badge, type Tone } from "./words.ts";

/** What the page shows. */
export interface ReportsView {
  readonly trends: ReportTrends;
  readonly latest: readonly ReportView[];
  readonly days: number;
  /** Only what is about this domain; `""` for all. */
  readonly domain: string;
}

/** Spans that can be chosen. */
const SPANS = [7, 30, 90];

/** Words and colours of kinds. */
const KINDS: Readonly<Record<ReportView["kind"], readonly [word: string, tone: Tone]>> = {
  dmarc: ["DMARC", "calm"],
  tls: ["TLS", "calm"],
  abuse: ["complaint", "careful"],
  "auth-failure": ["authentication failure", "careful"],
  dsn: ["notification", "calm"],
};

/** The body of the page. */
export function reportsPage(view: ReportsView, now: number): Markup {
  const { trends, latest, domain } = view;
  const empty = latest.length === 0 && trends.days.every(({ kinds }) => Object.keys(kinds).length === 0);
  return html`<div class="heading"><h1>Reports</h1>${choice(view)}</div>
${
    empty
      ? html`<p class="empty">${
        domain === "" ? "No reports yet. " : html`
          No reports about ${foreign(domain)}.
        `
      }The setting <code>report.analysis.addresses</code> says which addresses they come in at.</p>`
      : html`${dmarc(trends)}${tls(trends)}${others(trends)}${reporters(trends)}${list(latest, now)}`
  }`;
}

function choice({ days, domain }: ReportsView): Markup {
  const query = (span: number) => `?days=${span}${domain === "" ? "" : `&domain=${encodeURIComponent(domain)}`}`;
  return html`
    <form class="choice" method="get" action="/reports">
      <span class="spans" role="group" aria-label="Days">${SPANS.map((span) =>
        html`
          <a href="/reports${query(span)}" ${span === days
            ? html`
              aria-current="true"
            `
            : ""}>${span} days</a>
        `
      )}</span>
      <input type="hidden" name="days" value="${days}">
      <label class="unseen" for="domain">Domain</label>
      <input id="domain" name="domain" type="text" value="${domain}" placeholder="all domains" spellcheck="false"
        autocapitalize="none">
      <button>Show</button>
    </form>
  `;
}

const dmarc = (trends: ReportTrends): Markup =>
  daily(trends, {
    kind: "dmarc",
    title: "Mail in your name",
    seen: "DMARC, as receivers saw it",
    all: "Messages",
    passed: "Passed",
    unit: "messages",
    label: (passed, failed) => `DMARC by day: ${passed} messages passed, ${failed} failed`,
    more: [
      failures(trends.failingSources, {
        id: "sources",
        title: "Where failing mail comes from",
        source: "Address",
        failed: "Failed messages",
      }),
      byDomain(trends),
    ],
  });

const tls = (trends: ReportTrends): Markup =>
  daily(trends, {
    kind: "tls",
    title: "Encryption towards your hosts",
    seen: "TLS, as senders saw it",
    all: "Sessions",
    passed: "Encrypted as wanted",
    unit: "sessions",
    label: (passed, failed) => `TLS by day: ${passed} sessions went well, ${failed} failed`,
    more: [
      failures(trends.tlsFailures, {
        id: "hosts",
        title: "Where TLS fails",
        source: "Host",
        failed: "Failed sessions",
        detail: "Why",
      }),
    ],
  });

/** What a section with a column for each day says of a kind of reports. */
interface DailyWords {
  readonly kind: "dmarc" | "tls";
  readonly title: string;
  /** Who saw what, behind the title. */
  readonly seen: string;
  /** What is counted, and what those are called that went well. */
  readonly all: string;
  readonly passed: string;
  readonly unit: string;
  /** What the chart shows, for those who do not see it. */
  label(passed: string, failed: string): string;
  /** What stands below the chart. */
  readonly more: readonly Markup[];
}

function daily(trends: ReportTrends, words: DailyWords): Markup {
  const { kind, title, seen, unit, label, more } = words;
  const columns = columnsOf(trends, kind);
  const { passed, failed } = totals(columns);
  const all = passed + failed;
  if (all === 0) return html``;
  return html`<section aria-labelledby="${kind}-title">
<h2 id="${kind}-title">${title} <span class="soft">${seen}</span></h2>
<dl class="figures three">
${figure(words.all, number(all))}
${figure(words.passed, percent(passed, all))}
${figure("Failed", number(failed), failed > 0 ? "bad" : "good")}
</dl>
${columnChart(columns, { label: label(number(passed), number(failed)), unit })}
${asTable(columns)}
${more}
</section>`;
}

function others(trends: ReportTrends): Markup {
  return html`${
    failures(trends.complaints, {
      id: "complaints",
      title: "Complaints and single failures",
      source: "Mail came from",
      failed: "Messages",
      detail: "Kind",
    })
  }${
    failures(trends.bounces, {
      id: "bounces",
      title: "Mail that was refused",
      source: "Server",
      failed: "Recipients",
      detail: "Status",
    })
  }`;
}

function figure(name: string, value: string, tone?: Tone): Markup {
  return html`
    <div>
      <dt>${name}</dt>
      <dd${tone === undefined ? "" : html`
        class="${tone}"
      `}>${value}</dd></div>
  `;
}

function columnsOf(trends: ReportTrends, kind: "dmarc" | "tls"): readonly Column[] {
  return trends.days.map(({ day, kinds }) => ({ day, passed: 0, failed: 0, ...kinds[kind] }));
}

function totals(columns: readonly Column[]) {
  return columns.reduce(
    (sum, { passed, failed }) => ({ passed: sum.passed + passed, failed: sum.failed + failed }),
    { passed: 0, failed: 0 },
  );
}

function asTable(columns: readonly Column[]): Markup {
  return html`
    <details>
      <summary>As a table</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Day</th>
            <th scope="col" class="number">Passed</th>
            <th scope="col" class="number">Failed</th>
          </tr>
        </thead>
        <tbody>${columns.filter(({ passed, failed }) => passed + failed > 0).reverse().map(({ day, passed, failed }) =>
          html`
            <tr>
              <th scope="row">${day}</th>
              <td class="number">${number(passed)}</td>
              <td class="number">${number(failed)}</td>
            </tr>
          `
        )}</tbody>
      </table>
    </details>
  `;
}

interface FailureWords {
  readonly id: string;
  readonly title: string;
  readonly source: string;
  readonly failed: string;
  /** Heading of the details; left out without them. */
  readonly detail?: string;
}

function failures(list: readonly TrendFailure[], { id, title, source, failed, detail }: FailureWords): Markup {
  if (list.length === 0) return html``;
  const largest = Math.max(...list.map((one) => one.failed));
  const rows = list.map((one) =>
    html`<tr><th scope="row">${one.source === "" ? html`<i>not told</i>` : foreign(one.source, 60)}</th>
<td class="number">${number(one.failed)}</td><td class="bar">${meter(one.failed, largest)}</td>
<td>${foreign(one.domain, 60)}</td>${detail === undefined ? "" : html`<td>${foreign(one.detail, 120)}</td>`}
<td class="number">${number(one.reports)}</td></tr>`
  );
  return html`
    <section aria-labelledby="${id}-title">
      <h2 id="${id}-title">${title}</h2>
      <div class="scroll">
        <table class="ranking">
          <thead>
            <tr><th scope="col">${source}</th><th scope="col" class="number">${failed}</th><th class="bar" aria-hidden="true"></th>
    <th scope="col">Domain</th>${detail === undefined ? "" : html`<th scope="col">${detail}</th>`}
    <th scope="col" class="number">Reports</th></tr>
          </thead>
          <tbody>${rows}</tbody>
        </table>
      </div>
    </section>
  `;
}

function byDomain(trends: ReportTrends): Markup {
  const domains = trends.domains.filter(({ kind }) => kind === "dmarc");
  if (domains.length < 2) return html``;
  return html`
    <section aria-labelledby="domains-title">
      <h2 id="domains-title">By domain</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Domain</th>
            <th scope="col" class="number">Messages</th>
            <th scope="col" class="number">Passed</th>
            <th scope="col" class="number">Failed</th>
          </tr>
        </thead>
        <tbody>${domains.map(({ domain, passed, failed }) =>
          html`
            <tr>
              <th scope="row"><a href="/reports?domain=${encodeURIComponent(domain)}">${foreign(domain, 60)}</a></th>
              <td class="number">${number(passed + failed)}</td>
              <td class="number">${percent(passed, passed + failed)}</td>
              <td class="number">${number(failed)}</td>
            </tr>
          `
        )}</tbody>
      </table>
    </section>
  `;
}

function reporters(trends: ReportTrends): Markup {
  if (trends.reporters.length === 0) return html``;
  return html`
    <section aria-labelledby="reporters-title">
      <h2 id="reporters-title">Who reports</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Reporter</th>
              <th scope="col">Kind</th>
              <th scope="col" class="number">Reports</th>
              <th scope="col" class="number">Passed</th>
              <th scope="col" class="number">Failed</th>
            </tr>
          </thead>
          <tbody>${trends.reporters.map((one) =>
            html`
              <tr>
                <th scope="row">${one.reporter === "" ? html`<i>unnamed</i>` : foreign(one.reporter, 60)}</th>
                <td>${kindBadge(one.kind)}</td>
                <td class="number">${number(one.reports)}</td>
                <td class="number">${number(one.passed)}</td>
                <td class="number">${number(one.failed)}</td>
              </tr>
            `
          )}</tbody>
        </table>
      </div>
    </section>
  `;
}

/** Badge of a kind of report. */
export function kindBadge(kind: ReportView["kind"]): Markup {
  return badge(...KINDS[kind]);
}

function list(reports: readonly ReportView[], now: number): Markup {
  return html`<section aria-labelledby="latest-title">
<h2 id="latest-title">Latest reports</h2>
${
    reports.length === 0 ? html`<p class="empty">None.</p>` : html`<ul class="rows">${
      reports.map((one) =>
        html`
          <li>
            <div
              class="line"><a class="what" href="/reports/${one.id}">${one.reporter === ""
                ? html`<i>unnamed</i>`
                : foreign(one.reporter, 80)} <span class="to">about</span> ${one.domain === ""
                ? html`<i>no domain</i>`
                : foreign(one.domain, 80)}</a>
          <span class="side">${kindBadge(one.kind)}</span></div>
            <p class="soft">${number(one.passed)} passed, ${one.failed > 0
              ? html`<strong class="bad">${number(one.failed)} failed</strong>`
              : "none failed"} · received ${moment(one.received, now)}</p>
          </li>
        `
      )
    }</ul>`
  }
</section>`;
}
