/** Delivery into Maildirs on this machine. */

import type { RouteConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import type { RunUserScript, UserDecision } from "../filter/mod.ts";
import { type Content, editHeader, firstField, parseHeader } from "../message/mod.ts";
import { formatMessageId } from "../queue/mod.ts";
import { type QueuedMessage, type QueuedRecipient, StoreUnavailable } from "../queue/types.ts";
import { addressLocal, type FiledCopy, formatPath, unquoteLocalPart } from "../smtp/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { flagLetters, folderOf } from "./mailbox_folder.ts";
import { type MaildirPlace, type MaildirWriter, pathPart, type StagedMessage } from "./maildir.ts";
import { failure, type Verdict } from "./verdict.ts";

/** What local deliveries share. */
export interface LocalContext {
  readonly writer: MaildirWriter;
  readonly emit: Emit;
  /** Whether Delivered-To is written (`session.data.add-headers.delivered-to`). */
  readonly deliveredTo: boolean;
  /** Name of the directory account behind an address, `undefined` if there is none. */
  readonly accountOf: (address: string) => string | undefined | Promise<string | undefined>;
  /** Runs the script of a recipient, if it has one (`queue.route.<id>.sieve`). */
  readonly runScript?: RunUserScript;
}

const encoder = new TextEncoder();

/** Delivers one copy. Does not reject for what the file system or the directory does. */
export async function deliverLocal(
  message: QueuedMessage,
  recipient: QueuedRecipient,
  route: Extract<RouteConfig, { type: "local" }>,
  context: LocalContext,
): Promise<Verdict> {
  try {
    const folder = await pathOf(recipient, route.path, context);
    // RFC 5321 §4.4: final delivery puts the reverse-path at the top.
    let top = `Return-Path: ${formatPath(message.envelope.sender)}\r\n`;
    const to = recipient.parameters.original ?? recipient.address;
    if (context.deliveredTo) top += `Delivered-To: ${formatPath(to).slice(1, -1)}\r\n`;
    const head = encoder.encode(top);
    const { copies, orcpt } = recipient.parameters;
    const decision = route.sieve === undefined ? undefined : await context.runScript?.({
      message,
      address: recipient.address,
      ...(orcpt === undefined ? {} : { originalRecipient: `${orcpt.type};${orcpt.address}` }),
      file: await pathOf(recipient, route.sieve, context),
      mailboxExists: (mailbox) => hasFolder(folder, mailbox),
    });
    if (decision !== undefined) return await deliverDecided(decision, recipient, context.writer, folder, head);
    const content = withoutReturnPath(message.content);
    const path = copies === undefined
      ? await context.writer.write(folder, head, content)
      : await fileAll(context.writer, folder, [{ copies, top: head, content }]);
    return delivered(path);
  } catch (error) {
    if (error instanceof LookupUnavailable) {
      return failure("deferred", "io", "4.3.0", `the directory cannot be asked: ${error.message}`);
    }
    if (error instanceof StoreUnavailable) {
      return failure("deferred", "io", "4.3.0", `the store cannot be used: ${error.message}`);
    }
    const reason = error instanceof Error ? error.message : String(error);
    context.emit("message-ingest.error", { id: formatMessageId(message.id), to: recipient.address, reason });
    return ioFailure(error);
  }
}

function delivered(path: string, text = "delivered"): Verdict {
  return { kind: "delivered", host: path, status: 250, enhanced: "2.0.0", text, dsnRelayed: false };
}

/** Does what the recipient's own script wants. */
async function deliverDecided(
  decision: UserDecision,
  recipient: QueuedRecipient,
  writer: MaildirWriter,
  folder: string,
  top: Uint8Array,
): Promise<Verdict> {
  let done = false;
  try {
    const { refusal, copies = recipient.parameters.copies ?? INBOX, sentCopies } = decision;
    const own: readonly Filing[] = refusal === undefined
      ? [{ copies, top, content: withoutReturnPath(decision.content) }]
      : [];
    const path = await fileAll(writer, folder, [...own, ...sentCopies.map(filingOf)], decision.send);
    done = true;
    if (refusal === undefined) {
      return copies.length === 0 ? delivered("", decision.remark) : delivered(path);
    }
    // RFC 5429 §2.1.1: after the fact, a refusal is a report to the sender.
    return failure("failed", "none", "5.7.1", refusal.replace(/\s+/g, " ").trim() || "refused by the recipient");
  } finally {
    await decision.settled(done);
  }
}

const INBOX: readonly FiledCopy[] = [{}];

/** A message, and where it goes. */
interface Filing {
  readonly copies: readonly FiledCopy[];
  /** Fields of the final delivery. */
  readonly top: Uint8Array;
  readonly content: Content;
}

/** What somebody has sent was not delivered to them. */
function filingOf({ copy, content }: UserDecision["sentCopies"][number]): Filing {
  return { copies: [copy], top: new Uint8Array(0), content };
}

/**
 * Files messages as a script wants them: all are on disk before the first one is shown, so that an attempt that fails
 * leaves none behind. A name that no folder can have means the inbox, where nothing is overlooked.
 *
 * @param before called when all copies are on disk, before the first is shown; if it fails none is
 * @returns path of the first copy, that of the Maildir if there is none
 */
async function fileAll(
  writer: MaildirWriter,
  maildir: string,
  filings: readonly Filing[],
  before?: () => Promise<void>,
): Promise<string> {
  const staged: StagedMessage[] = [];
  const shown: string[] = [];
  try {
    for (const { copies, top, content } of filings) {
      for (const place of placesOf(maildir, copies)) staged.push(await writer.stage(place, top, content));
    }
    await before?.();
    for (const copy of staged) shown.push(await copy.commit());
    return shown[0] ?? maildir;
  } catch (error) {
    for (const copy of staged) await copy.abort();
    for (const path of shown) await Deno.remove(path).catch(() => {});
    throw error;
  }
}

/** The folders of some copies, each once. */
function placesOf(maildir: string, copies: readonly FiledCopy[]): Iterable<MaildirPlace> {
  const places = new Map<string, MaildirPlace>();
  for (const { mailbox = "", flags = [] } of copies) {
    const folder = mailbox === "" ? "" : folderOf(mailbox) ?? "";
    if (!places.has(folder)) places.set(folder, { maildir, folder, flags: flagLetters(flags) });
  }
  return places.values();
}

/** RFC 5490 §3.1: whether a mailbox is there, or would be made first. The inbox always is. */
async function hasFolder(maildir: string, mailbox: string): Promise<boolean> {
  const folder = folderOf(mailbox);
  if (folder === undefined || folder === "") return folder === "";
  try {
    return (await Deno.stat(`${maildir}/${folder}`)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** RFC 5321 §4.4: a message has one Return-Path, so what stands there from earlier gives way. */
function withoutReturnPath(content: Content): Content {
  const header = parseHeader(content.head);
  if (firstField(header, "return-path") === undefined) return content;
  const editor = editHeader(content.head, header);
  editor.deleteAll("return-path");
  const head = editor.result();
  return {
    size: content.size - content.head.length + head.length,
    head,
    complete: content.complete,
    async *chunks() {
      let first = true;
      for await (const chunk of content.chunks()) {
        yield first ? head : chunk;
        first = false;
      }
    },
  };
}

/** The path with `{domain}`, `{local}` and `{account}` filled in. */
async function pathOf(recipient: QueuedRecipient, pattern: string, context: LocalContext): Promise<string> {
  const local = localName(recipient.address);
  let account = local;
  if (pattern.includes("{account}")) {
    const asked = context.accountOf(recipient.address);
    account = (asked instanceof Promise ? await asked : asked) ?? local;
  }
  const parts: Readonly<Record<string, string>> = {
    domain: pathPart(recipient.domain),
    local: pathPart(local),
    account: pathPart(account),
  };
  return pattern.replace(/\{(domain|local|account)\}/g, (_, name: string) => parts[name] ?? "");
}

/** The local part of a mailbox: without quotes and subaddress, in lower case, as one person has one mailbox. */
function localName(address: string): string {
  const local = unquoteLocalPart(addressLocal(address)).toLowerCase();
  const tag = local.indexOf("+");
  return tag > 0 ? local.slice(0, tag) : local;
}

/** What an error of the file system means: all of them may pass. */
export function ioFailure(error: unknown): Verdict {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  // RFC 3463: X.2.2 mailbox full, X.3.1 mail system full, X.3.0 other mail system status.
  const enhanced = code === "EDQUOT" ? "4.2.2" : code === "ENOSPC" ? "4.3.1" : "4.3.0";
  return failure("deferred", "io", enhanced, `the message could not be written: ${message}`);
}
