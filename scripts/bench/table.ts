/** Figures of several runs, their medians, and the table that shows them. */

/** Figures of one server in one run. */
export interface Figures {
  /** Messages accepted per second while nothing can be delivered. */
  readonly acceptRate: number;
  /** Milliseconds from end of data to its reply, median and 99th percentile. */
  readonly acceptP50: number;
  readonly acceptP99: number;
  /** CPU seconds per thousand messages accepted. */
  readonly acceptCpu: number;
  /** Peak of memory while accepting, in bytes. */
  readonly acceptMemory: number;
  /** Messages per second from the first one sent until the next hop has all. */
  readonly relayRate: number;
  readonly relayCpu: number;
  readonly relayMemory: number;
}

/** The figures of each server by name. */
export type Results = Readonly<Record<string, Figures>>;

/** Medians of each figure over several runs. */
export function medians(runs: readonly Figures[]): Figures {
  const of = (key: keyof Figures) => median(runs.map((run) => run[key]));
  return {
    acceptRate: of("acceptRate"),
    acceptP50: of("acceptP50"),
    acceptP99: of("acceptP99"),
    acceptCpu: of("acceptCpu"),
    acceptMemory: of("acceptMemory"),
    relayRate: of("relayRate"),
    relayCpu: of("relayCpu"),
    relayMemory: of("relayMemory"),
  };
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** A Markdown table of medians, with ratios to the server of the name `reference`. */
export function markdownTable(results: Results, reference: string): string {
  const base = results[reference];
  const ratio = (value: number, key: "acceptRate" | "relayRate") =>
    base === undefined ? "" : `${(value / base[key]).toFixed(2)}x`;
  const rows = Object.entries(results).map(([name, figures]) => [
    name,
    figures.relayRate.toFixed(0),
    ratio(figures.relayRate, "relayRate"),
    figures.relayCpu.toFixed(2),
    megabytes(figures.relayMemory),
    figures.acceptRate.toFixed(0),
    ratio(figures.acceptRate, "acceptRate"),
    figures.acceptP50.toFixed(1),
    figures.acceptP99.toFixed(1),
    figures.acceptCpu.toFixed(2),
    megabytes(figures.acceptMemory),
  ]);
  const head = [
    "server",
    "relay msg/s",
    `vs ${reference}`,
    "CPU s/1000",
    "memory MB",
    "accept msg/s",
    `vs ${reference}`,
    "p50 ms",
    "p99 ms",
    "CPU s/1000",
    "memory MB",
  ];
  return [head, head.map((_, column) => column === 0 ? "---" : "---:"), ...rows]
    .map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
