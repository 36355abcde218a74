/** `replace` and `enclose` (RFC 5703 §5 and §6). */

import type { Call, CommandDefinition, Compiler, Extension } from "../definition.ts";
import { fieldsNamed, foldField, isFieldName, type MimePart } from "../../message/mod.ts";
import { concat, crlfLines, dateText, type Entity, headerText, textEntity } from "../compose.ts";
import { later } from "../later.ts";
import { mailboxList } from "../mailbox_address.ts";
import { messageBytes, type SieveMessage, sieveMessage } from "../message.ts";
import {
  enclosing,
  entityBytes,
  hidesBoundary,
  type MessageChange,
  parseEntity,
  withContent,
  withPart,
} from "../mime_edit.ts";
import { mimeRoot } from "../mime_tree.ts";
import { messageEnclosed, partAt, partReplaced, placeOf } from "../part_loop.ts";
import { SieveRuntimeError } from "../problem.ts";
import { type Flow, NEXT, type Run, slot, spend } from "../run.ts";

const LF = 0x0a;
const CRLF = Uint8Array.of(0x0d, LF);

/** Changing a long message costs more: all of it is copied, and read again. */
export function spendOnCopy(run: Run): void {
  spend(run, run.message.size >> 16);
}

function readChange(call: Call, run: Run): MessageChange {
  const [subject, from] = [call.tag("subject"), call.tag("from")];
  const sender = from === undefined ? undefined : mailboxList(from.text.read(run));
  if (from !== undefined && sender === undefined) {
    throw new SieveRuntimeError(`'${from.text.read(run).slice(0, 256)}' is not a list of addresses`, call.at);
  }
  return {
    ...(subject === undefined ? {} : { subject: headerText(subject.text.read(run)) }),
    ...(sender === undefined ? {} : { from: sender }),
  };
}

/** The message with a part of it replaced. */
function changed(part: MimePart, text: string, mime: boolean, change: MessageChange, call: Call): Uint8Array {
  const make = (hidden: boolean): Entity =>
    mime ? parseEntity(crlfLines(text)) : textEntity(text, "text/plain", hidden);
  const bytes = part.bytes.subarray(part.start, part.end);
  const { parent } = part;
  // A message keeps its header, a part of a multipart does not: what it said of the old content is gone with it.
  const isMessage = parent === undefined || !parent.contentType.value.startsWith("multipart/");
  const finish = (entity: Entity): Uint8Array => {
    if (!isMessage) return entityBytes(entity);
    // A whole message ends with a line end, as it has to on the way.
    const end = parent !== undefined || entity.body.at(-1) === LF ? [] : [CRLF];
    return concat([withContent(bytes, entity, change), ...end]);
  };
  const result = finish(make(false));
  if (!hidesBoundary(part, result)) return withPart(part, result);
  if (mime) throw new SieveRuntimeError("the replacement holds a boundary of the message around it", call.at);
  return withPart(part, finish(make(true)));
}

const replaceCommand: CommandDefinition = {
  name: "replace",
  parameters: [{ name: "replacement", type: "string" }],
  tags: [
    { name: "mime" },
    { name: "subject", value: { name: "subject", type: "string" } },
    { name: "from", value: { name: "from", type: "string" } },
  ],
  compile(call, compiler) {
    const from = call.tag("from");
    if (from?.text.literal !== undefined && mailboxList(from.text.literal) === undefined) {
      compiler.error(from.valueAt, `'${from.text.literal.slice(0, 256)}' is not a list of addresses`);
      return undefined;
    }
    for (const tag of ["subject", "from"]) {
      // RFC 5703 §5: they would be ignored.
      const use = call.has("mime") ? call.tag(tag) : undefined;
      if (use !== undefined) compiler.error(use.at, `':${tag}' of replace cannot go with ':mime'`);
    }
    const replacement = call.text("replacement");
    const mime = call.has("mime");
    return (run) => {
      spendOnCopy(run);
      const place = placeOf(run) ?? [];
      return later(mimeRoot(run), (root) => {
        const part = partAt(root, place);
        // RFC 5703 §5: :subject and :from are for whole messages.
        const change = place.length === 0 ? readChange(call, run) : {};
        if (part === undefined) throw new SieveRuntimeError("the part to replace is no longer there", call.at);
        run.message = sieveMessage(changed(part, replacement.read(run), mime, change, call));
        return later(partReplaced(run, place), (): Flow => NEXT);
      });
    };
  },
};

