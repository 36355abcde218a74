/** `godwit report`: looks at the reports that others have sent, and at those for others; the server may run or not. */

import { Command } from "commander";
import type { CommonOptions } from "./data_store.ts";
import type { Output } from "./output.ts";
import { isOutgoingId } from "../report/mod.ts";
import { addReportFilterOptions } from "./report_filter.ts";
import { listIncoming, type ListOptions, removeIncoming, showIncoming, trends } from "./report_incoming.ts";
import { cancelOutgoing, listOutgoing, type OutgoingListOptions, showOutgoing } from "./report_outgoing.ts";

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
    .option("--outgoing", "list aggregate reports for others instead: by --kind, --domain and --state")
    .option("--state <state>", "with --outgoing: pending, sent, cancelled or given-up")
    .action((options: ListOptions & OutgoingListOptions & { readonly outgoing?: boolean }) =>
      ending(options.outgoing === true ? listOutgoing(options, output) : listIncoming(options, output))
    );
  common("show", "show what a report says")
    .argument("<id>")
    .action((id: string, options: CommonOptions) =>
      ending(isOutgoingId(id) ? showOutgoing(id, options, output) : showIncoming(id, options, output))
    );
  common("cancel", "delete reports that were received, or do not send reports for others")
    .argument("<id...>")
    .action((ids: string[], options: CommonOptions) => ending(cancel(ids, options)));
  common("trends", "add up what reports say over days")
    .option("--days <n>", "days up to today", "30")
    .option("--domain <domain>", "only what is about this domain")
    .action((options: CommonOptions & { readonly days?: string; readonly domain?: string }) =>
      ending(trends(options, output))
    );
  return report;

  async function cancel(ids: readonly string[], options: CommonOptions): Promise<number> {
    const { outgoing = [], received = [] } = Object.groupBy(ids, (id) => isOutgoingId(id) ? "outgoing" : "received");
    if (received.length === 0) return await cancelOutgoing(outgoing, options, output);
    if (outgoing.length === 0) return await removeIncoming(received, options, output);
    output.error("reports that were received and reports for others cannot be cancelled by one command");
    return 2;
  }
}
