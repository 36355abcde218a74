/** All functions by name. `matches`, `if_then` and `config_get` need the compiler and live there. */

import { ADDRESS_FUNCTIONS } from "./address.ts";
import { ARRAY_FUNCTIONS } from "./array.ts";
import type { PureFunction } from "./function.ts";
import { HASH_FUNCTIONS } from "./hash.ts";
import { HOST_FUNCTIONS } from "./host.ts";
import { TEXT_FUNCTIONS } from "./text.ts";

/** Functions of their arguments alone. */
export const PURE_FUNCTIONS: ReadonlyMap<string, PureFunction> = new Map(Object.entries({
  ...TEXT_FUNCTIONS,
  ...ARRAY_FUNCTIONS,
  ...HASH_FUNCTIONS,
  ...ADDRESS_FUNCTIONS,
}));

export { HOST_FUNCTIONS };
export { RECORD_TYPES } from "./host.ts";
export type { ArgumentRole, HostFunction, PureFunction } from "./function.ts";
