/** `godwit queue`: looks at and changes the queue, beside a running server or without one. */

import { Command } from "commander";
import type { QueueAction } from "../queue/mod.ts";
import type { Output } from "./output.ts";
import { type ChangeOptions, changeSome } from "./queue_change.ts";
import { type ExportOptions, exportSome } from "./queue_export.ts";
import { addFilterOptions } from "./queue_filter.ts";
import type { CommonOptions } from "./queue_store.ts";
import { list, type ListOptions, show, stats } from "./queue_view.ts";

const ACTIONS: readonly (readonly [QueueAction, string])[] = [
  ["retry", "make the next attempt now"],
  ["reschedule", "make the next attempt at another time"],
  ["hold", "stop attempts until release"],
  ["release", "let attempts go on"],
  ["cancel", "remove recipients without telling the sender"],
];

/** Builds the command; `ending` runs an action and keeps its exit status. */
export function queueCommand(output: Output, ending: (action: Promise<number>) => Promise<void>): Command {
  const queue = new Command("queue").description("look at and change the queue, of a running server or a stopped one");
  const common = (name: string, description: string) =>
    queue.command(name).description(description)
      .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
      .option("--json", "print JSON");
  const some = (name: string, description: string) =>
    addFilterOptions(common(name, description))
      .argument("[id...]", "messages; without any, a filter or --all says which")
      .option("--all", "every message");

  addFilterOptions(common("list", "list messages, oldest first"))
    .option("--limit <n>", "most messages to list, or all", "100")
    .option("--after <id>", "only messages that follow this one")
    .action((options: ListOptions) => ending(list(options, output)));
  common("show", "show a message with its recipients and its history")
    .argument("<id>")
    .action((id: string, options: CommonOptions) => ending(show(id, options, output)));
  for (const [action, description] of ACTIONS) {
    const command = some(action, description).option("--dry-run", "only say how many and which it would concern");
    if (action === "reschedule") {
      command
        .option("--at <time>", "when, such as 2026-01-31T18:00Z")
        .option("--in <duration>", "how long from now, such as 2h");
    }
    command.action((ids: string[], options: ChangeOptions) => ending(changeSome(action, ids, options, output)));
  }
  some("export", "write messages and their envelopes")
    .option("--dir <folder>", "to two files a message: ID.eml as it was accepted, ID.json the envelope")
    .option("--batch", "to standard output as batch SMTP; otherwise one message goes there as it is")
    .action((ids: string[], options: ExportOptions) => ending(exportSome(ids, options, output)));
  common("stats", "count recipients by queue and state")
    .action((options: CommonOptions) => ending(stats(options, output)));
  return queue;
}
