/** `godwit eval`: evaluates an expression, with a configuration's directories, lists and stores if one is named. */

import { systemClock } from "../clock/mod.ts";
import { type Config, parseConfig } from "../config/mod.ts";
import { createResolver } from "../dns/mod.ts";
import {
  ALL_VARIABLES,
  type CompileEnvironment,
  EMPTY_ENVIRONMENT,
  evaluateText,
  ExpressionError,
  formatProblem,
  formatValue,
  type FunctionHost,
  LookupUnavailable,
  parseVariable,
  type Value,
} from "../expression/mod.ts";
import { createHttpLists } from "../directory/mod.ts";
import { closeStores, createFunctionHost, createLookups, openStores } from "../server/mod.ts";
import { load } from "./configuration.ts";
import type { Output } from "./output.ts";

/** What the text of a variable has to be, by its type. */
const WANTED = {
  int: "a number",
  bool: "true or false",
  ip: "an IP address",
  list: "items with commas between them",
  str: "text",
} as const;

/** Options of `godwit eval`. */
export interface EvalOptions {
  readonly var?: readonly string[];
  readonly config?: string;
  readonly json?: boolean;
}

/** Prints the value as the last line. @returns 0, or 1 if the expression is wrong or something could not be reached */
export async function evaluate(source: string, options: EvalOptions, output: Output): Promise<number> {
  const variables: Record<string, Value> = {};
  for (const assignment of options.var ?? []) {
    const equals = assignment.indexOf("=");
    if (equals < 1) {
      output.error(`--var ${assignment}: expected name=value`);
      return 2;
    }
    // A hyphen inside a name reads as an underscore, as in the configuration.
    const name = assignment.slice(0, equals).replace(/(?<=\w)-(?=\w)/g, "_");
    const value = parseVariable(name, assignment.slice(equals + 1));
    if (value === undefined) {
      output.error(`--var ${assignment}: expected ${WANTED[ALL_VARIABLES[name] ?? "str"]}`);
      return 2;
    }
    variables[name] = value;
  }
  const config = options.config === undefined ? undefined : await load(options.config, output);
  if (options.config !== undefined && config === undefined) return 1;
  const world = config === undefined ? bare() : await configured(config);
  try {
    const value = await evaluateText(source, {
      variables,
      functions: world.functions,
      onError: (error) => output.error(`${error.event}: ${error.message}`),
    }, { environment: world.environment });
    output.print(options.json === true ? JSON.stringify({ value }) : formatValue(value));
    return 0;
  } catch (error) {
    if (error instanceof ExpressionError) {
      for (const problem of error.problems) output.error(formatProblem(problem));
    } else if (error instanceof LookupUnavailable) {
      output.error(error.message);
    } else {
      throw error;
    }
    return 1;
  } finally {
    await world.close();
  }
}

interface EvalWorld {
  readonly environment: CompileEnvironment;
  readonly functions: FunctionHost;
  close(): Promise<void>;
}

// What a configuration cannot be without.
const LEAST_CONFIGURATION = `store.data = { type = "libsql", url = "file:data/godwit.db" }\nstorage.data = "data"\n`;

/** Without a configuration there is DNS and nothing else. */
function bare(): EvalWorld {
  const resolver = createResolver({
    servers: [],
    preserveIntermediates: true,
    concurrency: 2,
    timeout: 5000,
    attempts: 2,
    tryTcpOnError: true,
    edns: true,
    dnssec: "trust",
    trustAnchors: [],
    cacheSizes: {},
  }, { clock: systemClock, random: Math.random, emit: () => {} });
  return {
    environment: {
      ...EMPTY_ENVIRONMENT,
      // Without a file every setting has its default.
      configGet: parseConfig(LEAST_CONFIGURATION).config?.environment.configGet ?? EMPTY_ENVIRONMENT.configGet,
    },
    functions: createFunctionHost({
      directories: new Map(),
      defaultDirectory: undefined,
      lists: new Map(),
      stores: new Map(),
      queries: new Map(),
      lookupStore: "",
      dataStore: "",
      resolver,
    }),
    close: () => Promise.resolve(resolver.close()),
  };
}

async function configured(config: Config): Promise<EvalWorld> {
  const stores = await openStores(config, { emit: () => {}, clock: systemClock });
  const resolver = createResolver(config.resolver, { clock: systemClock, random: Math.random, emit: () => {} });
  const httpLists = createHttpLists({ clock: systemClock, emit: () => {} });
  return {
    environment: config.environment,
    functions: createLookups(config, { stores, resolver, clock: systemClock, httpLists }).functions,
    async close() {
      httpLists.close();
      resolver.close();
      await closeStores(stores);
    },
  };
}
