/** What is measured when metrics are asked for. */

import type { Queue } from "../queue/mod.ts";
import type { Telemetry } from "../telemetry/mod.ts";

/** Adds the gauges of a running server. */
export function registerGauges(
  telemetry: Telemetry,
  listeners: () => readonly { readonly id: string; readonly connections: number }[],
  queue: Queue,
): void {
  telemetry.registerGauge(
    "godwit_connections",
    "Open connections by listener",
    () => listeners().map(({ id, connections }) => ({ labels: { listener: id }, value: connections })),
    ["listener"],
  );
  telemetry.registerGauge(
    "godwit_queue_recipients",
    "Recipients in the queue by virtual queue and state",
    async () =>
      (await queue.stats()).queues.map((entry) => ({
        labels: { queue: entry.queue, state: entry.state },
        value: entry.recipients,
      })),
    ["queue", "state"],
  );
}
