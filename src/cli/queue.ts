/** `godwit queue`: looks at and changes the queue, beside a running server or without one. */

import { Command } from "commander";
import { systemClock } from "../clock/mod.ts";
import {
  type MessageView,
  openQueueOffline,
  parseMessageId,
  type QueueFilter,
  type QueueInspection,
  type RecipientState,
} from "../queue/mod.ts";
import { closeStores, openStores } from "../server/mod.ts";
import { formatDialogueLine } from "../smtp/mod.ts";
import { fromFileUrl } from "../store/mod.ts";
import { load } from "./configuration.ts";
import { type Output, printable, table } from "./output.ts";

interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

interface FilterOptions extends CommonOptions {
  readonly sender?: string;
  readonly recipient?: string;
  readonly domain?: string;
  readonly queue?: string;
  readonly state?: string;
  readonly limit?: string;
  readonly all?: boolean;
}

const STATES: readonly RecipientState[] = ["queued", "delivering", "held"];

/** Builds the command; `ending` runs an action and keeps its exit status. */
export function queueCommand(output: Output, ending: (action: Promise<number>) => Promise<void>): Command {
  const queue = new Command("queue").description("look at and change the queue, of a running server or a stopped one");
  const common = (command: Command) =>
    command
      .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
      .option("--json", "print JSON");
  const filtered = (command: Command) =>
    common(command)
      .option("--sender <address>", "return path; an empty one is the null sender")
      .option("--recipient <address>", "address of a recipient")
      .option("--domain <domain>", "domain of a recipient")
      .option("--queue <name>", "virtual queue")
      .option("--state <state>", "queued, delivering or held");

  filtered(queue.command("list").description("list messages, oldest first"))
    .option("--limit <n>", "most messages to list", "100")
    .action((options: FilterOptions) => ending(list(options, output)));
  common(queue.command("show").description("show a message with its recipients and its history"))
    .argument("<id>")
    .action((id: string, options: CommonOptions) => ending(show(id, options, output)));
  const change = (
    name: string,
    description: string,
    done: string,
    apply: (queue: QueueInspection, which: QueueFilter) => Promise<number>,
  ) =>
    filtered(queue.command(name).description(description))
      .argument("[id...]", "messages; without any, a filter or --all says which")
      .option("--all", "every message")
      .action((ids: string[], options: FilterOptions) => ending(changeSome(ids, options, done, apply, output)));
  change("retry", "make the next attempt now", "will be tried now", (on, which) => on.retry(which));
  change("hold", "stop attempts until release", "held", (on, which) => on.hold(which));
  change("release", "let attempts go on", "released", (on, which) => on.release(which));
  change("cancel", "remove recipients without telling the sender", "removed", (on, which) => on.cancel(which));
  common(queue.command("stats").description("count recipients by queue and state"))
    .action((options: CommonOptions) => ending(stats(options, output)));
  return queue;
}

async function withQueue(
  options: CommonOptions,
  output: Output,
  action: (queue: QueueInspection) => Promise<number>,
): Promise<number> {
  const config = await load(options.config, output, { warnings: false });
  if (config === undefined) return 1;
  const data = config.stores.get(config.storage.data);
  const file = data?.type === "libsql" && data.url.startsWith("file:") ? fromFileUrl(data.url) : undefined;
  if (file !== undefined && !await exists(file)) {
    output.error(`there is no queue yet: ${file} (store.${config.storage.data}) is made when the server starts`);
    return 1;
  }
  const quiet = { emit: () => {}, clock: systemClock };
  const stores = await openStores(config, quiet, [config.storage.data]);
  try {
    const store = stores.get(config.storage.data);
    if (store === undefined) throw new Error(`store '${config.storage.data}' is not defined`);
    return await action(openQueueOffline({ store, clock: systemClock }));
  } finally {
    await closeStores(stores);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function toFilter(options: FilterOptions): QueueFilter | string {
  const state = STATES.find((known) => known === options.state?.toLowerCase());
  if (options.state !== undefined && state === undefined) {
    return `--state ${options.state}: expected ${STATES.join(", ")}`;
  }
  return {
    ...(options.sender === undefined ? {} : { sender: options.sender }),
    ...(options.recipient === undefined ? {} : { recipient: options.recipient }),
    ...(options.domain === undefined ? {} : { domain: options.domain }),
    ...(options.queue === undefined ? {} : { queue: options.queue }),
    ...(state === undefined ? {} : { state }),
  };
}

async function list(options: FilterOptions, output: Output): Promise<number> {
  const filter = toFilter(options);
  const limit = Number(options.limit);
  if (typeof filter === "string" || !Number.isSafeInteger(limit) || limit < 1) {
    output.error(typeof filter === "string" ? filter : `--limit ${options.limit}: expected a whole number over 0`);
    return 2;
  }
  return await withQueue(options, output, async (queue) => {
    const messages = await queue.list({ ...filter, limit });
    if (options.json === true) {
      output.print(JSON.stringify(messages));
      return 0;
    }
    if (messages.length === 0) {
      output.print("no messages");
      return 0;
    }
    const rows = messages.map((message) => [
      message.id,
      message.state,
      message.created,
      message.due ?? "-",
      String(message.size),
      path(message.sender),
      recipientsOf(message),
    ]);
    for (
      const line of table(["ID", "STATE", "ACCEPTED", "NEXT ATTEMPT", "SIZE", "SENDER", "RECIPIENTS"], rows, output)
    ) {
      output.print(line);
    }
    if (messages.length === limit) output.print(`the first ${limit}; --limit shows more`);
    return 0;
  });
}

async function show(id: string, options: CommonOptions, output: Output): Promise<number> {
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

async function changeSome(
  ids: readonly string[],
  options: FilterOptions,
  done: string,
  apply: (queue: QueueInspection, which: QueueFilter) => Promise<number>,
  output: Output,
): Promise<number> {
  const filter = toFilter(options);
  if (typeof filter === "string") {
    output.error(filter);
    return 2;
  }
  if (ids.length === 0 && Object.keys(filter).length === 0 && options.all !== true) {
    output.error(
      "name messages by id, choose them by --sender, --recipient, --domain, --queue or --state, or say --all",
    );
    return 2;
  }
  return await withQueue(options, output, async (queue) => {
    for (const id of ids) {
      const known = parseMessageId(id) !== undefined && (await queue.list({ ids: [id] })).length > 0;
      if (!known) return unknown(id, output);
    }
    const count = await apply(queue, ids.length === 0 ? filter : { ...filter, ids });
    output.print(
      options.json === true
        ? JSON.stringify({ recipients: count })
        : `${count} recipient${count === 1 ? "" : "s"} ${done}`,
    );
    return 0;
  });
}

async function stats(options: CommonOptions, output: Output): Promise<number> {
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

function unknown(id: string, output: Output): number {
  output.error(`no message ${printable(id)} in the queue; godwit queue list shows what there is`);
  return 1;
}

function path(address: string): string {
  return address === "" ? "<>" : address;
}

function recipientsOf(message: MessageView): string {
  const [first, ...more] = message.recipients;
  if (first === undefined) return "";
  return more.length === 0 ? first.address : `${first.address} and ${more.length} more`;
}
