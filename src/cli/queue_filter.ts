/** Which messages a `godwit queue` command is about. */

import type { Command } from "commander";
import { DURATION_SYNTAX, parseDuration } from "../expression/mod.ts";
import { LAST_ERRORS, type QueueFilter, type RecipientState, SOURCES } from "../queue/mod.ts";

/** Options of commands that concern some messages. */
export interface FilterOptions {
  readonly sender?: string;
  readonly recipient?: string;
  readonly domain?: string;
  readonly queue?: string;
  readonly state?: string;
  readonly error?: string;
  readonly text?: string;
  readonly source?: string;
  readonly node?: string;
  readonly olderThan?: string;
  readonly youngerThan?: string;
}

/** Names of the options, for messages. */
export const FILTER_OPTIONS = "--sender, --recipient, --domain, --queue, --state, --error, --text, --source, --node, " +
  "--older-than or --younger-than";

const STATES: readonly RecipientState[] = ["queued", "delivering", "held"];

/** Adds the options to a command. */
export function addFilterOptions(command: Command): Command {
  return command
    .option("--sender <pattern>", "return path, or its domain; <> is the null sender; * and ? stand for anything")
    .option("--recipient <pattern>", "address of a recipient, or its domain")
    .option("--domain <pattern>", "domain of a recipient")
    .option("--queue <name>", "virtual queue")
    .option("--state <state>", STATES.join(", "))
    .option("--error <kind>", "what the last attempt failed for: dns, connection, tls, unexpected-reply, rate, ...")
    .option("--text <words>", "part of the text of the last failure")
    .option("--source <source>", `where the message came from: ${SOURCES.join(", ")}`)
    .option("--node <id>", "node that took the message")
    .option("--older-than <duration>", "accepted longer ago, such as 2h")
    .option("--younger-than <duration>", "accepted less long ago");
}

/** The filter that options ask for, or what is wrong with them. */
export function toFilter(options: FilterOptions): QueueFilter | string {
  const { sender, recipient, domain, queue, text, node } = options;
  const state = STATES.find((known) => known === options.state?.toLowerCase());
  if (options.state !== undefined && state === undefined) return wrong("--state", options.state, STATES.join(", "));
  const lastError = LAST_ERRORS.find((known) => known === options.error?.toLowerCase());
  if (options.error !== undefined && lastError === undefined) {
    return wrong("--error", options.error, LAST_ERRORS.join(", "));
  }
  const source = SOURCES.find((known) => known === options.source?.toLowerCase());
  if (options.source !== undefined && source === undefined) {
    return wrong("--source", options.source, SOURCES.join(", "));
  }
  const olderThan = options.olderThan === undefined ? undefined : parseDuration(options.olderThan);
  if (options.olderThan !== undefined && olderThan === undefined) {
    return wrong("--older-than", options.olderThan, DURATION_SYNTAX);
  }
  const youngerThan = options.youngerThan === undefined ? undefined : parseDuration(options.youngerThan);
  if (options.youngerThan !== undefined && youngerThan === undefined) {
    return wrong("--younger-than", options.youngerThan, DURATION_SYNTAX);
  }
  return {
    ...(sender === undefined ? {} : { sender }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(domain === undefined ? {} : { domain }),
    ...(queue === undefined ? {} : { queue }),
    ...(state === undefined ? {} : { state }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(text === undefined ? {} : { text }),
    ...(source === undefined ? {} : { source }),
    ...(node === undefined ? {} : { node }),
    ...(olderThan === undefined ? {} : { olderThan }),
    ...(youngerThan === undefined ? {} : { youngerThan }),
  };
}

function wrong(option: string, found: string | undefined, expected: string): string {
  return `${option} ${found}: expected ${expected}`;
}
