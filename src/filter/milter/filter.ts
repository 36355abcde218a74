/** A milter of the configuration as a filter. */

import type { MilterConfig } from "../../config/config.ts";
import type { Emit } from "../../telemetry/event.ts";
import type { RetirableFilter } from "../filter.ts";
import { type MilterEngine, openDialogue } from "./dialogue.ts";
import { milterOpener, type MilterWorld } from "./open.ts";
import { createMilterPool } from "./pool.ts";

/** Most connections to one filter; filters made with libmilter run a thread for each. */
const MOST_CONNECTIONS = 200;
/** Milliseconds that a connection is kept for the next session. */
const IDLE = 30_000;

/** What milters need. */
export interface MilterFilterWorld extends MilterWorld {
  /** Name and version of this program, for the macro `v`. */
  readonly version: string;
  readonly emit: Emit;
}

/** Makes the filter of a milter. */
export function createMilterFilter(config: MilterConfig, world: MilterFilterWorld): RetirableFilter {
  const { clock, emit, version } = world;
  const pool = createMilterPool({
    limit: MOST_CONNECTIONS,
    wait: config.timeout.connect,
    idle: IDLE,
    clock,
    open: milterOpener(config, world),
  });
  const engine: MilterEngine = { config, pool, emit, version, wantsRefused: undefined };
  const { enable } = config;
  return {
    id: config.id,
    kind: "milter",
    stages: config.stages,
    ...(enable.isConstant ? {} : { enabled: (session) => enable.evaluate(session.scope) }),
    open: (session, connections) => openDialogue(engine, session, connections),
    retire: () => pool.retire(),
  };
}
