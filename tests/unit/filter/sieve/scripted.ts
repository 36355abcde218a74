/** Sessions that run scripts, over a queue and a memory that tests can look into. */

import assert from "node:assert/strict";
import { LookupUnavailable } from "../../../../src/expression/mod.ts";
import type { SeenMemory, SieveWorld } from "../../../../src/filter/mod.ts";
import { createSieveFilter } from "../../../../src/filter/sieve/filter.ts";
import {
  configuration,
  memoryQueue,
  type SessionWorld,
  sessionWorld,
  type WorldOptions,
} from "../../../support/session.ts";

/** A {@link SessionWorld} with scripts. */
export interface ScriptedWorld extends SessionWorld {
  /** Keys that scripts have seen, with the time until they count. */
  readonly seen: Map<string, number>;
}

/** Without pauses, since the clock stands. */
const QUICK = "session.rcpt.errors.wait = 0\nsession.data.add-headers.received = false\n";

/** A stage that runs a script, in TOML. */
export function at(stage: string, script: string): string {
  return `session.${stage}.script = "'${stage}'"\nsieve.trusted.scripts.${stage}.contents = '''\n${script}\n'''\n`;
}

/** Builds a world whose scripts stand in `settings`. */
export function scripted(
  settings: string,
  options: Omit<WorldOptions, "settings" | "filters"> & Partial<Pick<SieveWorld, "sign" | "lists">> = {},
): ScriptedWorld {
  const config = configuration(QUICK + settings);
  const queue = options.queue ?? memoryQueue();
  const bare = sessionWorld({ ...options, queue, settings: QUICK + settings });
  const { clock, deps } = bare;
  const seen = new Map<string, number>();
  const memory: SeenMemory = {
    has: (key) => Promise.resolve((seen.get(key) ?? 0) > clock.now()),
    remember(sightings) {
      for (const { key, expires } of sightings) seen.set(key, expires);
      return Promise.resolve();
    },
  };
  const filter = createSieveFilter({
    config: config.sieve,
    functions: deps.functions,
    lists: options.lists ?? { has: (name) => config.lookups.has(name), members: () => undefined },
    memory,
    outbox: queue,
    ...(options.sign === undefined ? {} : { sign: options.sign }),
    version: "1.2.3",
    clock,
    emit: deps.emit,
  });
  assert.ok(filter, "no stage runs a script");
  const world = sessionWorld({ ...options, queue, settings: QUICK + settings, filters: [filter] });
  const { filters } = world.deps;
  assert.ok(filters);
  return { ...bare, seen, deps: { ...deps, filters } };
}

/** A list that cannot be reached. */
export function unreachable(): never {
  throw new LookupUnavailable("the store is away");
}

/** Reasons of the events with this name. */
export function reasons(world: SessionWorld, name: string): readonly unknown[] {
  return world.events.filter((event) => event.name === name).map(({ fields }) => fields.reason ?? fields.action);
}
