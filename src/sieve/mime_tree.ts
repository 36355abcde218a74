/** The MIME tree of the message of a run. */

import { allParts, type MimePart, type MimeTree, parseMime } from "../message/mod.ts";
import { later } from "./later.ts";
import { messageBytes, type SieveMessage } from "./message.ts";
import { SieveLimitError } from "./problem.ts";
import { type Run, spend } from "./run.ts";

const trees = new WeakMap<SieveMessage, MimeTree>();

/** The whole message as a part. Kept with the message: edits make another one. */
export function mimeRoot(run: Run): MimePart | Promise<MimePart> {
  const { message, limits } = run;
  const known = trees.get(message);
  if (known !== undefined) return known.root;
  // Boundaries have to be looked for in all of it.
  spend(run, message.size >> 16);
  return later(messageBytes(message), (bytes) => {
    const tree = parseMime(bytes, { parts: limits.mimeParts, depth: limits.mimeDepth });
    trees.set(message, tree);
    return tree.root;
  });
}

/** A part and all that is inside, one instruction each. @throws {SieveLimitError} behind the last part in the limits */
export function* partsIn(run: Run, top: MimePart): Generator<MimePart> {
  for (const part of allParts(top)) {
    spend(run);
    yield part;
  }
  checkParts(run);
}

/**
 * A script must not take the parts within the limits for all that there are.
 *
 * @throws {SieveLimitError} if a message has more parts, or more levels, than are told apart
 */
export function checkParts(run: Run): void {
  if (trees.get(run.message)?.cut !== true) return;
  const { mimeParts, mimeDepth } = run.limits;
  throw new SieveLimitError(`the message has more than ${mimeParts} parts, or more than ${mimeDepth} levels of them`);
}

/** Text of a part; long ones cost more. What is no text of its charset is shown as well as can be. */
export function partText(run: Run, part: MimePart): string {
  spend(run, (part.end - part.contentStart) >> 12);
  return part.text();
}

/** Text of a part; undefined if its charset is not known, or its octets are none of it. */
export function faithfulText(run: Run, part: MimePart): string | undefined {
  spend(run, (part.end - part.contentStart) >> 12);
  const charset = part.contentType.parameters.get("charset")?.trim().toLowerCase() ?? "";
  try {
    // What says it is ASCII, or nothing, is UTF-8 as often.
    return new TextDecoder(charset === "" || charset === "us-ascii" ? "utf-8" : charset, { fatal: true })
      .decode(part.content());
  } catch {
    return undefined;
  }
}
