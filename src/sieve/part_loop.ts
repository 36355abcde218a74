/** Where the loops over the parts of a message are (RFC 5703 §3), also when the message changes under them. */

import type { MimePart } from "../message/mod.ts";
import { later } from "./later.ts";
import { mimeRoot } from "./mime_tree.ts";
import { type Run, slot } from "./run.ts";

/** A loop. Its place is kept as a path, because a changed message has other parts in the same places. */
interface Loop {
  /** The part it goes through, and the parts from there down to the one it is at. Empty before the first turn. */
  parts: MimePart[];
  /** The places of these parts: index of each among the children of the one before, the first from the root. */
  top: readonly number[];
  path: number[];
  /** Whether the part it is at has just been replaced: what is inside now is no part of the loop. */
  replaced: boolean;
}

/** The open loops, the innermost last. */
const loops: { readonly initial: () => Loop[] } = { initial: () => [] };

/** How many loops are open. */
export function loopDepth(run: Run): number {
  return slot(run, loops).length + slot(run, hidden).depth;
}

/** The part that the innermost loop is at; undefined outside of all. */
export function partOf(run: Run): MimePart | undefined {
  return slot(run, loops).at(-1)?.parts.at(-1);
}

/** The place of that part in the message as it is now, from the root. */
export function placeOf(run: Run): readonly number[] | undefined {
  const loop = slot(run, loops).at(-1);
  return loop === undefined ? undefined : [...loop.top, ...loop.path];
}

/** How many loops are open around those in {@link loops}. */
const hidden: { readonly initial: () => { depth: number } } = { initial: () => ({ depth: 0 }) };

/**
 * Shuts the loops away: what runs until the answer is called takes `root` for the whole message, and is at it in a loop
 * (RFC 6609 §3.5), so that a loop there goes through what is inside.
 *
 * @returns brings the loops back
 */
export function asWhole(run: Run, root: MimePart): () => void {
  const open = slot(run, loops);
  const around = slot(run, hidden);
  const shut = open.splice(0, open.length, { parts: [root], top: [], path: [], replaced: false });
  around.depth += shut.length - 1;
  return () => {
    open.splice(0, open.length, ...shut);
    around.depth -= shut.length - 1;
  };
}

/** A loop begins, through the message or through what is inside the part of the loop around it. */
export function enterLoop(run: Run): void {
  slot(run, loops).push({ parts: [], top: placeOf(run) ?? [], path: [], replaced: false });
}

export function leaveLoop(run: Run): void {
  slot(run, loops).pop();
}

/** Goes to the next part. @returns false if there is none */
export function nextPart(run: Run): boolean | Promise<boolean> {
  const open = slot(run, loops);
  const loop = open.at(-1);
  if (loop === undefined) return false;
  if (loop.parts.length > 0) return advance(loop);
  const outer = open.at(-2);
  const part = outer?.parts.at(-1);
  if (outer !== undefined && part !== undefined) {
    loop.parts.push(part);
    loop.replaced = outer.replaced;
    return advance(loop);
  }
  return later(mimeRoot(run), (root) => {
    loop.parts.push(root);
    return true;
  });
}

/** The next part in the order of the message. */
function advance(loop: Loop): boolean {
  const { parts, path } = loop;
  const first = loop.replaced ? undefined : parts.at(-1)?.children[0];
  loop.replaced = false;
  if (first !== undefined) {
    parts.push(first);
    path.push(0);
    return true;
  }
  for (let index = path.pop(); index !== undefined; index = path.pop()) {
    parts.pop();
    const next = parts.at(-1)?.children[index + 1];
    if (next === undefined) continue;
    parts.push(next);
    path.push(index + 1);
    return true;
  }
  return false;
}

/** The parts of a loop in a message whose structure changed; what is no longer there is left. */
function refresh(loop: Loop, root: MimePart): void {
  const top = partAt(root, loop.top);
  loop.parts = top === undefined ? [] : [top];
  let part = top;
  for (const [depth, index] of loop.path.entries()) {
    part = part?.children[index];
    if (part === undefined) {
      loop.path.length = depth;
      break;
    }
    loop.parts.push(part);
  }
}

/** The part at a place; undefined if there is none. */
export function partAt(root: MimePart, place: readonly number[]): MimePart | undefined {
  let part: MimePart | undefined = root;
  for (const index of place) part = part?.children[index];
  return part;
}

/** The part at this place of the message has just been changed: loops that are at it do not go into what it was. */
export function partReplaced(run: Run, place: readonly number[]): void | Promise<void> {
  const open = slot(run, loops);
  for (const loop of open) {
    const at = [...loop.top, ...loop.path];
    if (at.length === place.length && at.every((index, depth) => index === place[depth])) loop.replaced = true;
  }
  if (open.length > 0) return later(mimeRoot(run), (root) => open.forEach((loop) => refresh(loop, root)));
}

/** The message has just been put into another one, at this place. Loops go on there. */
export function messageEnclosed(run: Run, place: readonly number[]): void | Promise<void> {
  const open = slot(run, loops);
  for (const loop of open) loop.top = [...place, ...loop.top];
  if (open.length > 0) return later(mimeRoot(run), (root) => open.forEach((loop) => refresh(loop, root)));
}
