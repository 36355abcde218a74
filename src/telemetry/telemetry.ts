/** Takes events and spreads them: to counters always, to log lines and observers as configured. */

import { configureSync, getLogger, type Logger, type LogLevel, type LogRecord, type Sink } from "@logtape/logtape";
import { type Clock, systemClock } from "../clock/mod.ts";
import type { TracerConfig } from "../config/config.ts";
import { type Batch, createBatch } from "./batch.ts";
import { type Emit, type EventFields, type EventName, EVENTS, type Level } from "./event.ts";
import { formatLine } from "./line.ts";
import { type ByteWriter, logFileTarget, streamTarget } from "./log_file.ts";
import { createMetrics, type ReadGauge } from "./metrics.ts";
import { within } from "./within.ts";

/** What {@link createTelemetry} needs. Everything but the writers and the clock can be changed by `reconfigure`. */
export interface TelemetryOptions {
  /** None: the console at `info`. One that is not enabled: no output. */
  readonly tracers: readonly TracerConfig[];
  /** Levels of single events, `disable` for none; names may hold `*`. */
  readonly eventLevels: ReadonlyMap<string, string>;
  /** Events that are not counted; `*` matches. */
  readonly disabledMetricEvents: readonly string[];
  readonly clock?: Clock;
  readonly stdout?: ByteWriter;
  readonly stderr?: ByteWriter;
  /** No colours even where a tracer wants them. Default: the environment variable NO_COLOR is set and not empty. */
  readonly noColor?: boolean;
}

/** The settings that a reload may change. */
export type TelemetrySettings = Pick<TelemetryOptions, "tracers" | "eventLevels" | "disabledMetricEvents">;

/** An event as an observer sees it. */
export interface ObservedEvent {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly name: EventName;
  readonly fields: EventFields;
}

/** The telemetry of one program. */
export interface Telemetry {
  readonly emit: Emit;
  /** Begins to measure how long things take, for the histograms. Without it they start at the first {@link metricsText}. */
  collectDurations(): Promise<void>;
  /** Counters, histograms and gauges as Prometheus text. */
  metricsText(): Promise<string>;
  /**
   * Adds a gauge that is read when /metrics is asked for, at most two seconds. A name used before is replaced.
   *
   * @param labelNames names of the labels that readings may carry
   */
  registerGauge(name: string, help: string, read: ReadGauge, labelNames?: readonly string[]): void;
  /**
   * Calls `observer` for each of the named events (`*` matches), whatever their level.
   *
   * @returns a function that ends it
   */
  observe(events: readonly string[], observer: (event: ObservedEvent) => void): () => void;
  /** Whether an event of this name would be written to any log. */
  isLogged(name: EventName): boolean;
  /** How often an event happened; 0 for one that is not counted. */
  count(name: EventName): number;
  /** Resolves when the lines so far are written, after two seconds at the latest. Never rejects. */
  flush(): Promise<void>;
  /** Replaces tracers and levels, and opens log files anew; lines so far are written by the old tracers. */
  reconfigure(settings: TelemetrySettings): Promise<void>;
  /** Writes what is left, within two seconds, and ends all output. Never rejects. */
  close(): Promise<void>;
}

/** State of one event; found by one map look-up per emit. */
interface Entry {
  readonly name: EventName;
  readonly text: string;
  level: Level | undefined;
  logLevel: LogLevel;
  counted: boolean;
  count: number;
  /** Whether any tracer wants it. */
  logged: boolean;
  readonly duration: ((seconds: number) => void) | undefined;
  observers: readonly ((event: ObservedEvent) => void)[];
}

interface Tracer {
  readonly id: string;
  readonly rank: number;
  readonly batch: Batch;
  readonly sink: Sink;
}

const RANKS: Readonly<Record<Level, number>> = { error: 5, warn: 4, info: 3, debug: 2, trace: 1 };
const LOG_LEVELS: Readonly<Record<Level, LogLevel>> = {
  error: "error",
  warn: "warning",
  info: "info",
  debug: "debug",
  trace: "trace",
};

/** Longest wait for writers in `flush`, `reconfigure` and `close`, in milliseconds. */
const SETTLE_WITHIN = 2000;

/** Shortest time between two `telemetry.log-error` of one tracer, in milliseconds. */
const ERROR_PAUSE = 60_000;

