/** Loads kinds of filters where a configuration has any: what the others are made of would take some megabytes. */

import type { Config } from "../config/config.ts";

/** What makes filters of each kind; absent if there are none of that kind. */
export interface FilterMakers {
  readonly createMilterFilter?: typeof import("./milter/filter.ts").createMilterFilter;
  readonly createHookFilter?: typeof import("./hook/filter.ts").createHookFilter;
  readonly createSieveFilter?: typeof import("./sieve/filter.ts").createSieveFilter;
}

/** Loads what the filters of a configuration are made with. */
export async function loadFilterMakers(config: Pick<Config, "milters" | "hooks" | "sieve">): Promise<FilterMakers> {
  const { milters, hooks, sieve } = config;
  // What a stage comes to is known only in a session, unless it is the same in all of them.
  const hasScripts = sieve.scripts.size > 0 || Object.values(sieve.stages).some(({ isConstant }) => !isConstant);
  return {
    ...(milters.length > 0 ? await import("./milter/filter.ts") : {}),
    ...(hooks.length > 0 ? await import("./hook/filter.ts") : {}),
    ...(hasScripts ? await import("./sieve/filter.ts") : {}),
  };
}

/** Loads what runs scripts of users. */
export const loadUserScripts = (): Promise<typeof import("./sieve/user_script.ts")> => import("./sieve/user_script.ts");
