/** Style, script and icon of the status page, kept in the program so that nothing has to be installed beside it. */

/** Sea green on sand by day, and the same shore by night. All text meets WCAG 2.2 AA contrast. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f5f4f0; --card: #ffffff; --ink: #1c2427; --soft: #566166; --line: #e1dfd8; --accent: #0a655e;
  --good: #17613a; --good-ground: #e3f1e7; --calm: #2d5069; --calm-ground: #e5eef4;
  --careful: #7a4f00; --careful-ground: #f8eed6; --bad: #9b231b; --bad-ground: #fae4e1;
  --passed: #3c9a86; --failed: #d1583f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #121719; --card: #1a2124; --ink: #e3e8e7; --soft: #9caaae; --line: #2b3539; --accent: #66c9bd;
    --good: #7fd4a2; --good-ground: #17301f; --calm: #9cc5e0; --calm-ground: #1b2f3b;
    --careful: #e6bd67; --careful-ground: #33290f; --bad: #f39a91; --bad-ground: #3a1c19;
    --passed: #4aa893; --failed: #ee8469;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
.wide { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
a { color: var(--accent); }
a:focus-visible, button:focus-visible, summary:focus-visible, pre:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px;
}
main:focus { outline: none; }
.skip { position: absolute; left: -100vw; background: var(--card); padding: .5rem 1rem; z-index: 1; }
.skip:focus { left: .5rem; top: .5rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.top { background: var(--card); border-bottom: 1px solid var(--line); }
.top .wide { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem; padding-block: .75rem; }
.brand { display: flex; align-items: center; gap: .5rem; font-weight: 650; font-size: 1.125rem; color: var(--ink);
  text-decoration: none; }
.host { color: var(--soft); overflow-wrap: anywhere; }
nav { margin-left: auto; display: flex; gap: .25rem; }
nav a { padding: .375rem .75rem; border-radius: 6px; text-decoration: none; color: var(--soft); }
nav a:hover { color: var(--ink); }
nav a[aria-current] { background: var(--ground); color: var(--ink); font-weight: 600; }
h1 { font-size: 1.375rem; line-height: 1.3; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.0625rem; margin: 0 0 .75rem; }
section { margin: 1.75rem 0; }
p { margin: 0; }
.soft, .to, h2 .soft { color: var(--soft); font-weight: 400; }
.soft { font-size: .875rem; }
.notice { border-radius: 10px; padding: .75rem 1rem; margin-top: 1.5rem; }
.notice.good { background: var(--good-ground); color: var(--good); }
.notice.careful { background: var(--careful-ground); color: var(--careful); }
.notice.bad { background: var(--bad-ground); color: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem; margin: 0 0 .625rem; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .75rem 1rem; }
.figures dt { color: var(--soft); font-size: .875rem; }
.figures dd { margin: 0; font-size: 1.75rem; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums; }
.rows, table, .facts, .empty, pre.text, .fields, ul.plain {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 0;
}
.rows { list-style: none; padding: 0; }
.rows li { padding: .75rem 1rem; }
.rows li + li { border-top: 1px solid var(--line); }
.line { display: flex; gap: 1rem; align-items: baseline; justify-content: space-between; }
.what { font-weight: 550; overflow-wrap: anywhere; min-width: 0; }
a.what { text-decoration: none; }
a.what:hover { text-decoration: underline; }
.to { font-weight: 400; }
.side { flex: none; max-width: 50%; font-size: 1rem; font-weight: 400; }
.why { overflow-wrap: anywhere; font-size: .9375rem; }
.badge { display: inline-block; border-radius: 99px; padding: .0625rem .625rem; font-size: .8125rem; font-weight: 550;
  overflow-wrap: anywhere; }
.badge.good { background: var(--good-ground); color: var(--good); }
.badge.calm { background: var(--calm-ground); color: var(--calm); }
.badge.careful { background: var(--careful-ground); color: var(--careful); }
.badge.bad { background: var(--bad-ground); color: var(--bad); }
.empty { color: var(--soft); padding: 1rem; }
table { width: 100%; border-collapse: separate; border-spacing: 0; }
th, td { text-align: left; padding: .5rem 1rem; vertical-align: baseline; }
tbody th { overflow-wrap: anywhere; }
thead th { color: var(--soft); font-size: .875rem; font-weight: 400; }
tbody th { font-weight: 550; }
tbody th, tbody td { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.facts, .fields { padding: .5rem 1rem; }
.facts div, .fields div { display: grid; grid-template-columns: 8rem 1fr; gap: .25rem 1rem; padding: .25rem 0; }
.fields div { grid-template-columns: 14rem 1fr; font-size: .875rem; }
.facts dt, .fields dt { color: var(--soft); overflow-wrap: anywhere; }
.facts dd, .fields dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; align-items: flex-start; margin-top: 1rem; }
.actions details { margin: 0; }
.actions details[open] { flex-basis: 100%; }
.actions details p { margin: .5rem 0; }
button, .actions summary { font: inherit; font-weight: 550; min-height: 2.75rem; padding: .5rem 1.125rem;
  border-radius: 8px; border: 1px solid var(--line); background: var(--card); color: var(--ink); cursor: pointer; }
button:hover, .actions summary:hover { border-color: var(--soft); }
.actions summary { display: inline-flex; align-items: center; list-style: none; }
.actions summary::-webkit-details-marker { display: none; }
button.danger { background: var(--bad-ground); color: var(--bad); border-color: var(--bad); }
pre.text { margin: 1rem 0; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .9375rem/1.55 ui-monospace, monospace; unicode-bidi: plaintext; }
details { margin: 1rem 0; }
summary { cursor: pointer; font-weight: 550; padding: .375rem 0; }
details .soft { margin: .25rem 0 .5rem; }
iframe { width: 100%; height: 30rem; border: 1px solid var(--line); border-radius: 10px; background: #fff; }
ul.plain { list-style: none; padding: .5rem 1rem; }
.figures.three { grid-template-columns: repeat(3, 1fr); }
.figures dd.good { color: var(--good); }
.figures dd.bad, strong.bad { color: var(--bad); }
strong.bad { font-weight: 550; }
.heading { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .75rem 1.5rem;
  margin: 1.75rem 0 0; }
.heading h1 { margin: 0; }
.choice { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; }
.choice input[type=text] { font: inherit; width: 12rem; min-height: 2.25rem; padding: .25rem .75rem;
  border: 1px solid var(--line); border-radius: 8px; background: var(--card); color: var(--ink); }
.choice input::placeholder { color: var(--soft); opacity: 1; }
.choice button { min-height: 2.25rem; padding: .25rem .875rem; }
.spans { display: inline-flex; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.spans a { padding: .3125rem .75rem; text-decoration: none; color: var(--soft); background: var(--card); }
.spans a + a { border-left: 1px solid var(--line); }
.spans a[aria-current] { background: var(--calm-ground); color: var(--calm); font-weight: 600; }
.chart { margin: .75rem 0; padding: .75rem 1rem .5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.chart figcaption { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .875rem; margin-bottom: .25rem; }
.chart figcaption .soft { margin-left: auto; }
.chart svg { display: block; width: 100%; height: auto; }
.key::before { content: ""; display: inline-block; width: .75rem; height: .75rem; border-radius: 3px;
  margin-right: .375rem; vertical-align: -1px; background: var(--passed); }
.key.failed::before { background: var(--failed); }
rect.passed { fill: var(--passed); }
rect.failed { fill: var(--failed); }
rect.rail { fill: var(--line); }
rect.hit { fill: transparent; }
.column:hover rect.hit { fill: var(--line); fill-opacity: .6; }
.grid { stroke: var(--line); stroke-width: 1; }
.axis { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; border-radius: 10px; }
.scroll tbody th { overflow-wrap: normal; }
.scroll td, .scroll th { min-width: 4rem; }
.ranking tbody th, td .badge { white-space: nowrap; }
.ranking .bar { width: 22%; min-width: 5rem; }
.meter { display: block; width: 100%; height: .5rem; }
section section { margin: 1.25rem 0; }
code { font-family: ui-monospace, monospace; font-size: .9375em; }
footer { display: flex; justify-content: space-between; gap: 1rem; color: var(--soft); font-size: .875rem;
  padding-block: 0 2rem; }
@media (max-width: 40rem) {
  .wide { padding-inline: 1rem; }
  .figures { grid-template-columns: 1fr 1fr; }
  .figures.three { grid-template-columns: repeat(3, auto); gap: .5rem; }
  .figures.three div { padding: .5rem .625rem; }
  .figures.three dd { font-size: 1.25rem; }
  .chart { padding-inline: .5rem; }
  .axis { font-size: 20px; }
  th, td { padding-inline: .625rem; }
  .ranking .bar { display: none; }
  .facts div { grid-template-columns: 6.5rem 1fr; }
  .fields div { grid-template-columns: 1fr; gap: 0; padding: .375rem 0; }
  .host { order: 1; flex-basis: 100%; font-size: .875rem; }
}
`;

/**
 * Asks for the state every five seconds; when it changed, fetches the page and replaces the sections that differ.
 * Everything works without it.
 */
