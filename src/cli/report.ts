/** `godwit report`: looks at the reports that others have sent, beside a running server or without one. */

import { Command } from "commander";
import type { CommonOptions } from "./data_store.ts";
import type { Output } from "./output.ts";
import { addReportFilterOptions } from "./report_filter.ts";
import { listIncoming, type ListOptions, removeIncoming, showIncoming, trends } from "./report_incoming.ts";

/** Builds the command; `ending` runs an action and keeps its exit status. */
export function reportCommand(output: Output, ending: (action: Promise<number>) => Promise<void>): Command {
  const report = new Command("report").description("look at reports about mail: DMARC, TLS, complaints, notifications");
  const common = (name: string, description: string) =>
    report.command(name).description(description)
      .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
      .option("--json", "print JSON");

  addReportFilterOptions(common("list", "list reports that were received, the latest first"))
    .option("--limit <n>", "most reports to list", "100")
    .option("--after <id>", "only reports that follow this one")
    .action((options: ListOptions) => ending(listIncoming(options, output)));
  common("show", "show what a report says")
    .argument("<id>")
    .action((id: string, options: CommonOptions) => ending(showIncoming(id, options, output)));
  common("cancel", "delete reports that were received")
    .argument("<id...>")
    .action((ids: string[], options: CommonOptions) => ending(removeIncoming(ids, options, output)));
  common("trends", "add up what reports say over days")
    .option("--days <n>", "days up to today", "30")
    .option("--domain <domain>", "only what is about this domain")
    .action((options: CommonOptions & { readonly days?: string; readonly domain?: string }) =>
      ending(trends(options, output))
    );
  return report;
}
