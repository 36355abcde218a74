/** The state of one run of a script. */

import type { Action } from "./actions.ts";
import type { SieveHost, SieveLimits } from "./host.ts";
import type { SieveMessage } from "./message.ts";
import { type Position, SieveLimitError, SieveRuntimeError } from "./problem.ts";
import type { Value } from "../expression/mod.ts";

/** How a command ended. Commands that leave a block give anything but `NEXT`. */
export const NEXT = 0 as const;
export const STOP = 1 as const;
/** Leave this script, go on in the including one (RFC 6609 §3.3). */
export const RETURN = 2 as const;
export const BREAK = 3 as const;
export const CONTINUE = 4 as const;
export type Flow = typeof NEXT | typeof STOP | typeof RETURN | typeof BREAK | typeof CONTINUE;

/**
 * The envelope: `from`, `to`, `auth`, `notify`, `orcpt`, `ret`, `envid`, `by_time_absolute`, `by_time_relative`,
 * `by_mode`, `by_trace`. Addresses without angle brackets; undefined is what was not given.
 */
export type Envelope = Record<string, string | undefined>;

/** A run. Extensions keep what they need between commands in `slots`. */
export interface Run {
  readonly host: SieveHost;
  readonly limits: SieveLimits;
  /** Extension settings by name; see `Compiler.setting`. */
  readonly settings: ReadonlyMap<string, string>;
  readonly envelope: Envelope;
  message: SieveMessage;
  readonly actions: Action[];
  /** How many of the actions another script took before: they stand, whatever this one does. */
  readonly settled: number;
  implicitKeep: boolean;
  /** Variables by name in lower case. `include` changes the map for the time of the included script. */
  variables: Map<string, Value>;
  /** `${0}`, `${1}`, … of the last successful `:matches` or `:regex`. */
  matchValues: readonly string[];
  /** The loop that BREAK or CONTINUE is for; undefined for the innermost. */
  loop: string | undefined;
  readonly slots: Map<unknown, unknown>;
  /** Instructions left. */
  left: number;
  /** When the run began, on the host's clock. */
  readonly started: number;
  /** When time is up. */
  readonly deadline: number;
  /** Below so many instructions left the host may want a pause; -1 if it never does. */
  breath: number;
}

/** Instructions between two questions whether a pause is due. */
const BREATH = 100;

/** Where {@link Run.breath} begins. */
export function firstBreath({ pause }: SieveHost, instructions: number): number {
  return pause === undefined ? -1 : instructions - BREATH;
}

/** Lets others have their turn, if the host says so. Called when `left` is under `breath`. */
export function breathe(run: Run): Promise<void> | undefined {
  run.breath = run.left - BREATH;
  return run.host.pause?.();
}

// How often the clock is looked at.
const CLOCK_MASK = 0xff;

/** Counts instructions. @throws {SieveLimitError} when there are none left, or no time */
export function spend(run: Run, amount = 1, at?: Position): void {
  const before = run.left;
  run.left -= amount;
  if (run.left < 0) throw new SieveLimitError(`the script took more than ${run.limits.instructions} instructions`, at);
  if ((before & ~CLOCK_MASK) !== (run.left & ~CLOCK_MASK) && run.host.now() > run.deadline) {
    throw new SieveLimitError(`the script took longer than ${run.limits.milliseconds} milliseconds`, at);
  }
}

/** What an extension keeps for this run under `key`; made at first use. */
export function slot<T>(run: Run, key: { readonly initial: () => T }): T {
  if (!run.slots.has(key)) run.slots.set(key, key.initial());
  return run.slots.get(key) as T;
}

// What makes a message arrive somewhere cannot go with a refusal of it (RFC 5429 §2.1 and §2.2).
const DELIVERING: ReadonlySet<Action["kind"]> = new Set(["keep", "store", "redirect", "vacation"]);

/**
 * Takes an action. The same delivery twice counts once (RFC 5228 §2.10.3).
 *
 * @throws {SieveRuntimeError} if the action cannot go with one taken before
 * @throws {SieveLimitError} if there are too many
 */
export function takeAction(run: Run, action: Action, at?: Position): void {
  if (!("copy" in action && action.copy === true) && action.kind !== "notify" && action.kind !== "vacation") {
    run.implicitKeep = false;
  }
  const opposed = run.actions.findIndex((other, index) =>
    action.kind === "reject" && other.kind === "reject" ||
    // What an earlier script has done is done; this one is for itself.
    index >= run.settled && (action.kind === "reject" && DELIVERING.has(other.kind) ||
        other.kind === "reject" && DELIVERING.has(action.kind))
  );
  const contrary = run.actions[opposed];
  if (contrary !== undefined) {
    if (opposed < run.settled) return;
    throw new SieveRuntimeError(`${nameOf(action)} cannot go with ${nameOf(contrary)}, which was done before`, at);
  }
  const same = run.actions.findIndex((other) => isSame(other, action));
  if (same >= 0) {
    const earlier = run.actions[same];
    if (action.kind === "keep" && earlier?.kind === "store") run.actions[same] = action;
    // The later one has the last word on flags (RFC 5232 §2).
    else if (earlier !== undefined && "flags" in action) Object.assign(earlier, { flags: action.flags });
    return;
  }
  if (run.actions.length >= run.limits.actions) {
    throw new SieveLimitError(`the total number of actions exceeds policy limit: ${run.limits.actions}`, at);
  }
  const count = (...kinds: readonly Action["kind"][]) => run.actions.filter(({ kind }) => kinds.includes(kind)).length;
  if (action.kind === "redirect" && count("redirect") >= run.limits.redirects) {
    throw new SieveLimitError(`the number of redirect actions exceeds policy limit: ${run.limits.redirects}`, at);
  }
  if (action.kind === "notify" && run.limits.outMessages === 0) {
    throw new SieveLimitError("local policy prohibits the use of a notify action: scripts may send no messages", at);
  }
  if (
    (action.kind === "vacation" || action.kind === "notify") &&
    count("vacation", "notify") >= run.limits.outMessages
  ) {
    throw new SieveLimitError(
      `the number of ${action.kind} actions exceeds policy limit: ${run.limits.outMessages}`,
      at,
    );
  }
  run.actions.push(action);
}

function nameOf(action: Action): string {
  return action.kind === "store" ? "fileinto" : action.kind;
}

/** Whether both put the message in the same place. */
function isSame(a: Action, b: Action): boolean {
  if (a.kind === "redirect" && b.kind === "redirect") return a.address === b.address;
  const into = mailboxOf(a);
  return into !== undefined && into === mailboxOf(b);
}

function mailboxOf(action: Action): string | undefined {
  if (action.kind === "keep") return "INBOX";
  if (action.kind !== "store") return undefined;
  return action.mailbox.replace(/^inbox(?=[./]|$)/i, "INBOX");
}
