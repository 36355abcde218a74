/** `godwit queue retry|reschedule|hold|release|cancel`: what is done to some messages or to many. */

import type { QueueAction, QueueFilter, QueueInspection, Stopped } from "../queue/mod.ts";
import { parseMessageId } from "../queue/mod.ts";
import { DURATION_SYNTAX, parseDuration } from "../expression/mod.ts";
import { type Output, printable, table } from "./output.ts";
import { FILTER_OPTIONS, type FilterOptions, toFilter } from "./queue_filter.ts";
import { type CommonOptions, path, unknown, withQueue } from "./queue_store.ts";

/** Options of an action. */
export interface ChangeOptions extends CommonOptions, FilterOptions {
  readonly all?: boolean;
  readonly dryRun?: boolean;
  /** When, for `reschedule`: ISO 8601, or how long from now. */
  readonly at?: string;
  readonly in?: string;
}

/** What an action does, as the end of "3 recipients ...". */
const DONE: Readonly<Record<QueueAction, string>> = {
  retry: "will be tried now",
  reschedule: "rescheduled",
  hold: "held",
  release: "released",
  cancel: "removed",
};
const WOULD: Readonly<Record<QueueAction, string>> = {
  retry: "would be tried now",
  reschedule: "would be rescheduled",
  hold: "would be held",
  release: "would be released",
  cancel: "would be removed",
};

/** Carries out an action; the exit status. */
export async function changeSome(
  action: QueueAction,
  ids: readonly string[],
  options: ChangeOptions,
  output: Output,
): Promise<number> {
  const filter = toFilter(options);
  const time = action === "reschedule" ? timeOf(options, Date.now()) : 0;
  if (typeof filter === "string" || typeof time === "string") {
    output.error(printable(typeof filter === "string" ? filter : String(time)));
    return 2;
  }
  if (ids.length === 0 && Object.keys(filter).length === 0 && options.all !== true) {
    output.error(`name messages by id, choose them by ${FILTER_OPTIONS}, or say --all`);
    return 2;
  }
  return await withQueue(options, output, async (queue) => {
    for (const id of ids) {
      const known = parseMessageId(id) !== undefined && (await queue.list({ ids: [id] })).length > 0;
      if (!known) return unknown(id, output);
    }
    const which = ids.length === 0 ? filter : { ...filter, ids };
    if (options.dryRun === true) return await preview(queue, action, which, options, output);
    const changed = await apply(queue, action, which, time);
    const { recipients: count, inHand } = typeof changed === "number" ? { recipients: changed, inHand: 0 } : changed;
    if (options.json === true) {
      output.print(JSON.stringify({ action, recipients: count, ...(inHand === 0 ? {} : { inHand }) }));
      return 0;
    }
    if (count > inHand || inHand === 0) output.print(`${recipients(count - inHand)} ${DONE[action]}`);
    if (inHand > 0) {
      const are = inHand === 1 ? "is" : "are";
      const unless = "unless an attempt that is under way succeeds";
      output.print(`${recipients(inHand)} ${are} in the hands of a node, and will be ${DONE[action]} ${unless}`);
    }
    return 0;
  });
}

function apply(
  queue: QueueInspection,
  action: QueueAction,
  which: QueueFilter,
  time: number,
): Promise<number | Stopped> {
  const by = whoAsks();
  return action === "reschedule" ? queue.reschedule(which, time, by) : queue[action](which, by);
}

async function preview(
  queue: QueueInspection,
  action: QueueAction,
  which: QueueFilter,
  options: ChangeOptions,
  output: Output,
): Promise<number> {
  const found = await queue.preview(action, which);
  if (options.json === true) {
    output.print(JSON.stringify({ action, dryRun: true, ...found }));
    return 0;
  }
  const messages = found.messages === 1 ? "1 message" : `${found.messages} messages`;
  output.print(`${recipients(found.recipients)} of ${messages} ${WOULD[action]}`);
  if (found.samples.length === 0) return 0;
  const rows = found.samples.map(({ id, state, queue, sender, recipient }) => [
    id,
    state,
    queue,
    path(sender),
    recipient,
  ]);
  for (const line of table(["ID", "STATE", "QUEUE", "SENDER", "RECIPIENT"], rows, output)) output.print(line);
  const more = found.recipients - found.samples.length;
  if (more > 0) output.print(`and ${more} more`);
  return 0;
}

function recipients(count: number): string {
  return count === 1 ? "1 recipient" : `${count} recipients`;
}

/** Milliseconds since the epoch, or what is wrong with `--at` and `--in`. */
function timeOf({ at, in: delay }: ChangeOptions, now: number): number | string {
  if ((at === undefined) === (delay === undefined)) return "reschedule needs --at TIME or --in DURATION";
  if (delay !== undefined) {
    const milliseconds = parseDuration(delay);
    return milliseconds === undefined ? `--in ${delay}: expected ${DURATION_SYNTAX}` : now + milliseconds;
  }
  const time = parseTime(at ?? "");
  return time ?? `--at ${at}: expected a time such as 2026-01-31T18:00Z, or without Z in the time zone of this machine`;
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?$/i;

/** A time in ISO 8601, milliseconds since the epoch. A date alone is its beginning in UTC. */
function parseTime(text: string): number | undefined {
  if (!TIME.test(text)) return undefined;
  const time = Date.parse(text.replace(" ", "T"));
  return Number.isNaN(time) ? undefined : time;
}

/** Who stands in history for what this command does. */
function whoAsks(): string {
  const name = ["SUDO_USER", "USER", "LOGNAME"].map((variable) => Deno.env.get(variable)).find((value) => value);
  return `${name ?? `user ${Deno.uid() ?? "?"}`} on the command line`;
}
