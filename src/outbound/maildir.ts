/** Maildir: one file per message, written under `tmp` and moved to `new` when it is safe on disk. */

import { dirname, join } from "node:path";
import type { Clock } from "../clock/mod.ts";
import type { Content } from "../message/content.ts";

/** Where a message goes. */
export interface MaildirPlace {
  /** Path of the Maildir; it is made (mode 0700) if it is not there. */
  readonly maildir: string;
  /** Folder below it, such as `.Lists`; absent for the inbox. */
  readonly folder?: string;
  /** Letters of flags, in order; with any the message is not a new one. */
  readonly flags?: string;
}

/** A message that is on disk, under a name that no reader looks at. */
export interface StagedMessage {
  /** Shows it to readers; the name is on disk when this resolves with the path. @throws {Error} of the file system */
  commit(): Promise<string>;
  /** Removes it again. Never rejects. */
  abort(): Promise<void>;
}

/** Writes messages into Maildirs. */
export interface MaildirWriter {
  /**
   * Delivers one message: the file and its name are on disk when this resolves.
   *
   * @param maildir path of the Maildir; it is made (mode 0700) if it is not there
   * @param top header fields that go before the content, with CRLF at the end of each line
   * @returns path of the file
   * @throws {Error} of the file system; nothing is then left behind
   */
  write(maildir: string, top: Uint8Array, content: Content): Promise<string>;
  /** The first half of {@link write}, for several copies that are to be there together. */
  stage(place: MaildirPlace, top: Uint8Array, content: Content): Promise<StagedMessage>;
}

/**
 * @param host the name of this server, which is part of every file name
 */
export function createMaildirWriter(host: string, clock: Clock): MaildirWriter {
  // "/" and ":" would be read as something else in a file name; the Maildir format escapes them so.
  const safeHost = host.replaceAll("/", "\\057").replaceAll(":", "\\072");
  const known = new Set<string>();
  let count = 0;

  /** A name that no other delivery has: time, process and a number (the Maildir format, "unique names"). */
  const uniqueName = () => {
    const now = clock.now();
    const micros = Math.floor((now % 1000) * 1000);
    return `${Math.floor(now / 1000)}.M${micros}P${Deno.pid}Q${++count}.${safeHost}`;
  };

  const prepare = async (folder: string, mark?: string) => {
    if (known.has(folder)) return;
    for (const sub of ["tmp", "new", "cur"]) await makeFolder(join(folder, sub));
    if (mark !== undefined) await Deno.writeFile(join(folder, mark), new Uint8Array(0), { mode: 0o600 });
    if (known.size >= MOST_KNOWN) known.clear();
    known.add(folder);
  };

  const create = async (path: string, parts: () => Promise<void>): Promise<Deno.FsFile> => {
    await parts();
    try {
      return await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // Somebody removed the folder since.
      known.clear();
      await parts();
      return await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    }
  };

  const stage = async (place: MaildirPlace, top: Uint8Array, content: Content): Promise<StagedMessage> => {
    const { maildir, folder = "", flags = "" } = place;
    const home = folder === "" ? maildir : join(maildir, folder);
    const name = uniqueName();
    const temporary = join(home, "tmp", name);
    const file = await create(temporary, async () => {
      await prepare(maildir);
      if (folder !== "") await prepare(home, FOLDER_MARK);
    });
    const remove = () => Deno.remove(temporary).catch(() => {});
    try {
      try {
        await writeAll(file, top);
        let written = 0;
        for await (const chunk of content.chunks()) {
          await writeAll(file, chunk);
          written += chunk.length;
        }
        if (written !== content.size) throw new Error(`content has ${written} octets instead of ${content.size}`);
        await file.sync();
      } finally {
        file.close();
      }
    } catch (error) {
      // A folder may be gone; the next delivery looks again.
      known.delete(home);
      await remove();
      throw error;
    }
    const size = top.length + content.size;
    // What has flags has been looked at, so to say.
    const final = flags === ""
      ? join(home, "new", `${name},S=${size}`)
      : join(home, "cur", `${name},S=${size}:2,${flags}`);
    return {
      async commit() {
        try {
          await Deno.rename(temporary, final);
        } catch (error) {
          known.delete(home);
          await remove();
          throw error;
        }
        await syncFolder(dirname(final));
        return final;
      },
      abort: remove,
    };
  };

  return {
    stage,
    write: async (maildir, top, content) => await (await stage({ maildir }, top, content)).commit(),
  };
}

/** The empty file that tells folders from Maildirs (Maildir++). */
const FOLDER_MARK = "maildirfolder";

// Folders that are known to exist, so that a delivery does not ask again.
const MOST_KNOWN = 10_000;

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(at === 0 ? bytes : bytes.subarray(at));
}

/** Makes `path` and what is missing above it; each new name is on disk before anything is put into it. */
async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    if (!(error instanceof Deno.errors.NotFound) || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await Deno.mkdir(path, { mode: 0o700 }).catch((again) => {
      if (!(again instanceof Deno.errors.AlreadyExists)) throw again;
    });
  }
  await syncFolder(dirname(path));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await Deno.open(path);
  try {
    await folder.sync();
  } finally {
    folder.close();
  }
}

/**
 * Makes any text safe as one part of a path: what could leave the folder or hide the file is written as `%XX`, and so
 * is `%`, so that different texts stay different.
 */
export function pathPart(text: string): string {
  const safe = text.replace(/[\p{Cc}/\\%]/gu, percent).replace(/^\./, "%2E");
  return safe === "" ? "%" : safe;
}

function percent(character: string): string {
  return `%${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, "0")}`;
}
