/**
 * What was said in the last attempts that failed, kept apart from the recipients: their rows are read and written at
 * every claim, and have to stay small.
 */

import type { DialogueLine } from "../smtp/mod.ts";
import type { SqlValue, Statement, Store } from "../store/mod.ts";
import type { MessageId } from "./types.ts";

/** Name of the entry of history that holds what was said in the attempt that failed for good. */
export const DIALOGUE = "dialogue";

// A recipient that is gone keeps nothing.
const KEEP = "INSERT INTO dialogues (message, seq, lines) SELECT ?1, ?2, ?3 WHERE EXISTS " +
  "(SELECT 1 FROM recipients WHERE message = ?1 AND seq = ?2) " +
  "ON CONFLICT (message, seq) DO UPDATE SET lines = excluded.lines";
const DROP = "DELETE FROM dialogues WHERE message = ? AND seq = ?";
/** Drops all dialogues of a message, ?1. */
export const DROP_ALL = "DELETE FROM dialogues WHERE message = ?";
/** Drops those of recipients that are gone, of the messages in ?1, a JSON list. */
export const DROP_ORPHANS = "DELETE FROM dialogues WHERE message IN (SELECT value FROM json_each(?1)) AND NOT EXISTS " +
  "(SELECT 1 FROM recipients r WHERE r.message = dialogues.message AND r.seq = dialogues.seq)";
const READ = "SELECT seq, lines FROM dialogues WHERE message = ?";

/** The statements after an attempt that failed for now. Most attempts are the first, and leave nothing to drop. */
export function dialogueStatements(
  message: MessageId,
  { seq, attempts }: { readonly seq: number; readonly attempts: number },
  dialogue: readonly DialogueLine[] | undefined,
): readonly Statement[] {
  if (dialogue !== undefined && attempts > 0) return [{ sql: KEEP, args: [message, seq, toColumn(dialogue)] }];
  return attempts > 1 ? [dropDialogue(message, seq)] : [];
}

/** The statement for a recipient that leaves the queue after attempts that failed. */
export function dropDialogue(message: MessageId, seq: number): Statement {
  return { sql: DROP, args: [message, seq] };
}

/**
 * The dialogues of a message's recipients, by `seq`.
 *
 * @throws {StoreUnavailable} if the store is unavailable
 */
export async function readDialogues(
  store: Store,
  message: MessageId,
): Promise<ReadonlyMap<number, readonly DialogueLine[]>> {
  const { rows } = await store.read(READ, [message]);
  return new Map(rows.map(([seq, lines]) => [Number(seq), fromColumn(lines ?? null)]));
}

const SPEAKERS: readonly DialogueLine["from"][] = ["client", "server", "note"];

/** A dialogue in few characters, JSON: time, number of the speaker and text of each line. */
export function toColumn(dialogue: readonly DialogueLine[]): string {
  return JSON.stringify(dialogue.map(({ at, from, text }) => [at, SPEAKERS.indexOf(from), text]));
}

/** The dialogue of {@link toColumn}. */
export function fromColumn(column: SqlValue): readonly DialogueLine[] {
  const lines: unknown = typeof column === "string" ? JSON.parse(column) : [];
  return (Array.isArray(lines) ? lines : []).map((line: unknown) => {
    const [at, speaker, text]: readonly unknown[] = Array.isArray(line) ? line : [];
    return { at: Number(at), from: SPEAKERS[Number(speaker)] ?? "note", text: String(text) };
  });
}
