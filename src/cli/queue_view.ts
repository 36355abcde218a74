/** `godwit queue list|show|stats`: what people see of the queue. */

import type { MessageView, QueueInspection } from "../queue/mod.ts";
import { formatDialogueLine } from "../smtp/mod.ts";
import { type Output, printable, table } from "./output.ts";
import { type FilterOptions, toFilter } from "./queue_filter.ts";
import { type CommonOptions, path, unknown, withQueue } from "./queue_store.ts";

/** Options of `list`. */
export interface ListOptions extends CommonOptions, FilterOptions {
  readonly limit?: string;
  readonly after?: string;
}

// Messages that are read and printed at a time.
const PAGE = 500;
const HEADINGS = ["ID", "STATE", "ACCEPTED", "NEXT ATTEMPT", "SIZE", "SENDER", "RECIPIENTS"];

/** Lists messages, a page at a time however many there are; the exit status. */
export async function list(options: ListOptions, output: Output): Promise<number> {
  const filter = toFilter(options);
  const limit = options.limit === "all" ? Infinity : Number(options.limit ?? "100");
  if (typeof filter === "string" || !(limit === Infinity || Number.isSafeInteger(limit)) || limit < 1) {
    const text = typeof filter === "string"
      ? filter
      : `--limit ${options.limit}: expected a whole number over 0, or all`;
    output.error(printable(text));
    return 2;
  }
  return await withQueue(options, output, async (queue) => {
    let count = 0;
    let last = options.after;
    // One JSON list over all pages, a page a line.
    let json = "[";
    for await (const page of pages(queue, { ...filter, ...(last === undefined ? {} : { after: last }) }, limit)) {
      if (options.json === true) {
        if (count > 0) output.print(`${json},`);
        json = `${count > 0 ? "" : json}${page.map((message) => JSON.stringify(message)).join(",")}`;
      } else {
        printPage(page, count === 0, output);
      }
      count += page.length;
      last = page.at(-1)?.id;
    }
    if (options.json === true) output.print(`${json}]`);
    else if (count === 0) output.print("no messages");
    else if (count === limit) output.print(`the first ${limit}; --limit shows more, --after ${last} those that follow`);
    return 0;
  });
}

async function* pages(
  queue: QueueInspection,
  which: Parameters<QueueInspection["list"]>[0],
  limit: number,
): AsyncGenerator<readonly MessageView[]> {
  let after = which?.after;
  for (let left = limit; left > 0;) {
    const wanted = Math.min(left, PAGE);
    const page = await queue.list({ ...which, limit: wanted, ...(after === undefined ? {} : { after }) });
    if (page.length > 0) yield page;
    if (page.length < wanted) return;
    left -= page.length;
    after = page.at(-1)?.id;
  }
}

function printPage(page: readonly MessageView[], first: boolean, output: Output): void {
  const rows = page.map((message) => [
    message.id,
    message.state,
    message.created,
    message.due ?? "-",
    String(message.size),
    path(message.sender),
    recipientsOf(message),
  ]);
  const lines = table(HEADINGS, rows, output);
  for (const line of first ? lines : lines.slice(1)) output.print(line);
}

/** Shows one message; the exit status. */
export async function show(id: string, options: CommonOptions, output: Output): Promise<number> {
  return await withQueue(options, output, async (queue) => {
    const found = await queue.show(id);
    if (found === undefined) return unknown(id, output);
    const { message, events } = found;
    if (options.json === true) {
      output.print(JSON.stringify({ ...message, events }));
      return 0;
    }
    output.print(`message   ${message.id}`);
    output.print(`sender    ${printable(path(message.sender))}`);
    output.print(`state     ${message.state}`);
    output.print(`accepted  ${message.created}`);
    output.print(`size      ${message.size}`);
    output.print(`source    ${message.source}`);
    if (message.priority !== 0) output.print(`priority  ${message.priority}`);
    output.print("");
    const recipients = message.recipients.map((recipient) => [
      recipient.address,
      recipient.state,
      recipient.queue,
      String(recipient.attempts),
      recipient.due ?? "-",
      recipient.lastText,
    ]);
    for (
      const line of table(["RECIPIENT", "STATE", "QUEUE", "FAILED", "NEXT ATTEMPT", "LAST RESULT"], recipients, output)
    ) {
      output.print(line);
    }
    output.print("");
    const history = events.map((event) => [event.time, event.name, event.recipient, event.text]);
    for (const line of table(["TIME", "EVENT", "RECIPIENT", "DETAIL"], history, output)) output.print(line);
    for (const { address, dialogue } of message.recipients) {
      if (dialogue === undefined) continue;
      output.print("");
      output.print(`last failed attempt for ${printable(address)}, in seconds (C: this server, S: the other one)`);
      for (const line of dialogue) output.print(printable(formatDialogueLine(line)));
    }
    return 0;
  });
}

/** Counts what waits; the exit status. */
export async function stats(options: CommonOptions, output: Output): Promise<number> {
  return await withQueue(options, output, async (queue) => {
    const numbers = await queue.stats();
    if (options.json === true) {
      output.print(JSON.stringify(numbers));
      return 0;
    }
    const rows = numbers.queues.map((entry) => [entry.queue, entry.state, String(entry.recipients), entry.due]);
    for (const line of table(["QUEUE", "STATE", "RECIPIENTS", "EARLIEST"], rows, output)) output.print(line);
    output.print(`${numbers.messages} messages, ${numbers.recipients} recipients`);
    return 0;
  });
}

function recipientsOf(message: MessageView): string {
  const [first, ...more] = message.recipients;
  if (first === undefined) return "";
  return more.length === 0 ? first.address : `${first.address} and ${more.length} more`;
}
