/** Small charts as inline SVG. Colours come from the style sheet; every chart has its numbers in words beside it. */

import { html, type Markup } from "./markup.ts";

/** One column: what passed below, what failed on top. */
export interface Column {
  /** A day such as `2026-01-31`. */
  readonly day: string;
  readonly passed: number;
  readonly failed: number;
}

const WIDTH = 720;
const HEIGHT = 196;
const LEFT = 46;
const RIGHT = 32;
const TOP = 16;
const BOTTOM = 24;
/** Least height of a part that is not zero, so that three failures among ten thousand can be seen. */
const LEAST = 2.5;
/** Labels of days along the bottom. */
const MOST_LABELS = 7;

/**
 * A column for each day.
 *
 * @param label what the chart shows, for those who do not see it
 * @param unit what is counted, such as `messages`
 */
export function columnChart(columns: readonly Column[], { label, unit }: { label: string; unit: string }): Markup {
  const ticks = ticksFor(Math.max(1, ...columns.map(({ passed, failed }) => passed + failed)));
  const top = ticks.at(-1) ?? 1;
  const height = HEIGHT - TOP - BOTTOM;
  const step = (WIDTH - LEFT - RIGHT) / Math.max(1, columns.length);
  const gap = Math.min(6, step * 0.28);
  const y = (value: number) => TOP + height - (value / top) * height;
  const lines = ticks.map((value) =>
    html`
      <line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y(value))}" y2="${round(y(value))}" />
      <text class="axis" x="${LEFT - 8}" y="${round(y(value) + 4)}" text-anchor="end">${compact(value)}</text>
    `
  );
  const every = Math.max(1, Math.ceil(columns.length / MOST_LABELS));
  const bars = columns.map(({ day, passed, failed }, index) => {
    const x = LEFT + index * step;
    const width = round(step - gap);
    const passedHeight = passed === 0 ? 0 : Math.max(LEAST, (passed / top) * height);
    const failedHeight = failed === 0 ? 0 : Math.max(LEAST, (failed / top) * height);
    const base = TOP + height;
    const rect = (name: string, from: number, size: number) =>
      size === 0 ? "" : html`
        <rect class="${name}" x="${round(x + gap / 2)}" y="${round(from)}" width="${width}" height="${round(
          size,
        )}" rx="${round(Math.min(2, width / 4))}" />
      `;
    const words = `${dayWords(day)}: ${number(passed)} passed, ${number(failed)} failed`;
    // Counted back from the last day, which is the one that people look for.
    const labelled = (columns.length - 1 - index) % every === 0;
    return html`
      <g
        class="column"><title>${words}</title><rect class="hit" x="${round(x)}" y="${TOP}" width="${round(
          step,
        )}" height="${height}"/>
      ${rect("passed", base - passedHeight, passedHeight)}${rect(
        "failed",
        base - passedHeight - failedHeight - (passedHeight > 0 ? 1 : 0),
        failedHeight,
      )}${labelled
        ? html`<text class="axis" x="${round(x + step / 2)}" y="${HEIGHT - 6}" text-anchor="middle">${
          dayWords(day)
        }</text>`
        : ""}</g>
    `;
  });
  return html`
    <figure class="chart">
      <figcaption><span class="key passed">passed</span><span class="key failed">failed</span><span class="soft">${unit} by day, UTC</span></figcaption>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">${lines}${bars}</svg>
    </figure>
  `;
}

/** A bar that shows a part of the largest value. */
export function meter(value: number, largest: number): Markup {
  const width = largest === 0 ? 0 : Math.max(1, (value / largest) * 100);
  return html`
    <svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="rail" width="100" height="8" rx="2" />
      <rect class="failed" width="${round(width)}" height="8" rx="2" />
    </svg>
  `;
}

/** `1,234`. */
export function number(value: number): string {
  return value.toLocaleString("en");
}

/** A part of a whole: `98.7 %`; never a whole hundred or zero for what is not. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  const value = (part / whole) * 100;
  if (part === whole || part === 0) return `${value}\u00a0%`;
  return `${Math.min(99.9, Math.max(0.1, value)).toFixed(1)}\u00a0%`;
}

/** `31 Jan`. */
function dayWords(day: string): string {
  return new Date(`${day}T00:00:00Z`).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
}

function compact(value: number): string {
  return value.toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 });
}

/** Values of the lines, from 0 to the first above all columns: five at most, whole and round. */
function ticksFor(largest: number): readonly number[] {
  const power = 10 ** Math.floor(Math.log10(largest / 4));
  const step = Math.max(1, ([1, 2, 5].find((factor) => factor * power * 4 >= largest) ?? 10) * power);
  return Array.from({ length: Math.ceil(largest / step) + 1 }, (_, index) => index * step);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