/** The message before it was enclosed; undefined if it was not. */
const enclosed: { readonly initial: () => { before: SieveMessage | undefined } } = {
  initial: () => ({ before: undefined }),
};

/** The header of the new message (RFC 5703 §6). */
function newHeader(run: Run, subject: string | undefined, copied: readonly string[]): Uint8Array[] {
  const { header, head } = run.message;
  const fields: Uint8Array[] = [];
  const copy = (name: string) => {
    for (const { start, end } of fieldsNamed(header, name)) fields.push(head.slice(start, end));
  };
  const present = new Set<string>();
  for (const each of copied) {
    const [, name = "", value] = /^([^:]*?)\s*(?::\s*([^]*))?$/.exec(each) ?? [];
    const lower = name.toLowerCase();
    if (lower.startsWith("content-") || lower === "mime-version" || (lower === "subject" && subject !== undefined)) {
      continue;
    }
    // What has a value is a field of its own, and not one to be copied.
    if (value !== undefined && isFieldName(name)) fields.push(foldField(name, headerText(value)));
    else if (!present.has(lower)) copy(lower);
    if (value !== undefined || fieldsNamed(header, lower).length > 0) present.add(lower);
  }
  const given = (name: string) => present.has(name);
  const now = run.host.now();
  if (!given("date")) fields.unshift(foldField("Date", dateText(now, run.host.zoneOffset?.(now) ?? 0)));
  // With a name in front of it, or without.
  const user = mailboxList(run.host.addresses?.[0] ?? "");
  if (!given("from")) {
    // Without a user nobody but the author can stand there.
    if (user === undefined) copy("from");
    else fields.push(foldField("From", user));
  }
  if (subject !== undefined) fields.push(foldField("Subject", headerText(subject)));
  else if (!given("subject")) copy("subject");
  const id = given("message-id") ? undefined : run.host.messageId?.();
  if (id !== undefined) fields.push(foldField("Message-ID", `<${id}>`));
  return fields.map((field) => field.at(-1) === 0x0a ? field : concat([field, CRLF]));
}

const encloseCommand: CommandDefinition = {
  name: "enclose",
  parameters: [{ name: "text", type: "string" }],
  tags: [
    { name: "subject", value: { name: "subject", type: "string" } },
    { name: "headers", value: { name: "header names", type: "strings" } },
  ],
  compile(call: Call, _compiler: Compiler) {
    const [subject, headers, text] = [call.tag("subject"), call.tag("headers"), call.text("text")];
    return (run) => {
      spendOnCopy(run);
      const { message } = run;
      return later(messageBytes(message), (bytes) => {
        const fields = newHeader(run, subject?.text.read(run), headers?.texts.read(run) ?? []);
        slot(run, enclosed).before ??= message;
        run.message = sieveMessage(enclosing(bytes, fields, textEntity(text.read(run))));
        return later(messageEnclosed(run, ENCLOSED_AT), (): Flow => NEXT);
      });
    };
  },
};

/** The enclosed message is inside the second part. */
const ENCLOSED_AT = [1, 0] as const;

export const replace: readonly Extension[] = [
  { capability: "replace", commands: [replaceCommand] },
  {
    capability: "enclose",
    commands: [encloseCommand],
    onAction(run, action) {
      const { before } = slot(run, enclosed);
      // RFC 5703 §6: what is redirected stays as it was.
      if (before !== undefined && action.kind === "redirect") Object.assign(action, { message: before });
    },
  },
];