const DEFAULT_TRACER: TracerConfig = {
  id: "default",
  type: "console",
  level: "info",
  enable: true,
  ansi: false,
  multiline: false,
  path: "",
  prefix: "godwit",
  rotate: "daily",
  lossy: false,
};

// LogTape keeps one configuration per process. It has one sink here, which hands each record to the instance that its
// category names, so that telemetry instances (one per program, several in tests) do not disturb each other.
const routes = new Map<string, (record: LogRecord) => void>();
let lastInstance = 0;

// LogTape copies a record before it hands it to a sink that may keep it. This sink is done with it when it returns and
// says so by the mark that LogTape's own sinks carry; the copy would cost four times what the rest of the line does.
const IMMEDIATE = Symbol.for("LogTape.sinkSnapshotPolicy.immediate");
const rootSink: Sink = Object.assign(
  (record: LogRecord) => routes.get(record.category[1] ?? "")?.(record),
  { [IMMEDIATE]: true },
);

function openRoute(deliver: (record: LogRecord) => void): { readonly logger: Logger; close(): void } {
  if (lastInstance === 0) {
    configureSync({
      reset: true,
      sinks: { godwit: rootSink },
      loggers: [
        { category: "godwit", sinks: ["godwit"], lowestLevel: "trace" },
        { category: ["logtape", "meta"], sinks: [], lowestLevel: "fatal" },
      ],
    });
  }
  const id = String(++lastInstance);
  routes.set(id, deliver);
  return { logger: getLogger(["godwit", id]), close: () => routes.delete(id) };
}

