/** What is measured when metrics are asked for. */

import type { Queue } from "../queue/mod.ts";
import type { Telemetry } from "../telemetry/mod.ts";

/** What is measured. */
export interface Measured {
  listeners(): readonly { readonly id: string; readonly connections: number }[];
  certificates(): readonly { readonly id: string; readonly expires: number }[];
  readonly queue: Queue;
}

/** Adds the gauges of a running server. */
export function registerGauges(telemetry: Telemetry, { listeners, certificates, queue }: Measured): void {
  telemetry.registerGauge(
    "godwit_connections",
    "Open connections by listener",
    () => listeners().map(({ id, connections }) => ({ labels: { listener: id }, value: connections })),
    ["listener"],
  );
  telemetry.registerGauge(
    "godwit_certificate_expiry_timestamp_seconds",
    "End of each certificate in seconds since the Unix epoch",
    () => certificates().map(({ id, expires }) => ({ labels: { certificate: id }, value: expires / 1000 })),
    ["certificate"],
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
