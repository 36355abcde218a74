/** What the tests of this room share: loading a text in a world of their own, and evaluating settings. */

import assert from "node:assert/strict";
import { compileScripts } from "../../../src/config/build/scripts.ts";
import { type Config, formatProblem, type LoadResult, parseConfig } from "../../../src/config/mod.ts";
import type { Principal } from "../../../src/config/config.ts";
import type { FunctionHost, Setting, Value } from "../../../src/expression/mod.ts";

/** What must be set for a configuration to be complete. What is added to it begins outside of any table. */
export const MINIMAL = `server.hostname = "mx.example.net"
store.data = { type = "libsql", url = "file:data.db" }
storage.data = "data"
`;

/** The machine that configurations are loaded on. */
export interface World {
  readonly env?: Readonly<Record<string, string>>;
  /** By absolute path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Permission bits of files, by absolute path; without one they cannot be told. */
  readonly modes?: Readonly<Record<string, number>>;
  readonly hostname?: string;
  readonly events?: readonly string[];
}

/** Loads a text as if it stood in `/etc/godwit/config.toml`. */
export function load(text: string, world: World = {}): LoadResult {
  return parseConfig(text, {
    file: "/etc/godwit/config.toml",
    env: (name) => world.env?.[name],
    readFile: (path) => {
      const content = world.files?.[path];
      if (content === undefined) throw new Deno.errors.NotFound(`no such file: ${path}`);
      return content;
    },
    fileMode: (path) => world.modes?.[path],
    hostname: () => world.hostname ?? "machine.example.org",
    cpus: 4,
    compileScripts,
    ...(world.events === undefined ? {} : { events: world.events }),
  });
}

/** Problems as `godwit check` prints them. */
export function printed(result: LoadResult): readonly string[] {
  return result.problems.map((problem) => formatProblem(problem, "config.toml"));
}

/** Problems of a text after {@link MINIMAL}, as they are printed; the first line of `text` counts as line 1. */
export function problemsOf(text: string, world: World = {}): readonly string[] {
  const { problems } = load(MINIMAL + text, world);
  const added = MINIMAL.split("\n").length - 1;
  return problems
    .filter((problem) => !problem.message.startsWith("no listener is defined"))
    .map((problem) => formatProblem(problem, "config.toml"))
    .map((line) => line.replaceAll(/\bline (\d+)/g, (_, number: string) => `line ${Number(number) - added}`));
}

/** The configuration that a text after {@link MINIMAL} gives; fails if there is an error. */
export function configOf(text: string, world: World = {}): Config {
  const result = load(MINIMAL + text, world);
  assert.ok(result.config, printed(result).join("\n"));
  return result.config;
}

const EMPTY_HOST: FunctionHost = {
  isLocalDomain: () => false,
  isLocalAddress: () => false,
  keyGet: () => "",
  keyExists: () => false,
  keySet: () => true,
  counterGet: () => 0,
  counterIncr: () => 0,
  sqlQuery: () => false,
  dnsQuery: () => [],
};

/** The value of a setting for these variables. */
export function valueOf<T>(
  setting: Setting<T>,
  variables: Readonly<Record<string, Value>> = {},
  functions: Partial<FunctionHost> = {},
): T | Promise<T> {
  return setting.evaluate({ variables, functions: { ...EMPTY_HOST, ...functions } });
}

/** The accounts of a directory of the type `memory`. */
export function principalsOf({ directories }: Pick<Config, "directories">, id: string): readonly Principal[] {
  const directory = directories.get(id);
  assert.equal(directory?.type, "memory");
  return directory.principals;
}
