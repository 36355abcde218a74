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

const END_OF_HEADER = packet(COMMAND.endOfHeader);
const END_OF_MESSAGE = packet(COMMAND.endOfMessage);

/**
 * Tells header and body, as far as the filter wants them.
 *
 * @param putMacros puts the macros of a command before it
 * @throws {MilterTrouble} (rejects)
 */
export async function sendMessage(
  link: MilterLink,
  transaction: FilteredTransaction,
  message: FilteredMessage,
  putMacros: (command: number, stage: MacroStage) => void,
): Promise<MessageOutcome> {
  const { steps } = link;
  const leadingSpace = (steps & STEP.leadingSpace) !== 0;
  const { packets, bodyOffset } = fieldPackets(message.content.head, leadingSpace);
  if ((steps & STEP.noHeaders) === 0) {
    const decision = await sendAll(link, packets, (steps & STEP.noReplyHeader) !== 0);
    if (decision !== undefined) return { complete: false, decision };
  }
  putMacros(COMMAND.endOfHeader, "endOfHeader");
  if ((steps & STEP.noEndOfHeader) === 0) {
    const decision = await sendAll(link, [END_OF_HEADER], (steps & STEP.noReplyEndOfHeader) !== 0);
    if (decision !== undefined) return { complete: false, decision };
  }
  putMacros(COMMAND.endOfMessage, "endOfMessage");
  if ((steps & STEP.noBody) === 0) {
    const pieces = bodyPackets(message, bodyOffset, link.dataSize);
    const decision = await sendAll(link, pieces, (steps & STEP.noReplyBody) !== 0);
    if (decision !== undefined) return { complete: false, decision };
  }
  return await endMessage(link, transaction, leadingSpace);
}

/** Sends packets of one kind, until the filter has decided or wants no more of them. */
async function sendAll(
  link: MilterLink,
  packets: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  silent: boolean,
): Promise<Decision | undefined> {
  for await (const bytes of packets) {
    link.begin();
    link.put(bytes);
    if (silent) {
      await link.drain();
      continue;
    }
    const decision = await decisionOf(link);
    if (decision === "skip") return undefined;
    if (decision !== undefined) return decision;
  }
  return undefined;
}

async function decisionOf(link: MilterLink): Promise<Decision | "skip" | undefined> {
  while (true) {
    const answer = await link.answer();
    if (answer.kind === "continue") return undefined;
    if (answer.kind === "skip") return "skip";
    if (answer.kind !== "change") return answer;
    if (answer.change.kind !== "quarantine") {
      throw link.fail(
        "milter.unexpected-response",
        `it asks for a change (${answer.change.kind}) before the end of the message`,
      );
    }
  }
}

async function endMessage(
  link: MilterLink,
  transaction: FilteredTransaction,
  leadingSpace: boolean,
): Promise<MessageOutcome> {
  link.begin();
  link.put(END_OF_MESSAGE);
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

/** The body in pieces that fit into packets. */
async function* bodyPackets(
  { content }: FilteredMessage,
  offset: number,
  pieceSize: number,
): AsyncIterable<Uint8Array> {
  let skip = offset;
  for await (const chunk of content.chunks()) {
    const from = Math.min(skip, chunk.length);
    skip -= from;
    for (let at = from; at < chunk.length; at += pieceSize) {
      yield packet(COMMAND.body, [chunk.subarray(at, at + pieceSize)]);
    }
  }
}
