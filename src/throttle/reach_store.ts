/** What a store's absence means to those who count. */

import { LookupUnavailable } from "../expression/types.ts";
import { StoreUnavailable } from "../store/mod.ts";

/** Runs `use`; a store that cannot be used is a {@link LookupUnavailable}, which sessions answer with 451. */
export async function reachStore<T>(use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (error instanceof StoreUnavailable) throw new LookupUnavailable(error.message, { cause: error });
    throw error;
  }
}
