/** A hook of the configuration as a filter. */

import type { HookConfig } from "../../config/config.ts";
import { reply } from "../../smtp/mod.ts";
import type { Emit } from "../../telemetry/event.ts";
import type {
  FilterAnswer,
  FilteredSession,
  FilteredTransaction,
  FilterInstance,
  RetirableFilter,
  Stage,
} from "../filter.ts";
import { type BodyRoom, createBodyRoom } from "../sieve/body_room.ts";
import { createHookCaller, type HookCaller, type HookWorld } from "./call.ts";
import { requestBody } from "./request.ts";
import { type HookResponse, readResponse } from "./response.ts";

/** What hooks need. */
export interface HookFilterWorld extends HookWorld {
  readonly emit: Emit;
}

/** Octets of messages in memory in calls of one hook at the same time; a larger one is called about alone. */
const ROOM = 32 * 1024 * 1024;

interface Engine {
  readonly config: HookConfig;
  readonly caller: HookCaller;
  readonly room: BodyRoom;
  readonly emit: Emit;
}

/** Makes the filter of a hook. */
export function createHookFilter(config: HookConfig, world: HookFilterWorld): RetirableFilter {
  const engine: Engine = {
    config,
    caller: createHookCaller(config, world),
    room: createBodyRoom(ROOM),
    emit: world.emit,
  };
  const { enable } = config;
  return {
    id: config.id,
    kind: "hook",
    stages: config.stages,
    ...(enable.isConstant ? {} : { enabled: (session) => enable.evaluate(session.scope) }),
    open: (session, connections) => openHook(engine, session, connections),
    retire: () => engine.caller.close(),
  };
}

const ACCEPT: FilterAnswer = { verdict: { kind: "accept" } };

function openHook(engine: Engine, session: FilteredSession, connections: () => number): FilterInstance {
  let ptr: string | undefined;
  return {
    async judge(stage, transaction) {
      ptr ??= (await session.authResults?.())?.iprev?.name ?? "";
      const content = transaction?.message?.content;
      const leave = await engine.room.enter(content?.complete === true ? content.size : 0);
      let response: HookResponse | string;
      try {
        const body = await requestBody({ stage, session, transaction, ptr, connections: connections() });
        response = readResponse(await engine.caller.post(body), transaction);
      } catch (error) {
        response = error instanceof Error ? error.message : String(error);
      } finally {
        leave();
      }
      return typeof response === "string"
        ? failed(engine, session, stage, response)
        : answerOf(engine, session, stage, transaction, response);
    },
  };
}

function failed({ config, emit }: Engine, session: FilteredSession, stage: Stage, reason: string): FilterAnswer {
  emit("mta-hook.error", { session: session.id, filter: config.id, stage, reason });
  if (!config.tempfailOnError) return ACCEPT;
  // RFC 5321 §4.2.4.2: a greeting that may be another one later has the code 421.
  const code = stage === "connect" ? 421 : 451;
  return { verdict: { kind: "reply", reply: reply(code, "4.7.1", "A filter cannot be asked now, try again later") } };
}

function answerOf(
  { config, emit }: Engine,
  session: FilteredSession,
  stage: Stage,
  transaction: FilteredTransaction | undefined,
  response: HookResponse,
): FilterAnswer {
  const { action, disconnect, modifications, problems } = response;
  const fields = { session: session.id, filter: config.id, stage, id: transaction?.message?.id };
  for (const reason of problems) {
    emit("smtp.filter-error", { session: session.id, filter: config.id, kind: "hook", reason });
  }
  if (action === "reject") {
    const { code, text, enhanced } = response.reply;
    emit("mta-hook.action-reject", { ...fields, code, reason: text.join(" ") });
    // RFC 5321 §3.1: a greeting that refuses.
    const greeting = stage !== "connect" ? code : code >= 500 ? 554 : 421;
    return {
      verdict: {
        kind: "reply",
        reply: reply(greeting, enhanced ?? "", ...text),
        ...(disconnect ? { disconnect } : {}),
      },
    };
  }
  emit(`mta-hook.action-${action}`, {
    ...fields,
    ...(modifications.length === 0 ? {} : { changes: modifications.map(({ kind }) => kind) }),
  });
  return { verdict: { kind: action }, modifications };
}
