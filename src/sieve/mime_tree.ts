/** The MIME tree of the message of a run, and the part that a loop is at (RFC 5703 §3). */

import { type MimePart, type MimeTree, parseMime } from "../message/mod.ts";
import { later } from "./later.ts";
import { messageBytes, type SieveMessage } from "./message.ts";
import type { Run } from "./run.ts";

const trees = new WeakMap<SieveMessage, MimeTree>();

/** The whole message as a part. Kept with the message: edits make another one. */
export function mimeRoot(run: Run): MimePart | Promise<MimePart> {
  const { message, limits } = run;
  const known = trees.get(message);
  if (known !== undefined) return known.root;
  return later(messageBytes(message), (bytes) => {
    const tree = parseMime(bytes, { parts: limits.mimeParts, depth: limits.mimeDepth });
    trees.set(message, tree);
    return tree.root;
  });
}
