/** The numbers behind /metrics: how often each event happened, how long things took, and gauges that others supply. */

import type { Gauge } from "prom-client";
import type { Clock } from "../clock/mod.ts";
import { type EventName, EVENTS } from "./event.ts";
import { within } from "./within.ts";

/** One reading of a gauge. */
export interface GaugeReading {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Reads a gauge when /metrics is asked for: one number, or one per set of labels. */
export type ReadGauge = () => number | readonly GaugeReading[] | Promise<number | readonly GaugeReading[]>;

/** Longest wait for the readings of a gauge, in milliseconds. */
const GAUGE_TIMEOUT = 2000;

/** Most sets of labels of one gauge. */
const MOST_READINGS = 1000;

/** Events whose `elapsed` field (milliseconds) fills a histogram (seconds). */
const DURATIONS: readonly { readonly events: readonly EventName[]; readonly name: string; readonly help: string }[] = [
  {
    events: ["delivery.delivered"],
    name: "godwit_delivery_duration_seconds",
    help: "Time of one attempt that delivered, from its start to the peer's reply",
  },
  {
    events: ["delivery.completed"],
    name: "godwit_message_lifetime_seconds",
    help: "Time from acceptance of a message until its last recipient was settled",
  },
  {
    events: ["smtp.connection-end"],
    name: "godwit_session_duration_seconds",
    help: "Time from accept to close of an inbound session",
  },
];

// From a local delivery in a millisecond to a message that was retried for days.
const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800, 7200, 43_200, 86_400, 432_000];

/** Metrics of one telemetry instance. */
export interface Metrics {
  /**
   * Begins to measure durations. Until then nothing is kept of them, and the metrics library is not even loaded: it
   * would add a sixth to the memory of an idle server.
   */
  collect(): Promise<void>;
  /** The Prometheus text; begins to collect if that has not been done. */
  text(): Promise<string>;
  /** The histogram fed by this event, if any. */
  durationOf(event: EventName): ((seconds: number) => void) | undefined;
  /**
   * Adds a gauge that is read when /metrics is asked for. A name used before is replaced.
   *
   * @param name a Prometheus metric name, such as `godwit_queue_recipients`
   * @param labelNames names of the labels that readings may carry
   */
  registerGauge(name: string, help: string, read: ReadGauge, labelNames?: readonly string[]): void;
}

/** Options of {@link createMetrics}. */
export interface MetricsOptions {
  readonly clock: Clock;
  /** Counts so far; read when /metrics is asked for, so that an event costs an addition and no more. */
  readonly counts: () => Iterable<readonly [name: EventName, count: number]>;
  readonly onGaugeError: (name: string, error: unknown) => void;
}

interface GaugeDefinition {
  readonly help: string;
  readonly read: ReadGauge;
  readonly labelNames: readonly string[];
}

/** What {@link openRegistry} gives. */
interface OpenRegistry {
  text(): Promise<string>;
  addGauge(name: string, gauge: GaugeDefinition): void;
}

/** Keeps event counters, histograms and gauges, with the resident memory among them. */
export function createMetrics(options: MetricsOptions): Metrics {
  const observers = new Map<string, (seconds: number) => void>();
  const gauges = new Map<string, GaugeDefinition>();
  let opening: Promise<OpenRegistry> | undefined;
  let opened: OpenRegistry | undefined;

  const open = async () => {
    const registry = await openRegistry(options, observers);
    for (const [name, gauge] of gauges) registry.addGauge(name, gauge);
    return opened = registry;
  };
  const registerGauge: Metrics["registerGauge"] = (name, help, read, labelNames = []) => {
    const gauge = { help, read, labelNames };
    gauges.set(name, gauge);
    opened?.addGauge(name, gauge);
  };
  registerGauge("process_resident_memory_bytes", "Resident memory", () => Deno.memoryUsage().rss);

  return {
    async collect() {
      await (opening ??= open());
    },
    async text() {
      return await (await (opening ??= open())).text();
    },
    durationOf(event) {
      const feeds = DURATIONS.some(({ events }) => events.includes(event));
      return feeds ? (seconds) => observers.get(event)?.(seconds) : undefined;
    },
    registerGauge,
  };
}

async function openRegistry(
  options: MetricsOptions,
  observers: Map<string, (seconds: number) => void>,
): Promise<OpenRegistry> {
  const { Counter, Gauge, Histogram, Registry } = await import("prom-client");
  const registry = new Registry();

  new Counter({
    name: "godwit_events_total",
    help: "Events by name",
    labelNames: ["event"],
    registers: [registry],
    collect() {
      this.reset();
      // A zero is shown where a first occurrence should be seen as a rise; chatter that never happened is left out.
      for (const [event, count] of options.counts()) {
        const { level } = EVENTS[event];
        if (count > 0 || (level !== "debug" && level !== "trace")) this.inc({ event }, count);
      }
    },
  });

  for (const { events, name, help } of DURATIONS) {
    const histogram = new Histogram({ name, help, buckets: BUCKETS, registers: [registry] });
    for (const event of events) observers.set(event, (seconds) => histogram.observe(seconds));
  }

  return {
    text: () => registry.metrics(),
    addGauge(name, { help, read, labelNames }) {
      registry.removeSingleMetric(name);
      new Gauge({
        name,
        help,
        labelNames: [...labelNames],
        registers: [registry],
        async collect(this: Gauge) {
          try {
            const reading = await within(Promise.resolve(read()), GAUGE_TIMEOUT, options.clock);
            const readings = typeof reading === "number" ? [{ value: reading }] : reading;
            this.reset();
            if (readings.length === 0 && labelNames.length === 0) this.remove();
            for (const { labels = {}, value } of readings.slice(0, MOST_READINGS)) this.set({ ...labels }, value);
          } catch (error) {
            // A gauge that cannot be read is left out: a stale or zero value would be taken for the truth.
            this.reset();
            if (labelNames.length === 0) this.remove();
            options.onGaugeError(name, error);
          }
        },
      });
    },
  };
}
