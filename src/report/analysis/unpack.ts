/** Archives undone piece by piece: gzip (RFC 1952) and zip, in each other, never more at once than a piece. */

import { Gunzip, Unzip, UnzipInflate } from "fflate";
import { DEEPEST_ARCHIVE, INPUT_SLICE, MOST_FILES, MOST_RATIO, MOST_UNPACKED, UNPACKED_FREELY } from "./limits.ts";

/** An archive that cannot or must not be unpacked; the message is for people. */
export class UnpackError extends Error {
  override readonly name = "UnpackError";
}

/** Takes the bytes of one document in order. */
export interface DocumentSink {
  write(bytes: Uint8Array): void;
  end(): void;
}

/** What is unpacked from one mail, all of it together. */
export interface Budget {
  unpacked: number;
  files: number;
}

/** Nothing unpacked yet. */
export function createBudget(): Budget {
  return { unpacked: 0, files: 0 };
}

/**
 * A sink that undoes whatever archive it is fed and opens a document for each file in it; bytes that are no archive are
 * one document.
 *
 * @param open makes the sink of a document, given the name of the file in the archive, `""` if it has none
 * @throws {UnpackError} (`write` and `end`) if an archive is broken, too deep or too large
 */
export function unpacker(open: (name: string) => DocumentSink, budget: Budget, name = "", depth = 0): DocumentSink {
  let head = new Uint8Array(0);
  let inner: DocumentSink | undefined;
  const begin = (): DocumentSink => {
    const kind = archiveKind(head);
    if (kind === undefined) return open(name);
    if (depth >= DEEPEST_ARCHIVE) throw new UnpackError(`more than ${DEEPEST_ARCHIVE} archives in each other`);
    const next = (inside: string) => unpacker(open, budget, inside, depth + 1);
    return sliced(kind === "gzip" ? gzipSink(next, budget, name) : zipSink(next, budget));
  };
  return {
    write(bytes) {
      if (inner !== undefined) return inner.write(bytes);
      const joined = new Uint8Array(head.length + bytes.length);
      joined.set(head);
      joined.set(bytes, head.length);
      head = joined;
      if (head.length < 4) return;
      inner = begin();
      inner.write(head);
      head = new Uint8Array(0);
    },
    end() {
      if (inner === undefined) {
        inner = begin();
        if (head.length > 0) inner.write(head);
      }
      inner.end();
    },
  };
}

/** Whether bytes begin like an archive. */
export function archiveKind(bytes: Uint8Array): "gzip" | "zip" | undefined {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return "gzip";
  return bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5) ? "zip" : undefined;
}

/** Feeds an archive in slices, so that one slice never unpacks to more than a megabyte. */
function sliced(sink: DocumentSink): DocumentSink {
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; at += INPUT_SLICE) sink.write(bytes.subarray(at, at + INPUT_SLICE));
    },
    end: () => sink.end(),
  };
}

/** Counts what comes out of an archive against what went in. */
function meter(budget: Budget) {
  let packed = 0;
  let unpacked = 0;
  return {
    took(octets: number) {
      packed += octets;
    },
    gave(octets: number) {
      unpacked += octets;
      budget.unpacked += octets;
      if (budget.unpacked > MOST_UNPACKED) {
        throw new UnpackError(`more than ${MOST_UNPACKED} octets unpacked`);
      }
      if (unpacked > UNPACKED_FREELY + packed * MOST_RATIO) {
        throw new UnpackError(`it unpacks to more than ${MOST_RATIO} times its size`);
      }
    },
  };
}

function count(budget: Budget): void {
  if (++budget.files > MOST_FILES) throw new UnpackError(`more than ${MOST_FILES} files`);
}

function gzipSink(next: (name: string) => DocumentSink, budget: Budget, name: string): DocumentSink {
  const metered = meter(budget);
  count(budget);
  // A file name of its own is rarely there, and never better than that of the attachment.
  const target = next(name.replace(/\.gz(?:ip)?$/i, ""));
  let some = false;
  let ended = false;
  const gunzip = new Gunzip((bytes, final) => {
    metered.gave(bytes.length);
    some ||= bytes.length > 0;
    if (bytes.length > 0) target.write(bytes);
    ended ||= final;
  });
  const push = (bytes: Uint8Array, final: boolean) => {
    if (ended) return;
    try {
      gunzip.push(bytes, final);
    } catch (error) {
      // What follows a whole member and is no other one: line ends of an encoder, mostly.
      if (some && isLibraryError(error) && error.code === NOT_GZIP) ended = true;
      else throw translated(error);
    }
  };
  return {
    write(bytes) {
      metered.took(bytes.length);
      push(bytes, false);
    },
    end() {
      push(new Uint8Array(0), true);
      if (!ended) throw new UnpackError("the archive ends early");
      if (!some) throw new UnpackError("the archive is empty");
      target.end();
    },
  };
}

function zipSink(next: (name: string) => DocumentSink, budget: Budget): DocumentSink {
  const metered = meter(budget);
  let open = 0;
  let files = 0;
  let failure: unknown;
  const unzip = new Unzip((file) => {
    count(budget);
    files++;
    // A folder, and what some systems add for themselves.
    if (file.name.endsWith("/") || /(?:^|\/)(?:__MACOSX\/|\._)/.test(file.name)) return;
    const target = next(file.name);
    open++;
    file.ondata = (error, bytes, final) => {
      if (failure !== undefined) return;
      try {
        if (error !== null) throw error;
        metered.gave(bytes.length);
        if (bytes.length > 0) target.write(bytes);
        if (!final) return;
        open--;
        target.end();
      } catch (thrown) {
        failure = thrown;
      }
    };
    file.start();
  });
  unzip.register(UnzipInflate);
  const feed = (bytes: Uint8Array, final: boolean) => {
    metered.took(bytes.length);
    try {
      unzip.push(bytes, final);
    } catch (error) {
      failure ??= error;
    }
    if (failure !== undefined) throw translated(failure);
  };
  return {
    write: (bytes) => feed(bytes, false),
    end() {
      feed(new Uint8Array(0), true);
      if (open > 0) throw new UnpackError("the archive ends early");
      if (files === 0) throw new UnpackError("the archive holds no file");
    },
  };
}

/** The library's code for bytes that are no gzip. */
const NOT_GZIP = 6;

function isLibraryError(error: unknown): error is Error & { readonly code: number } {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}

/** Errors of the library become ours; those of who takes the documents stay. */
function translated(error: unknown): unknown {
  return isLibraryError(error) ? new UnpackError(`the archive is broken (${error.message})`) : error;
}
