/** One event as text: `2026-01-05T12:00:00.000Z INFO  Message queued (queue.queue-message) id=7 from=<a@b.example>`. */

import type { EventFields, Level } from "./event.ts";
import { encodeField, encodeText } from "./encode.ts";

/** How a tracer wants its lines. */
export interface LineStyle {
  readonly ansi: boolean;
  readonly multiline: boolean;
}

/** What a line is made of. */
export interface LineParts {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly level: Level;
  readonly name: string;
  readonly text: string;
  readonly fields: EventFields | undefined;
}

const LABELS: Readonly<Record<Level, string>> = {
  error: "ERROR",
  warn: "WARN ",
  info: "INFO ",
  debug: "DEBUG",
  trace: "TRACE",
};

// SGR codes (ECMA-48 §8.3.117): red, yellow, green, blue, magenta.
const COLOURS: Readonly<Record<Level, string>> = {
  error: "\x1b[31m",
  warn: "\x1b[33m",
  info: "\x1b[32m",
  debug: "\x1b[34m",
  trace: "\x1b[35m",
};
const DIM = "\x1b[2m";
const RESET = "\x1b[0m";

const PLAIN_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

let lastSecond = Number.NaN;
let lastPrefix = "";

/** RFC 3339 time in UTC with milliseconds. The part up to the seconds is kept: a busy log asks for it often. */
export function formatTime(time: number): string {
  const second = Math.floor(time / 1000);
  if (second !== lastSecond) {
    lastPrefix = new Date(second * 1000).toISOString().slice(0, 20);
    lastSecond = second;
  }
  const milliseconds = Math.floor(time - second * 1000);
  return `${lastPrefix}${milliseconds < 10 ? "00" : milliseconds < 100 ? "0" : ""}${milliseconds}Z`;
}

/** The line, or with `multiline` the lines, of one event, final LF included. */
export function formatLine(parts: LineParts, style: LineStyle): string {
  const time = formatTime(parts.time);
  const label = LABELS[parts.level];
  let line = style.ansi
    ? `${DIM}${time}${RESET} ${COLOURS[parts.level]}${label}${RESET} ${parts.text} ${DIM}(${parts.name})${RESET}`
    : `${time} ${label} ${parts.text} (${parts.name})`;
  const fields = parts.fields;
  if (fields !== undefined) {
    const gap = style.multiline ? "\n    " : " ";
    for (const name in fields) {
      const value = fields[name];
      if (value === undefined) continue;
      const key = PLAIN_NAME.test(name) ? name : encodeText(name);
      line += style.ansi ? `${gap}${DIM}${key}=${RESET}` : `${gap}${key}=`;
      line += encodeField(name, value);
    }
  }
  return line + "\n";
}
