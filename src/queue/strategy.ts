/** Evaluates the strategies of the queue, falling back to built-in definitions where a computed id is not defined. */

import type { QueueConfig, ScheduleConfig } from "../config/config.ts";
import type { FunctionHost, Scope, Setting } from "../expression/types.ts";
import { type Emit, emitEvaluationErrors } from "../telemetry/event.ts";
import { queueScope, type RecipientFacts } from "./scope.ts";
import type { MessageRecord } from "./record.ts";

/** Chooses schedule and route for recipients. Answers at once unless an expression reaches outside. */
export interface Strategy {
  /** @throws {LookupUnavailable} or rejects with it */
  schedule(message: MessageRecord, recipient: RecipientFacts, now: number): ScheduleConfig | Promise<ScheduleConfig>;
  /** Id of the route. @throws {LookupUnavailable} or rejects with it */
  route(message: MessageRecord, recipient: RecipientFacts, now: number): string | Promise<string>;
  /** The schedule to use when the strategy cannot be asked. */
  readonly fallback: ScheduleConfig;
}

/** The schedule for other hosts; also what a file that redefines everything falls back to. */
const REMOTE: ScheduleConfig = {
  id: "remote",
  queueName: "remote",
  retry: [2, 5, 10, 15, 30, 60, 120].map((minutes) => minutes * 60_000),
  notify: [86_400_000, 3 * 86_400_000],
  expire: 5 * 86_400_000,
  maxAttempts: undefined,
};

/** Strategies of `config`. */
export function createStrategy(config: QueueConfig, functions: FunctionHost, emit: Emit): Strategy {
  const fallback = config.schedule.get("remote") ?? REMOTE;

  // For settings that look at nothing.
  const nowhere: Scope = { variables: {}, functions };

  const onError = emitEvaluationErrors(emit);

  const schedule = (id: string): ScheduleConfig => {
    const found = config.schedule.get(id);
    if (found !== undefined) return found;
    emit("smtp.id-not-found", { key: config.strategy.schedule.key, id });
    return fallback;
  };

  const route = (id: string): string => {
    if (config.route.has(id)) return id;
    emit("smtp.id-not-found", { key: config.strategy.route.key, id });
    return "mx";
  };

  const ask = <T>(
    setting: Setting<string>,
    message: MessageRecord,
    recipient: RecipientFacts,
    now: number,
    read: (id: string) => T,
  ): T | Promise<T> => {
    const scope = setting.isConstant ? nowhere : queueScope(message, recipient, now, functions, onError);
    const id = setting.evaluate(scope);
    return typeof id === "string" ? read(id) : id.then(read);
  };

  return {
    schedule: (message, recipient, now) => ask(config.strategy.schedule, message, recipient, now, schedule),
    route: (message, recipient, now) => ask(config.strategy.route, message, recipient, now, route),
    fallback,
  };
}