/** Starts telemetry. Nothing is opened before the first line is written. */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const clock = options.clock ?? systemClock;
  const stdout = options.stdout ?? Deno.stdout;
  const stderr = options.stderr ?? Deno.stderr;
  const noColor = options.noColor ?? (Deno.env.get("NO_COLOR") ?? "") !== "";

  const entries = new Map<string, Entry>();
  const metrics = createMetrics({
    clock,
    *counts() {
      for (const entry of entries.values()) if (entry.counted) yield [entry.name, entry.count];
    },
    onGaugeError: (metric, error) => emit("telemetry.prometheus-exporter-error", { metric, reason: String(error) }),
  });
  for (const [key, { text }] of Object.entries(EVENTS)) {
    const name = key as EventName;
    entries.set(name, {
      name,
      text,
      level: undefined,
      logLevel: "info",
      counted: true,
      count: 0,
      logged: false,
      duration: metrics.durationOf(name),
      observers: [],
    });
  }

  let tracers: readonly Tracer[] = [];
  const route = openRoute((record) => {
    for (const tracer of tracers) tracer.sink(record);
  });
  const category = route.logger.category;
  let closed = false;

  function emit(name: EventName, fields?: EventFields): void {
    const entry = entries.get(name);
    if (entry === undefined) return;
    entry.count++;
    if (entry.duration !== undefined && entry.counted) {
      const elapsed = fields?.elapsed;
      if (typeof elapsed === "number" && elapsed >= 0) entry.duration(elapsed / 1000);
    }
    if (!entry.logged && entry.observers.length === 0) return;
    const time = clock.now();
    if (entry.logged) {
      // A record that names its category itself is not copied by LogTape on its way.
      const record: LogRecord = {
        category,
        level: entry.logLevel,
        message: [entry.text],
        rawMessage: name,
        timestamp: time,
        properties: fields ?? NO_FIELDS,
      };
      route.logger.emit(record);
    }
    for (const observer of entry.observers) {
      try {
        observer({ time, name, fields: fields ?? NO_FIELDS });
      } catch {
        // An observer that fails must not fail who emits.
      }
    }
  }

  function openTracer(config: TracerConfig): Tracer {
    let nextReport = 0;
    const target = config.type === "log"
      ? logFileTarget(config.path, config.prefix, config.rotate)
      : streamTarget(config.type === "stdout" ? stdout : stderr);
    const batch = createBatch(target, {
      clock,
      lossy: config.lossy,
      onError(error) {
        const now = clock.now();
        if (now < nextReport) return;
        nextReport = now + ERROR_PAUSE;
        const fields = { tracer: config.id, reason: error instanceof Error ? error.message : String(error) };
        emit("telemetry.log-error", fields);
        // The only tracer cannot report its own failure; standard error is the last one to tell.
        if (config.type === "log" && tracers.length === 1) writeLastResort(fields, now);
      },
      onDropped: (count) => emit("telemetry.records-dropped", { tracer: config.id, count }),
    });
    const style = { ansi: config.ansi && !noColor, multiline: config.multiline };
    const rank = rankOf(config.level);
    return {
      id: config.id,
      rank,
      batch,
      sink(record) {
        const entry = entries.get(record.rawMessage as string);
        if (entry === undefined || entry.level === undefined || RANKS[entry.level] < rank) return;
        const line = formatLine({
          time: record.timestamp,
          level: entry.level,
          name: entry.name,
          text: entry.text,
          fields: record.properties as EventFields,
        }, style);
        batch.add(line, record.timestamp);
      },
    };
  }

  function writeLastResort(fields: EventFields, time: number): void {
    const name = "telemetry.log-error";
    const line = formatLine({ time, level: "error", name, text: EVENTS[name].text, fields }, {
      ansi: false,
      multiline: false,
    });
    stderr.write(new TextEncoder().encode(line)).catch(() => {});
  }

  function apply(settings: TelemetrySettings): void {
    const configs = settings.tracers.length === 0 ? [DEFAULT_TRACER] : settings.tracers;
    tracers = configs.filter((config) => config.enable && config.level !== "disable").map(openTracer);
    const lowest = Math.min(Number.POSITIVE_INFINITY, ...tracers.map((tracer) => tracer.rank));
    const levelOf = matcher([...settings.eventLevels]);
    const isDisabled = matcher(settings.disabledMetricEvents.map((name) => [name, "disable"]));
    for (const entry of entries.values()) {
      const wanted = levelOf(entry.name) ?? EVENTS[entry.name].level;
      entry.level = isLevel(wanted) ? wanted : undefined;
      entry.logLevel = entry.level === undefined ? "trace" : LOG_LEVELS[entry.level];
      entry.logged = entry.level !== undefined && RANKS[entry.level] >= lowest;
      entry.counted = isDisabled(entry.name) === undefined;
    }
  }

  /** Waits for writers, but not for one that does not answer: a stuck terminal must not hold up the end. */
  async function settled(writes: readonly Promise<void>[]): Promise<void> {
    await within(Promise.all(writes), SETTLE_WITHIN, clock).catch(() => {});
  }

  apply(options);

  return {
    emit,
    collectDurations: metrics.collect,
    metricsText: metrics.text,
    registerGauge: metrics.registerGauge,
    observe(events, observer) {
      const matches = matcher(events.map((name) => [name, "observe"]));
      const observed = [...entries.values()].filter((entry) => matches(entry.name) !== undefined);
      for (const entry of observed) entry.observers = [...entry.observers, observer];
      return () => {
        for (const entry of observed) entry.observers = entry.observers.filter((other) => other !== observer);
      };
    },
    isLogged: (name) => entries.get(name)?.logged === true,
    count(name) {
      const entry = entries.get(name);
      return entry !== undefined && entry.counted ? entry.count : 0;
    },
    async flush() {
      await settled(tracers.map((tracer) => tracer.batch.flush()));
    },
    async reconfigure(settings) {
      if (closed) return;
      const old = tracers;
      apply(settings);
      await settled(old.map((tracer) => tracer.batch.close()));
    },
    async close() {
      if (closed) return;
      closed = true;
      const old = tracers;
      await settled(old.map((tracer) => tracer.batch.close()));
      tracers = [];
      for (const entry of entries.values()) entry.logged = false;
      route.close();
    },
  };
}

const NO_FIELDS: EventFields = {};

function isLevel(word: string): word is Level {
  return Object.hasOwn(RANKS, word);
}

function rankOf(level: TracerConfig["level"]): number {
  return level === "disable" ? Number.POSITIVE_INFINITY : RANKS[level];
}

/** Finds the value for a name: an exact key wins, then the first glob that matches. */
function matcher(rules: readonly (readonly [glob: string, value: string])[]): (name: string) => string | undefined {
  const exact = new Map<string, string>();
  const globs: [RegExp, string][] = [];
  for (const [glob, value] of rules) {
    if (!glob.includes("*")) exact.set(glob, value);
    else globs.push([new RegExp(`^${glob.split("*").map(quote).join(".*")}$`), value]);
  }
  return (name) => exact.get(name) ?? globs.find(([pattern]) => pattern.test(name))?.[1];
}

function quote(literal: string): string {
  return literal.replace(/[^A-Za-z0-9_-]/g, "\\$&");
}
