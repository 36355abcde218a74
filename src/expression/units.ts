/** Durations, rates and sizes: the one place that reads and writes them. */

/** `count` events per `period` milliseconds. */
export interface Rate {
  readonly count: number;
  readonly period: number;
}

const UNITS: readonly (readonly [unit: string, milliseconds: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

const DURATION = /^(\d{1,16})(ms|[smhd])?$/;
const RATE = /^(\d{1,16})\s*\/\s*(\S+)$/;
const INTEGER = /^([+-]?)(?:0x([0-9a-fA-F]{1,14}(?:_[0-9a-fA-F]+)*)|(\d{1,16}(?:_\d+)*))$/;

/** What a duration, rate or size looks like, for error messages. */
export const DURATION_SYNTAX = "a duration such as 30s (one integer and one of ms, s, m, h, d)";
export const RATE_SYNTAX = "a rate such as 100/1h (count, slash, duration)";
export const SIZE_SYNTAX = "a size in bytes such as 26_214_400 (an integer without suffix)";

/**
 * Reads a duration: one integer and one unit of `ms s m h d`.
 *
 * @param bareUnit milliseconds that an integer without unit counts as; 1 unless the key says otherwise
 * @returns milliseconds, or undefined if `text` is no duration or too long to count exactly
 */
export function parseDuration(text: string, bareUnit = 1): number | undefined {
  const match = DURATION.exec(text.trim());
  if (match === null) return undefined;
  const factor = match[2] === undefined ? bareUnit : UNITS.find(([unit]) => unit === match[2])?.[1];
  if (factor === undefined) return undefined;
  const milliseconds = Number(match[1]) * factor;
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}

/** Writes a duration with the largest unit that divides it: `90000` is `90s`. Fractions are rounded. */
export function formatDuration(milliseconds: number): string {
  const whole = Math.round(milliseconds);
  if (whole === 0) return "0s";
  const [unit, factor] = UNITS.find(([, factor]) => whole % factor === 0) ?? ["ms", 1];
  return `${whole / factor}${unit}`;
}

/**
 * Reads a rate such as `100/1h` or `20 / 5m`.
 *
 * @returns the rate, or undefined if `text` is none; neither count nor period may be 0
 */
export function parseRate(text: string): Rate | undefined {
  const match = RATE.exec(text.trim());
  if (match === null) return undefined;
  const count = Number(match[1]);
  const period = parseDuration(match[2] ?? "");
  if (!Number.isSafeInteger(count) || count === 0 || period === undefined || period === 0) return undefined;
  return { count, period };
}

/** Writes a rate as it is written in a configuration: `100/1h`. */
export function formatRate(rate: Rate): string {
  return `${rate.count}/${formatDuration(rate.period)}`;
}

/** Reads an integer: decimal, or hexadecimal after `0x`, with `_` between digits as in TOML. */
export function parseInteger(text: string): number | undefined {
  const match = INTEGER.exec(text.trim());
  if (match === null) return undefined;
  const [, sign, hexadecimal, decimal] = match;
  const magnitude = hexadecimal === undefined
    ? Number((decimal ?? "").replaceAll("_", ""))
    : Number.parseInt(hexadecimal.replaceAll("_", ""), 16);
  if (!Number.isSafeInteger(magnitude)) return undefined;
  return sign === "-" && magnitude !== 0 ? -magnitude : magnitude;
}

/** Reads a size in bytes: an integer that is not negative. */
export function parseSize(text: string): number | undefined {
  const size = parseInteger(text);
  return size === undefined || size < 0 ? undefined : size;
}
