/** The content of a message as a milter is told it, and what it answers at its end. */

import type { FilteredMessage, FilteredTransaction } from "../filter.ts";
import { changeList, type Changes } from "./changes.ts";
import { fieldPackets } from "./header.ts";
import type { MilterLink } from "./link.ts";
import { COMMAND, type MacroStage, packet, STEP } from "./protocol.ts";
import type { Decision } from "./verdict.ts";

/** What came of a message. */
export interface MessageOutcome {
  /** Whether the filter was told of the end of the message and has answered. */
  readonly complete: boolean;
  /** Absent if there is nothing against the message. */
  readonly decision?: Decision;
  /** What it asked for at the end. */
  readonly changes?: Changes;
}

const DATA = packet(COMMAND.data);
const END_OF_HEADER = packet(COMMAND.endOfHeader);
const END_OF_MESSAGE = packet(COMMAND.endOfMessage);

/** First version of the protocol that has the command DATA. */
const DATA_SINCE = 4;
/** Most answers that are outstanding; well below what fits into the buffers of a connection. */
const WINDOW = 1000;
/** Octets sent before answers are read. */
const WINDOW_SIZE = 65_536;

/**
 * Tells DATA, header, body and the end, as far as the filter wants them.
 *
 * Commands are sent without waiting for each answer, which makes one exchange of most messages. A filter reads them one
 * by one all the same; when it decides early, what was sent behind is not answered by libmilter, and by others perhaps.
 * The connection is then closed.
 *
 * @param macros makes the packet with the macros of a command
 * @throws {MilterTrouble} (rejects)
 */
export async function sendMessage(
  link: MilterLink,
  transaction: FilteredTransaction,
  message: FilteredMessage,
  macros: (command: number, stage: MacroStage) => Uint8Array,
): Promise<MessageOutcome> {
  const endMacros = macros(COMMAND.endOfMessage, "endOfMessage");
  link.nudge = endMacros;
  try {
    return await tell(link, transaction, message, { macros, endMacros });
  } finally {
    link.nudge = undefined;
  }
}

async function tell(
  link: MilterLink,
  transaction: FilteredTransaction,
  message: FilteredMessage,
  { macros, endMacros }: {
    macros(command: number, stage: MacroStage): Uint8Array;
    readonly endMacros: Uint8Array;
  },
): Promise<MessageOutcome> {
  const { steps } = link;
  const leadingSpace = (steps & STEP.leadingSpace) !== 0;
  const { packets, bodyOffset } = fieldPackets(message.content.head, leadingSpace);
  const answers = createAnswers(link);
  const wants = (step: number) => (steps & step) === 0;
  link.begin();
  if (link.version >= DATA_SINCE) {
    link.put(macros(COMMAND.data, "data"));
    if (wants(STEP.noData)) answers.put(DATA, wants(STEP.noReplyData));
  }
  if (wants(STEP.noHeaders)) {
    for (const bytes of packets) {
      answers.put(bytes, wants(STEP.noReplyHeader));
      if (answers.full) await answers.collect();
      if (answers.decision !== undefined || answers.skipped) break;
    }
  }
  if (answers.decision === undefined) {
    link.put(macros(COMMAND.endOfHeader, "endOfHeader"));
    if (wants(STEP.noEndOfHeader)) answers.put(END_OF_HEADER, wants(STEP.noReplyEndOfHeader));
    if (wants(STEP.noBody)) await sendBody(answers, message, bodyOffset, link.dataSize, wants(STEP.noReplyBody));
  }
  if (answers.decision === undefined) {
    link.put(endMacros);
    link.put(END_OF_MESSAGE);
    answers.sentMore();
    await answers.collect();
  }
  const { decision } = answers;
  if (decision !== undefined) {
    if (!answers.inStep) link.close();
    return { complete: false, decision };
  }
  return await endMessage(link, transaction, leadingSpace);
}

async function sendBody(
  answers: Answers,
  { content }: FilteredMessage,
  offset: number,
  pieceSize: number,
  answered: boolean,
): Promise<void> {
  let skip = offset;
  for await (const chunk of content.chunks()) {
    const from = Math.min(skip, chunk.length);
    skip -= from;
    for (let at = from; at < chunk.length; at += pieceSize) {
      answers.put(packet(COMMAND.body, [chunk.subarray(at, at + pieceSize)]), answered);
      if (answers.full) await answers.collect();
      // What was said to the header before is no word about the body.
      if (answers.decision !== undefined || answers.skipped) return;
    }
  }
}

/** Commands on their way, and what was answered to them. */
interface Answers {
  /** Whether answers should be read before more is sent. */
  readonly full: boolean;
  readonly decision: Decision | undefined;
  /** Whether the last of the answers that were read asks for no more commands of its kind. */
  readonly skipped: boolean;
  /** Whether nothing was sent behind the command that was decided about. */
  readonly inStep: boolean;
  put(bytes: Uint8Array, answered: boolean): void;
  /** Something without an answer of its own was sent. */
  sentMore(): void;
  /** Sends what waits and reads what is to be answered. */
  collect(): Promise<void>;
}

function createAnswers(link: MilterLink): Answers {
  let outstanding = 0;
  let size = 0;
  let trailing = false;
  let decision: Decision | undefined;
  let skipped = false;
  return {
    get full() {
      return outstanding >= WINDOW || size >= WINDOW_SIZE;
    },
    get decision() {
      return decision;
    },
    get skipped() {
      return skipped;
    },
    get inStep() {
      return outstanding === 0 && !trailing;
    },
    put(bytes, answered) {
      link.put(bytes);
      size += bytes.length;
      skipped = false;
      if (answered) outstanding++;
      trailing = !answered;
    },
    sentMore: () => trailing = true,
    async collect() {
      size = 0;
      skipped = false;
      if (outstanding === 0) return await link.flush();
      while (outstanding > 0 && decision === undefined) {
        const answer = await link.answer();
        if (answer.kind === "change") {
          if (answer.change.kind === "quarantine") continue;
          throw link.fail(
            "milter.unexpected-response",
            `it asks for a change (${answer.change.kind}) before the end of the message`,
          );
        }
        outstanding--;
        skipped = answer.kind === "skip";
        if (answer.kind !== "continue" && answer.kind !== "skip") decision = answer;
      }
    },
  };
}

async function endMessage(
  link: MilterLink,
  transaction: FilteredTransaction,
  leadingSpace: boolean,
): Promise<MessageOutcome> {
  const changes = changeList(transaction, leadingSpace);
  while (true) {
    const answer = await link.answer();
    switch (answer.kind) {
      case "change":
        changes.add(answer.change);
        break;
      case "continue":
        link.renewable = true;
        return { complete: true, changes: changes.result() };
      case "accept":
        return { complete: true, decision: answer, changes: changes.result() };
      case "skip":
        throw link.fail("milter.unexpected-response", "it wants to skip the end of the message");
      default:
        return { complete: true, decision: answer };
    }
  }
}
