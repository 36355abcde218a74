/** What becomes of a milter's decisions. */

import { type Reply, reply } from "../../smtp/mod.ts";
import type { EventName } from "../../telemetry/event.ts";
import type { Stage, Verdict } from "../filter.ts";
import type { Answer } from "./answer.ts";

/** An answer that decides. */
export type Decision = Extract<
  Answer,
  {
    kind:
      | "accept"
      | "discard"
      | "reject"
      | "temporary-failure"
      | "shutdown"
      | "connection-failure"
      | "reply";
  }
>;

/** A verdict with the event that tells of it. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly event: EventName;
}

/** The words of this server for a decision of a filter at a stage of the session. */
export function judgementOf(decision: Decision, stage: Stage): Judgement {
  switch (decision.kind) {
    case "accept":
      return { verdict: { kind: "accept" }, event: "milter.action-accept" };
    case "discard":
      return { verdict: { kind: "discard" }, event: "milter.action-discard" };
    case "reject":
      return refused(reply(550, "5.7.1", REJECTED[stage]), stage, "milter.action-reject");
    case "temporary-failure":
      return refused(reply(451, "4.7.1", "Try again later"), stage, "milter.action-temp-fail");
    case "shutdown":
      return closing("Closing, try again later", "milter.action-shutdown");
    case "connection-failure":
      return closing("Closing, connection failure", "milter.action-connection-failure");
    case "reply":
      return refused(decision.reply, stage, "milter.action-reply-code");
  }
}

const REJECTED: Readonly<Record<Stage, string>> = {
  connect: "Connection refused",
  ehlo: "Command refused",
  mail: "Sender refused",
  rcpt: "Recipient refused",
  data: "Message refused",
};

/** What a client hears if a filter cannot be asked. */
export function unavailable(stage: Stage): Verdict {
  const said = reply(451, "4.7.1", "A mail filter cannot be asked now, try again later");
  return { kind: "reply", reply: stage === "connect" ? asGreeting(said) : said };
}

function refused(said: Reply, stage: Stage, event: EventName): Judgement {
  return { verdict: { kind: "reply", reply: stage === "connect" ? asGreeting(said) : said }, event };
}

function closing(text: string, event: EventName): Judgement {
  return { verdict: { kind: "reply", reply: reply(421, "4.7.0", text), disconnect: true }, event };
}

/** RFC 5321 §3.1 and §4.2.4.2: a greeting that refuses has the code 554, or 421 if that may change. */
function asGreeting(said: Reply): Reply {
  return { ...said, code: said.code >= 500 ? 554 : 421 };
}