export const SCRIPT = `"use strict";
const units = [[864e5, "d"], [36e5, "h"], [6e4, "min"]];
function relative(time, now) {
  const distance = Math.abs(time - now);
  const unit = units.find(([ms]) => distance >= ms);
  if (!unit) return time > now ? "in under a minute" : "just now";
  const count = Math.floor(distance / unit[0]) + " " + unit[1];
  return time > now ? "in " + count : count + " ago";
}
function showTimes() {
  for (const element of document.querySelectorAll("time[datetime]")) {
    const time = Date.parse(element.dateTime);
    const isPast = time <= Date.now();
    const text = isPast && "due" in element.dataset ? "now" : relative(time, Date.now());
    if (element.textContent !== text) element.textContent = text;
    element.title = new Date(time).toLocaleString();
  }
}
function say(text) {
  const status = document.getElementById("refresh");
  if (status.textContent !== text) status.textContent = text;
}
async function get(path, headers) {
  const response = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (!response.ok && response.status !== 304) throw new Error(String(response.status));
  return response;
}
async function replaceSections() {
  const response = await get(location.pathname, {});
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const section of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(section.id);
    if (!other || other.outerHTML === section.outerHTML) continue;
    const focused = section.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    section.replaceWith(other);
    if (focused) {
      const again = [...other.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
      if (again) again.focus({ preventScroll: true });
    }
  }
  document.body.dataset.tag = fresh.body.dataset.tag;
}
async function refresh() {
  if (!document.hidden) {
    try {
      const { status } = await get("/api/status", { "if-none-match": '"' + document.body.dataset.tag + '"' });
      if (status === 200) await replaceSections();
      say("");
    } catch {
      say("The server does not answer; trying again.");
    }
    showTimes();
  }
  setTimeout(refresh, 5000);
}
showTimes();
if (document.body.dataset.tag) setTimeout(refresh, 5000);
else setInterval(showTimes, 30000);
`;

/** A godwit: long legs, long bill, slightly turned up. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#0a655e"/>
<g fill="none" stroke="#f5f4f0" stroke-linecap="round" stroke-linejoin="round">
<path d="M14 12.2 27.5 9.4" stroke-width="1.4"/>
<path d="M15 22v6M18.4 21.6V28" stroke-width="1.4"/>
</g>
<path d="M14.6 10.2a3 3 0 1 0-5.2 2.8c.8 1.6 1.1 2.4.6 4.1-.9 3.2 1.2 5.8 5 5.8 4.600 0 7.600-2.400 9-6.600-3.100-.5-6.500-1-8.500-2.700-1-.8-.6-2-.9-3.400z" fill="#f5f4f0"/>
<circle cx="12" cy="11" r=".8" fill="#0a655e"/>
</svg>
`;
