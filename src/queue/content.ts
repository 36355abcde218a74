/** The content of messages: in memory while it arrives and while it is small, in the store beyond that. */

import type { Content } from "../message/content.ts";
import type { Statement, Store } from "../store/mod.ts";
import type { IdSource } from "./message_id.ts";
import type { ContentWriter, SpooledContent } from "./types.ts";

/** Octets of a chunk in the store, and the most that a message's own row holds. */
export const CHUNK = 512 * 1024;
/** Octets that one arriving message may keep in memory. */
export const MEMORY_PER_MESSAGE = 1024 * 1024;

const INSERT_SPILL = "INSERT OR IGNORE INTO spills (blob, node, created) VALUES (?, ?, ?)";
/** Adds one chunk. */
export const INSERT_CHUNK = "INSERT INTO blobs (id, seq, chunk) VALUES (?, ?, ?)";
const DELETE_SPILL = "DELETE FROM spills WHERE blob = ?";
const DELETE_BLOB = "DELETE FROM blobs WHERE id = ?";
const READ_CHUNK = "SELECT chunk FROM blobs WHERE id = ? AND seq = ?";

/** What a {@link ContentWriter} needs. */
export interface WriterContext {
  readonly store: Store;
  readonly ids: IdSource;
  readonly slot: number;
  readonly now: () => number;
}

const spilled = new WeakMap<Content, number>();

/** Id of the spilled part of a content, undefined if it is all in memory. */
export function spilledPart(content: Content): number | undefined {
  return spilled.get(content);
}

/** Removes the spilled part `blob` that is not in the queue. */
export function dropSpill(blob: number): Statement[] {
  return [{ sql: DELETE_BLOB, args: [blob] }, { sql: DELETE_SPILL, args: [blob] }];
}

/** No content at all. */
export const EMPTY: Content = { size: 0, head: new Uint8Array(0), complete: true, chunks: () => [] };

/** Content that is all in memory. */
export function contentOf(bytes: Uint8Array): SpooledContent {
  return {
    size: bytes.length,
    head: bytes,
    complete: true,
    chunks: () => [bytes],
    withHead: contentOf,
    discard() {},
  };
}

/** Content whose chunks after `head` are in the store as `blob`. */
export function storedContent(store: Store, size: number, head: Uint8Array, blob: number): Content {
  const content: Content = {
    size,
    head,
    complete: false,
    chunks: () => readChunks(store, head, blob, size),
  };
  spilled.set(content, blob);
  return content;
}

async function* readChunks(store: Store, head: Uint8Array, blob: number, size: number): AsyncGenerator<Uint8Array> {
  yield head;
  let left = size - head.length;
  for (let seq = 0; left > 0; seq++) {
    const chunk = (await store.read(READ_CHUNK, [blob, seq])).rows[0]?.[0];
    if (!(chunk instanceof Uint8Array)) throw new Error("content of a queued message is missing in the store");
    left -= chunk.length;
    yield chunk;
    // Given back at once: the garbage collector would let a hundred of them pile up.
    if (chunk.buffer instanceof ArrayBuffer && chunk.length === chunk.buffer.byteLength) chunk.buffer.transfer(0);
  }
}

/** Starts taking the content of one message. */
export function createContentWriter(context: WriterContext): ContentWriter {
  const { store, ids, slot, now } = context;
  // Until the first spill everything is in `buffer`; then `head` is fixed and `buffer` holds the chunk being filled.
  let buffer = new Uint8Array(8 * 1024);
  let used = 0;
  let head: Uint8Array | undefined;
  let size = 0;
  let blob: number | undefined;
  let seq = 0;
  let writing: Promise<void> | undefined;
  // A chunk's buffer that the store is done with.
  let spare: Uint8Array<ArrayBuffer> | undefined;
  let failure: unknown;
  let ended = false;
  let aborted = false;

  const room = (wanted: number, most: number) => {
    if (wanted <= buffer.length) return;
    const larger = new Uint8Array(Math.min(most, Math.max(wanted, buffer.length * 2)));
    larger.set(buffer.subarray(0, used));
    buffer = larger;
  };

  const spill = (chunk: Uint8Array<ArrayBuffer>) => {
    const previous = writing;
    writing = (async () => {
      await previous;
      if (failure !== undefined || aborted) return;
      const id = blob ??= ids.next();
      const statements: Statement[] = [{ sql: INSERT_CHUNK, args: [id, seq, chunk] }];
      if (seq === 0) statements.unshift({ sql: INSERT_SPILL, args: [id, slot, now()] });
      seq++;
      try {
        await store.write(statements, { undo: () => dropSpill(id) });
        if (chunk.length === CHUNK && chunk.byteOffset === 0) spare = chunk;
      } catch (error) {
        failure = error;
      }
    })();
    return writing;
  };

  const drop = () => {
    ended = true;
    aborted = true;
    void (async () => {
      await writing;
      if (blob !== undefined) await store.write(dropSpill(blob)).catch(() => undefined);
    })();
  };

  const stored = (first: Uint8Array, id: number, rest: number): SpooledContent => {
    const content = storedContent(store, first.length + rest, first, id);
    const spooled: SpooledContent = {
      ...content,
      withHead: (other) => stored(other, id, rest),
      discard: () => void store.write(dropSpill(id)).catch(() => undefined),
    };
    spilled.set(spooled, id);
    return spooled;
  };

  return {
    get size() {
      return size;
    },
    write(bytes) {
      if (ended) return;
      size += bytes.length;
      let at = 0;
      let wait: Promise<void> | undefined;
      while (at < bytes.length) {
        const most = head === undefined ? MEMORY_PER_MESSAGE : CHUNK;
        const part = Math.min(bytes.length - at, most - used);
        room(used + part, most);
        buffer.set(bytes.subarray(at, at + part), used);
        used += part;
        at += part;
        if (used === most && (at < bytes.length || head !== undefined)) {
          if (head === undefined) {
            head = buffer.slice(0, CHUNK);
            wait = spill(buffer.subarray(CHUNK));
          } else {
            wait = spill(buffer);
          }
          buffer = spare ?? new Uint8Array(CHUNK);
          spare = undefined;
          used = 0;
        }
      }
      return wait;
    },
    async finish() {
      ended = true;
      if (head === undefined) {
        const content = contentOf(buffer.subarray(0, used));
        buffer = new Uint8Array(0);
        return content;
      }
      if (used > 0) void spill(buffer.subarray(0, used));
      buffer = new Uint8Array(0);
      await writing;
      if (failure !== undefined || blob === undefined) {
        drop();
        throw failure ?? new Error("spilled content without an id");
      }
      return stored(head, blob, size - head.length);
    },
    abort() {
      buffer = new Uint8Array(0);
      drop();
    },
  };
}

const READ_BODY = "SELECT body FROM messages WHERE id = ?";

/**
 * The content of a queued message, read back.
 *
 * @throws {StoreUnavailable} if the store is unavailable
 * @throws {Error} if the message is gone
 */
export async function loadContent(
  store: Store,
  message: { readonly id: number; readonly size: number; readonly blob: number | undefined },
): Promise<Content> {
  const body = (await store.read(READ_BODY, [message.id])).rows[0]?.[0];
  if (!(body instanceof Uint8Array)) throw new Error("the message is not in the store");
  return message.blob === undefined ? contentOf(body) : storedContent(store, message.size, body, message.blob);
}
