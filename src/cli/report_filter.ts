/** Which received reports a `godwit report` command is about. */

import type { Command } from "commander";
import { DURATION_SYNTAX, parseDuration } from "../expression/mod.ts";
import { REPORT_KINDS, type ReportFilter } from "../report/mod.ts";

/** Options of commands that concern some reports. */
export interface ReportFilterOptions {
  readonly kind?: string;
  readonly domain?: string;
  readonly reporter?: string;
  readonly source?: string;
  readonly failing?: boolean;
  readonly olderThan?: string;
  readonly youngerThan?: string;
}

/** Adds the options to a command. */
export function addReportFilterOptions(command: Command): Command {
  return command
    .option("--kind <kind>", REPORT_KINDS.join(", "))
    .option("--domain <domain>", "domain that the report is about")
    .option("--reporter <text>", "part of the name of who reports")
    .option("--source <source>", "IP address or host where something failed")
    .option("--failing", "only reports that tell of failures")
    .option("--older-than <duration>", "received longer ago, such as 2d")
    .option("--younger-than <duration>", "received less long ago");
}

/** The filter that options ask for, or what is wrong with them. */
export function toReportFilter(options: ReportFilterOptions, now: number): Omit<ReportFilter, "limit"> | string {
  const { domain, reporter, source } = options;
  const kind = REPORT_KINDS.find((known) => known === options.kind?.toLowerCase());
  if (options.kind !== undefined && kind === undefined) {
    return `--kind ${options.kind}: expected one of ${REPORT_KINDS.join(", ")}`;
  }
  const times: { since?: number; until?: number } = {};
  for (const [name, key] of [["olderThan", "until"], ["youngerThan", "since"]] as const) {
    const value = options[name];
    if (value === undefined) continue;
    const age = parseDuration(value);
    if (age === undefined) {
      return `--${name === "olderThan" ? "older-than" : "younger-than"} ${value}: expected ${DURATION_SYNTAX}`;
    }
    times[key] = now - age;
  }
  return {
    ...(kind === undefined ? {} : { kind }),
    ...(domain === undefined ? {} : { domain }),
    ...(reporter === undefined ? {} : { reporter }),
    ...(source === undefined ? {} : { source }),
    ...(options.failing === true ? { failing: true } : {}),
    ...times,
  };
}
