/** Runs compiled scripts. */

import type { Action, KeepAction } from "./actions.ts";
import type { CompiledScript } from "./compiler.ts";
import { DEFAULT_LIMITS, type SieveHost } from "./host.ts";
import type { SieveMessage } from "./message.ts";
import { type Position, SieveLimitError, SieveRuntimeError } from "./problem.ts";
import { type Envelope, firstBreath, type Flow, type Run, spend } from "./run.ts";
import type { Value } from "../expression/mod.ts";

/** What a script works on. */
export interface RunInput {
  readonly message: SieveMessage;
  readonly envelope: Readonly<Envelope>;
  readonly host: SieveHost;
  /** Actions that a script before this one took for the same message. */
  readonly before?: readonly Action[];
}

/** What came of a run. */
export interface Outcome {
  /** In the order in which they were taken; none after an error. */
  readonly actions: readonly Action[];
  /** The keep that happens because nothing else was said (RFC 5228 §2.10.2); undefined if it does not. */
  readonly implicitKeep: KeepAction | undefined;
  /** The message with the script's edits; the one given if there were none, or after an error. */
  readonly message: SieveMessage;
  readonly envelope: Readonly<Envelope>;
  readonly error: RunError | undefined;
  /** Instructions that were counted. */
  readonly instructions: number;
}

/** Why a script ended early. */
export interface RunError {
  readonly message: string;
  readonly at: Position | undefined;
  /** The included script that it is in; undefined for the one that was run. */
  readonly script: string | undefined;
  /** Whether a limit was reached. */
  readonly limit: boolean;
}

/**
 * Runs a script. Answers at once unless the host took its time. Errors of the script are part of the outcome; those of
 * the host are thrown, or reject.
 */
export function runScript(script: CompiledScript, input: RunInput): Outcome | Promise<Outcome> {
  const run = startRun(script, input);
  try {
    spend(run);
    const flow = script.step(run);
    if (typeof flow === "number") return finish(script, run);
    return flow.then((_: Flow) => finish(script, run)).catch((error) => failed(error, run, input));
  } catch (error) {
    return failed(error, run, input);
  }
}

function startRun(script: CompiledScript, { message, envelope, host, before = [] }: RunInput): Run {
  const limits = { ...DEFAULT_LIMITS, ...script.options.limits };
  const started = host.now();
  return {
    host,
    limits,
    settings: script.options.settings ?? NO_SETTINGS,
    envelope: { ...envelope },
    message,
    actions: [...before],
    settled: before.length,
    implicitKeep: true,
    variables: new Map<string, Value>(),
    matchValues: [],
    loop: undefined,
    slots: new Map(),
    left: limits.instructions,
    started,
    deadline: started + limits.milliseconds,
    breath: firstBreath(host, limits.instructions),
  };
}

const NO_SETTINGS: ReadonlyMap<string, string> = new Map();

function finish(script: CompiledScript, run: Run): Outcome {
  const { message, actions, envelope } = run;
  let implicitKeep: KeepAction | undefined;
  if (run.implicitKeep) {
    implicitKeep = { kind: "keep", message };
    for (const { onAction } of script.watchers) onAction?.(run, implicitKeep);
  }
  return {
    actions,
    implicitKeep,
    message,
    envelope,
    error: undefined,
    instructions: run.limits.instructions - run.left,
  };
}

/** RFC 5228 §2.10.6: an error undoes what the script asked for, and the message is kept. */
function failed(error: unknown, run: Run, { message, envelope }: RunInput): Outcome {
  if (!(error instanceof SieveRuntimeError)) throw error;
  return {
    actions: [],
    implicitKeep: { kind: "keep", message },
    message,
    envelope,
    error: { message: error.message, at: error.at, script: error.script, limit: error instanceof SieveLimitError },
    instructions: run.limits.instructions - Math.max(0, run.left),
  };
}
