/** Looks into the Maildirs below a folder, for the status page of a development server. Reads only. */

import { decodeBase64Url, encodeBase64Url } from "./base64url.ts";
import { summarizeMail } from "./mail_reader.ts";

/** Bounds of a search: depth of folders, number of Maildirs, of files in one, and octets read of a message. */
const DEEPEST = 8;
const MOST_MAILDIRS = 1000;
const MOST_FILES = 10_000;
const LARGEST_MESSAGE = 8 * 1024 * 1024;
const LARGEST_HEADER = 64 * 1024;

/** Summaries that are kept: a file of a Maildir does not change. */
const MOST_SUMMARIES = 1000;

/** A Maildir. */
export interface MailboxView {
  /** For use in a URL. */
  readonly id: string;
  /** Path below the root, such as `example.net/ana`. */
  readonly name: string;
  readonly messages: number;
}

/** One message in a Maildir. */
export interface MailSummary {
  /** Id of the mailbox, and of the message in it. */
  readonly mailbox: string;
  readonly id: string;
  /** Path of the mailbox below the root. */
  readonly mailboxName: string;
  /** When it was delivered, ISO 8601. */
  readonly delivered: string;
  /** Octets. */
  readonly size: number;
  /** Decoded header text, untrusted. */
  readonly from: string;
  readonly to: string;
  readonly subject: string;
}

/** Mailboxes that may be looked into. */
export interface Mailboxes {
  /** All mailboxes by name. */
  list(): Promise<readonly MailboxView[]>;
  /** The latest messages of all mailboxes, newest first. */
  latest(limit: number): Promise<readonly MailSummary[]>;
  /** A message, cut at 8 MiB; nothing if there is none. */
  read(mailbox: string, message: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

interface Maildir {
  readonly name: string;
  readonly path: string;
}

interface MailFile {
  readonly maildir: Maildir;
  readonly id: string;
  readonly path: string;
  /** Milliseconds since the epoch, from the name; 0 if it does not tell. */
  readonly time: number;
}

/**
 * Opens the Maildirs below `root`, which need not exist yet. Symbolic links are not followed, and nothing outside
 * `root` can be named.
 */
export function openMailboxes(root: string): Mailboxes {
  const summaries = new Map<string, MailSummary>();

  async function maildirs(): Promise<Maildir[]> {
    const found: Maildir[] = [];
    await search({ name: "", path: root }, 0, found);
    return found.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  async function summarize(file: MailFile): Promise<MailSummary | undefined> {
    const kept = summaries.get(file.path);
    if (kept !== undefined) return kept;
    const stat = await unlessMissing(Deno.lstat(file.path));
    const head = await unlessMissing(readStart(file.path, LARGEST_HEADER));
    if (stat === undefined || head === undefined) return undefined;
    const time = file.time || stat.mtime?.getTime() || 0;
    const summary: MailSummary = {
      mailbox: mailboxId(file.maildir.name),
      id: file.id,
      mailboxName: file.maildir.name,
      delivered: new Date(time).toISOString(),
      size: stat.size,
      ...summarizeMail(head),
    };
    summaries.set(file.path, summary);
    const [oldest] = summaries.keys();
    if (summaries.size > MOST_SUMMARIES && oldest !== undefined) summaries.delete(oldest);
    return summary;
  }

  return {
    async list() {
      const views: MailboxView[] = [];
      for (const maildir of await maildirs()) {
        const messages = (await mailFiles(maildir)).length;
        views.push({ id: mailboxId(maildir.name), name: maildir.name, messages });
      }
      return views;
    },

    async latest(limit) {
      const files: MailFile[] = [];
      for (const maildir of await maildirs()) files.push(...await mailFiles(maildir));
      files.sort((a, b) => b.time - a.time || (a.id < b.id ? 1 : -1));
      const found = await Promise.all(files.slice(0, limit).map(summarize));
      return found.filter((summary) => summary !== undefined);
    },

    async read(mailbox, message) {
      const maildir = await maildirOf(root, mailbox);
      if (maildir === undefined) return undefined;
      const file = (await mailFiles(maildir)).find((other) => other.id === message);
      return file === undefined ? undefined : await unlessMissing(readStart(file.path, LARGEST_MESSAGE));
    },
  };
}

/** The root itself is `.`: an id may not be empty. */
function mailboxId(name: string): string {
  return encodeBase64Url(name === "" ? "." : name);
}

async function maildirOf(root: string, id: string): Promise<Maildir | undefined> {
  const name = decodeBase64Url(id);
  if (name === undefined) return undefined;
  if (name === ".") return await isMaildir(root) ? { name: "", path: root } : undefined;
  const segments = name.split("/");
  if (segments.length > DEEPEST + 1) return undefined;
  if (segments.some((segment) => segment === "" || segment === "." || segment === ".." || segment.includes("\0"))) {
    return undefined;
  }
  const path = `${root}/${name}`;
  if (!await isMaildir(path)) return undefined;
  // A link on the way would lead elsewhere.
  const [realRoot, realPath] = await Promise.all([Deno.realPath(root), Deno.realPath(path)]);
  return realPath === `${realRoot}/${name}` ? { name, path } : undefined;
}

async function isMaildir(path: string): Promise<boolean> {
  const [fresh, seen] = await Promise.all([
    unlessMissing(Deno.lstat(`${path}/new`)),
    unlessMissing(Deno.lstat(`${path}/cur`)),
  ]);
  return fresh?.isDirectory === true && seen?.isDirectory === true;
}

async function search(at: Maildir, depth: number, found: Maildir[]): Promise<void> {
  if (depth > DEEPEST) return;
  const folders: string[] = [];
  await unlessMissing((async () => {
    for await (const entry of Deno.readDir(at.path)) {
      if (entry.isDirectory) folders.push(entry.name);
      if (folders.length >= MOST_FILES) break;
    }
  })());
  const isFound = folders.includes("new") && folders.includes("cur");
  if (isFound && found.length < MOST_MAILDIRS) found.push(at);
  for (const folder of folders.sort()) {
    if (found.length >= MOST_MAILDIRS) return;
    if (isFound && (folder === "new" || folder === "cur" || folder === "tmp")) continue;
    const name = at.name === "" ? folder : `${at.name}/${folder}`;
    await search({ name, path: `${at.path}/${folder}` }, depth + 1, found);
  }
}

async function mailFiles(maildir: Maildir): Promise<MailFile[]> {
  const files: MailFile[] = [];
  for (const folder of ["new", "cur"]) {
    await unlessMissing((async () => {
      for await (const entry of Deno.readDir(`${maildir.path}/${folder}`)) {
        if (!entry.isFile || entry.name.startsWith(".")) continue;
        // The name is `unique:info`; `unique` starts with the seconds of its delivery (Maildir by D. J. Bernstein).
        const id = entry.name.split(":", 1)[0] ?? "";
        const seconds = /^(\d{1,12})\./.exec(id)?.[1];
        files.push({
          maildir,
          id,
          path: `${maildir.path}/${folder}/${entry.name}`,
          time: seconds === undefined ? 0 : Number(seconds) * 1000,
        });
        if (files.length >= MOST_FILES) break;
      }
    })());
  }
  return files;
}

async function readStart(path: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path, { read: true });
  const { size } = await file.stat();
  const bytes = new Uint8Array(Math.min(size, most));
  let length = 0;
  while (length < bytes.length) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

/** Files come and go while they are looked at. */
async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (
      error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
      error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotSupported
    ) {
      return undefined;
    }
    throw error;
  }
}
