/** `godwit explain`: what would become of a message, and which rule decides what. */

import { systemClock } from "../clock/mod.ts";
import { type Config, reasonOf as whyUnreadable } from "../config/mod.ts";
import { createHttpLists } from "../directory/mod.ts";
import { createResolver } from "../dns/mod.ts";
import { LookupUnavailable } from "../expression/mod.ts";
import {
  closeStores,
  type Decision,
  type Explanation,
  type LimitDecision,
  loadExplain,
  openStores,
} from "../server/mod.ts";
import { fromFileUrl } from "../store/mod.ts";
import { load } from "./configuration.ts";
import { type Output, printable } from "./output.ts";

/** Options of `godwit explain`; those of the message by the names that commander gives them. */
export interface ExplainOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly all?: boolean;
  readonly message?: string;
  readonly [name: string]: unknown;
}

/** The message would be refused. */
const REFUSED = 3;

/**
 * Prints the explanation.
 *
 * @returns 0 if the message would be accepted for every recipient, 3 if not, 1 if it cannot be explained, 2 for a wrong
 * command line
 */
export async function explainCommand(options: ExplainOptions, output: Output): Promise<number> {
  let message: Uint8Array | undefined;
  if (options.message !== undefined) {
    try {
      message = withCrlf(await Deno.readFile(options.message));
    } catch (error) {
      output.error(`--message ${printable(options.message)}: ${whyUnreadable(error)}`);
      return 2;
    }
  }
  const { explain, ExplainError, readRequest, REQUEST_NAMES } = await loadExplain();
  const request = readRequest(rawOf(options, REQUEST_NAMES), message);
  if (typeof request === "string") {
    for (const line of request.split("\n")) output.error(`--${line}`);
    return 2;
  }
  const config = await load(options.config, output);
  if (config === undefined) return 1;
  const stores = await openStores(config, { emit: () => {}, clock: systemClock }, await existingStores(config));
  const resolver = createResolver(config.resolver, { clock: systemClock, random: Math.random, emit: () => {} });
  const httpLists = createHttpLists({ clock: systemClock, emit: () => {} });
  try {
    const explanation = await explain(config, request, {
      stores,
      resolver,
      httpLists,
      clock: systemClock,
      random: Math.random,
    });
    if (options.json === true) output.print(JSON.stringify(explanation));
    else print(explanation, options.all === true, output);
    return explanation.accepted ? 0 : REFUSED;
  } catch (error) {
    if (!(error instanceof ExplainError || error instanceof LookupUnavailable)) throw error;
    output.error(error.message);
    return 1;
  } finally {
    httpLists.close();
    resolver.close();
    await closeStores(stores);
  }
}

/** The options as texts, by the names that requests have. */
function rawOf(options: ExplainOptions, names: readonly string[]): Record<string, readonly string[]> {
  const raw: Record<string, readonly string[]> = {};
  for (const name of names) {
    const value = options[name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
    if (value === undefined) continue;
    raw[name] = Array.isArray(value) ? value.map(String) : [String(value)];
  }
  return raw;
}

/** Files of mail mostly have the line ends of their system; a client sends CRLF. */
function withCrlf(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length * 2);
  let size = 0;
  let last = 0;
  for (const octet of bytes) {
    if (octet === 0x0a && last !== 0x0d) out[size++] = 0x0d;
    out[size++] = octet;
    last = octet;
  }
  return out.subarray(0, size);
}

/** Stores that can be asked: a question makes no database. */
async function existingStores(config: Config): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const [id, store] of config.stores) {
    if (store.type !== "libsql") continue;
    if (!store.url.startsWith("file:") || await Deno.stat(fromFileUrl(store.url)).then(() => true, () => false)) {
      ids.push(id);
    }
  }
  return ids;
}

/** Settings that say little where nobody has set them. */
const QUIET =
  /^session\.(?:timeout|duration|transfer-limit|extensions\.|connect\.|ehlo\.|auth\.|data\.(?:limits|bare-newline)|rcpt\.(?:max|errors))/;
/** Stages in which defaults decide nothing that is worth a line. */
const QUIET_STAGES = ["load", "connect", "ehlo"];

function print(explanation: Explanation, all: boolean, output: Output): void {
  const heading = (text: string) => output.print(output.colours ? `\x1b[1m${printable(text)}\x1b[0m` : printable(text));
  const line = (indent: number, text: string) => output.print(`${" ".repeat(indent)}${printable(text)}`);
  const decisions = (indent: number, list: readonly Decision[], quiet = QUIET) => {
    for (const decision of list) {
      if (!all && decision.by !== "file" && decision.errors === undefined && quiet.test(decision.key)) continue;
      line(indent, `${decision.key} = ${decision.value}${reasonOf(decision)}`);
      if (all) { for (const passed of decision.passed ?? []) line(indent + 4, `did not hold: ${passed}`); }
      for (const error of decision.errors ?? []) line(indent + 4, `! ${error}`);
    }
  };
  const limits = (indent: number, list: readonly LimitDecision[], what: string) => {
    for (const limit of list) {
      if (!limit.matches && !all) continue;
      const counts = Object.entries(limit.counts).map(([name, value]) => `${name} ${value}`).join(", ") || "everything";
      const place = limit.line === undefined ? "" : ` (line ${limit.line})`;
      line(
        indent,
        limit.matches
          ? `${what} ${limit.key} allows ${limit.limits.join(" and ")} for ${counts}${place}`
          : `${what} ${limit.key} does not match${place}`,
      );
    }
  };
  for (const stage of explanation.session) {
    heading(stage.name);
    for (const { from, text } of stage.said) line(2, `${from === "client" ? "C" : "S"}: ${text}`);
    decisions(4, stage.decisions, QUIET_STAGES.includes(stage.name) ? /^/ : QUIET);
    limits(4, stage.limits, "limiter");
    for (const note of stage.notes) line(4, note);
  }
  if (explanation.addedFields.length > 0) {
    heading("added to the header");
    for (const field of explanation.addedFields) line(2, field);
  }
  if (explanation.dropped) heading("the message is taken, and delivered to nobody");
  if (!explanation.accepted) {
    heading("not accepted for every recipient; what follows would hold for a message that is in the queue");
  }
  for (const recipient of explanation.recipients) {
    heading(`delivery to ${recipient.address}`);
    decisions(2, recipient.decisions);
    limits(2, recipient.quotas, "quota");
    for (const note of recipient.notes) line(2, note);
    for (const host of recipient.hosts) {
      line(2, `host ${host.host}${host.addresses.length === 0 ? "" : ` [${host.addresses.join(", ")}]`}`);
      decisions(4, host.decisions);
      limits(4, host.limits, "limiter");
      for (const note of host.notes) line(4, note);
    }
  }
}

function reasonOf({ by, line, item, condition, result, value }: Decision): string {
  if (by === "program") return "";
  const where = by === "default" ? "default" : line === undefined ? "configuration" : `line ${line}`;
  const which = item === undefined ? "" : `, item ${item}`;
  const what = condition === undefined ? (item === undefined ? "" : "else") : `if ${condition}`;
  const gives = result === undefined || result === value ? "" : ` ${result}`;
  const text = [what, gives === "" ? "" : `${what === "" ? "" : "then"}${gives}`.trim()].filter(Boolean).join(" ");
  return `    (${where}${which}${text === "" ? "" : `: ${text}`})`;
}
