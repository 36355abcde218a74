/**
 * Counts results in memory and writes them to the ledger every few seconds, so that they cost a message or a session next
 * to nothing. A process that is killed loses what it has counted since: reports are statistics, mail is not concerned.
 */

import type { Clock, Timer } from "../../clock/mod.ts";
import { LookupUnavailable } from "../../expression/types.ts";
import { StatementError, type Store, StoreUnavailable } from "../../store/mod.ts";
import { type AggregateKind, type GatheredReport, type GatheredResult, gatherStatements } from "./ledger.ts";
import { dueTime, HOUR, type Interval, type Period, periodOf } from "./period.ts";

/** How often a domain is told (`report.<agg>.send`). May reject with `LookupUnavailable`. */
export type IntervalOf = (domain: string) => Interval | "never" | Promise<Interval | "never">;

/** What {@link createGatherer} needs. `A` is what a report is about, beside its results. */
export interface GathererOptions<A> {
  readonly kind: AggregateKind;
  readonly store: Store;
  readonly clock: Clock;
  readonly intervalOf: IntervalOf;
  /** Who sends the reports. */
  readonly reporter: string;
  /** JSON object of what was last said a report is about. Called when it is written. */
  readonly describe: (about: A) => string;
  /** What a report is about, after two results of it were counted; by default what was said last. */
  readonly merge?: (earlier: A, later: A) => A;
  /** What a result is counted as where there is no room for its details. */
  readonly shorten: (result: string) => string;
  /** Milliseconds between two writes. */
  readonly pause: number;
}

/** Counts results. */
export interface Gatherer<A> {
  /** Counts one result for a domain, now. Quick; never throws. */
  count(domain: string, about: A, result: string): void;
  /** Writes what has been counted. What cannot be written is kept for the next time. Does not reject. */
  flush(): Promise<void>;
  /** Writes what is left and stops. */
  close(): Promise<void>;
}

/** Different results that are written at once as soon as there are so many. */
const MANY = 5_000;
/** Different results that are counted in memory at the same time; beyond them they lose their details. */
const MOST = 20_000;
/** Different results and domains in one group of statements. */
const WRITTEN_AT_ONCE = 1_000;

interface Gathered<A> {
  readonly hour: number;
  readonly domain: string;
  about: A;
  readonly results: Map<string, number>;
}

/** Makes a {@link Gatherer}. */
export function createGatherer<A>(options: GathererOptions<A>): Gatherer<A> {
  const { kind, store, clock } = options;
  let gathered = new Map<string, Gathered<A>>();
  // Different results in `gathered`, and in what is being written.
  let different = 0;
  let underWay = 0;
  let storeIsGone = false;
  let timer: Timer | undefined;
  let flushing: Promise<void> | undefined;
  let closed = false;

  const isFull = () => different + underWay >= MOST;

  const add = (hour: number, domain: string, about: A, result: string, times: number) => {
    const key = `${hour} ${domain}`;
    let entry = gathered.get(key);
    if (entry === undefined) {
      if (isFull()) return;
      gathered.set(key, entry = { hour, domain, about, results: new Map() });
    }
    entry.about = options.merge === undefined ? about : options.merge(entry.about, about);
    const known = entry.results.get(result);
    if (known === undefined && isFull()) {
      const less = options.shorten(result);
      entry.results.set(less, (entry.results.get(less) ?? 0) + times);
      return;
    }
    if (known === undefined) different++;
    entry.results.set(result, (known ?? 0) + times);
  };

  const arm = () => {
    timer ??= clock.after(options.pause, () => {
      timer = undefined;
      void flush();
    });
  };

  const write = async () => {
    let left = [...gathered.values()];
    gathered = new Map();
    underWay = different;
    different = 0;
    storeIsGone = false;
    try {
      const periods = new Map<string, Period | undefined>();
      while (left.length > 0) {
        const some = left.splice(0, firstOf(left));
        try {
          await writeRows(await rowsOf(some, periods, options));
        } catch (error) {
          left = [...some, ...left];
          throw error;
        }
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      storeIsGone = true;
      underWay = 0;
      for (const { hour, domain, about, results } of left) {
        for (const [result, times] of results) add(hour, domain, about, result, times);
      }
    }
    underWay = 0;
    if (gathered.size > 0 && !closed) arm();
  };

  const writeRows = async ({ reports, results }: Rows) => {
    for (let from = 0; from < results.length; from += WRITTEN_AT_ONCE) {
      const some = results.slice(from, from + WRITTEN_AT_ONCE);
      try {
        await store.write(gatherStatements(kind, from === 0 ? reports : [], some));
      } catch (error) {
        // What cannot be stored at all nobody asked for.
        if (!(error instanceof StatementError)) throw error;
      }
      // So that what is written is not counted again if the rest has to wait.
      for (const { result, counted } of some) counted.delete(result);
    }
  };

  const flush = (): Promise<void> => flushing ??= write().finally(() => flushing = undefined);

  return {
    count(domain, about, result) {
      if (closed) return;
      add(Math.floor(clock.now() / HOUR), domain, about, result, 1);
      if (different >= MANY && !storeIsGone) void flush();
      else arm();
    },
    flush,
    async close() {
      timer?.cancel();
      await flushing;
      closed = true;
      await flush();
    },
  };
}

/** How many entries make one group: at least one, and as many as have together about so many results. */
function firstOf(entries: readonly Gathered<unknown>[]): number {
  let results = 0;
  const end = entries.findIndex((entry) => (results += entry.results.size) > WRITTEN_AT_ONCE);
  return end < 0 ? entries.length : Math.max(1, end);
}

interface Rows {
  readonly reports: readonly GatheredReport[];
  readonly results: readonly (GatheredResult & { readonly counted: Map<string, number> })[];
}

async function rowsOf<A>(
  entries: readonly Gathered<A>[],
  periods: Map<string, Period | undefined>,
  options: GathererOptions<A>,
): Promise<Rows> {
  const reports: GatheredReport[] = [];
  const results: Rows["results"][number][] = [];
  for (const { hour, domain, about, results: counted } of entries) {
    const key = `${hour} ${domain}`;
    if (!periods.has(key)) periods.set(key, await periodFor(hour * HOUR, domain, options.intervalOf));
    const period = periods.get(key);
    if (period === undefined) continue;
    const due = dueTime(period, domain, options.reporter);
    reports.push({ domain, ...period, due, about: options.describe(about) });
    for (const [result, count] of counted) {
      results.push({ domain, ...period, result, less: options.shorten(result), count, counted });
    }
  }
  return { reports, results };
}

async function periodFor(time: number, domain: string, intervalOf: IntervalOf): Promise<Period | undefined> {
  try {
    const interval = await intervalOf(domain);
    return interval === "never" ? undefined : periodOf(time, interval);
  } catch (error) {
    if (!(error instanceof LookupUnavailable)) throw error;
    return periodOf(time, "daily");
  }
}
