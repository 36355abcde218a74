/** The filters of a configuration, with what they reach. */

import type { Clock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import type { Resolver } from "../dns/mod.ts";
import type { FunctionHost, Setting } from "../expression/mod.ts";
import { createFilterChain, type Filter, type FilterChain, type FilterMakers } from "../filter/mod.ts";
import type { Emit } from "../telemetry/mod.ts";
import { VERSION } from "./version.ts";

/** What {@link createFilters} needs beside a configuration. */
export interface FilterSources {
  readonly resolver: Resolver;
  readonly functions: FunctionHost;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly filterMakers: FilterMakers;
  /** The scripts; undefined if there are none. */
  readonly sieve: Filter | undefined;
}

/** The chain, and what to do with it at the end. */
export interface Filters {
  /** Absent if there are no filters. */
  readonly chain: FilterChain | undefined;
  /** Lets go of connections that nobody uses. */
  retire(): void;
}

/** Makes the filters that are not switched off for good. */
export function createFilters(config: Config, sources: FilterSources): Filters {
  const { resolver, functions, clock, emit, sieve, filterMakers: { createMilterFilter, createHookFilter } } = sources;
  const isUsed = ({ enable }: { readonly enable: Setting<boolean> }) =>
    !(enable.isConstant && enable.evaluate({ variables: {}, functions }) === false);
  const milters = createMilterFilter === undefined
    ? []
    : config.milters.filter(isUsed).map((milter) =>
      createMilterFilter(milter, { clock, resolver, emit, version: `godwit ${VERSION}` })
    );
  const hooks = createHookFilter === undefined
    ? []
    : config.hooks.filter(isUsed).map((hook) => createHookFilter(hook, { clock, resolver, emit }));
  return {
    chain: createFilterChain([...milters, ...(sieve === undefined ? [] : [sieve]), ...hooks]),
    retire() {
      for (const filter of [...milters, ...hooks]) filter.retire();
    },
  };
}
