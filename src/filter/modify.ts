/** Applying what a filter wants changed, so that the next one sees it. */

import { editHeader, foldField, type HeaderEditor, isFieldName, parseHeader, verbatimField } from "../message/mod.ts";
import { asAddress, NewlineNormalizer } from "../smtp/mod.ts";
import type { EditableContent, FilteredMessage, FilteredTransaction, Modification } from "./filter.ts";

/** A transaction after modifications, and what could not be applied. */
export interface Modified {
  readonly transaction: FilteredTransaction;
  /** One sentence for each modification that makes no sense; it was left out. */
  readonly problems: readonly string[];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The transaction while it is changed; the header is written anew only once for all changes to fields in a row. */
interface Draft extends Writable<FilteredTransaction> {
  editor?: HeaderEditor;
  above?: number;
}

/** Applies modifications in their order. Senseless ones (no address, no field name, no message yet) are left out. */
export function modify(transaction: FilteredTransaction, modifications: readonly Modification[]): Modified {
  const draft: Draft = { ...transaction };
  const problems: string[] = [];
  for (const modification of modifications) {
    const problem = apply(draft, modification);
    if (problem !== undefined) problems.push(problem);
  }
  writeHeader(draft);
  const { editor: _editor, above: _above, ...changed } = draft;
  return { transaction: changed, problems };
}

function apply(transaction: Draft, modification: Modification): string | undefined {
  switch (modification.kind) {
    case "sender": {
      const address = modification.address === "" ? "" : asAddress(modification.address);
      if (address === undefined) return notAddress(modification.address);
      transaction.sender = address;
      if (modification.parameters !== undefined) transaction.parameters = modification.parameters;
      return undefined;
    }
    case "recipient": {
      const address = asAddress(modification.address);
      if (address === undefined) return notAddress(modification.address);
      if (transaction.recipient === undefined) return "a recipient can be replaced at stage rcpt only";
      transaction.recipient = { address, parameters: modification.parameters ?? transaction.recipient.parameters };
      return undefined;
    }
    case "add-recipient": {
      const address = asAddress(modification.address);
      if (address === undefined) return notAddress(modification.address);
      if (transaction.recipients.some((recipient) => recipient.address === address)) return undefined;
      transaction.recipients = [...transaction.recipients, { address, parameters: modification.parameters ?? {} }];
      return undefined;
    }
    case "delete-recipient": {
      const address = asAddress(modification.address) ?? modification.address;
      transaction.recipients = transaction.recipients.filter((recipient) => recipient.address !== address);
      return undefined;
    }
    case "file": {
      const { copies } = modification;
      const { recipient } = transaction;
      if (recipient !== undefined) {
        transaction.recipient = { ...recipient, parameters: { ...recipient.parameters, copies } };
      } else {
        transaction.recipients = transaction.recipients.map(({ address, parameters }) => ({
          address,
          parameters: { ...parameters, copies },
        }));
      }
      return undefined;
    }
    default:
      return applyToMessage(transaction, modification);
  }
}

type MessageModification = Exclude<
  Modification,
  { kind: "sender" | "recipient" | "add-recipient" | "delete-recipient" | "file" }
>;

type FieldModification = Extract<MessageModification, { kind: "add-field" | "change-field" }>;

function applyToMessage(draft: Draft, modification: MessageModification): string | undefined {
  const { message } = draft;
  if (message === undefined) return "header and body can be changed at stage data only";
  if (modification.kind === "add-field" || modification.kind === "change-field") {
    if (!isFieldName(modification.name)) return notField(modification.name);
    draft.editor ??= editHeader(message.content.head);
    draft.above ??= message.above ?? 0;
    changeFields(draft.editor, draft, message, modification);
    return undefined;
  }
  writeHeader(draft);
  const content = edited(
    draft.message?.content ?? message.content,
    modification,
    draft.parameters.body === "binarymime",
  );
  draft.message = { ...draft.message ?? message, content, ...stillAbove(draft.message ?? message, content) };
  delete draft.above;
  return undefined;
}

/** What is above the fields of this server stays there if it is still the top of the header. */
function stillAbove({ above, content }: FilteredMessage, next: EditableContent): Pick<FilteredMessage, "above"> {
  if (above === undefined || above === 0) return {};
  const end = parseHeader(content.head).fields[above - 1]?.end ?? 0;
  for (let i = 0; i < end; i++) if (content.head[i] !== next.head[i]) return { above: 0 };
  return {};
}

function changeFields(
  editor: HeaderEditor,
  draft: Draft,
  message: FilteredMessage,
  modification: FieldModification,
): void {
  const { name, value } = modification;
  if (modification.kind === "add-field") {
    const { index, position } = modification;
    const field = fieldOf(name, modification.value);
    if (position !== undefined) insertAt(editor, draft, message, position, field);
    else if (index === undefined) editor.append(field);
    else editor.insert(index, field);
    return;
  }
  const { nth } = modification;
  if (value === undefined) {
    const place = editor.indexOf(name, nth);
    if (editor.delete(name, nth) && draft.above !== undefined && place < draft.above) draft.above--;
    // A field that is not there to be changed is added, as mail servers do for milters.
  } else if (!editor.replace(name, nth, fieldOf(name, value))) {
    editor.append(fieldOf(name, value));
  }
}

/** Inserts a field where the one of this server counts, although it is written later. */
function insertAt(
  editor: HeaderEditor,
  draft: Draft,
  message: FilteredMessage,
  position: number,
  field: Uint8Array,
): void {
  const above = draft.above ?? 0;
  if (!message.serverFields.some(isReceived)) {
    editor.insert(position, field);
  } else if (position > above) {
    editor.insert(position - 1, field);
  } else {
    editor.insert(position, field);
    draft.above = above + 1;
  }
}

function isReceived(field: Uint8Array): boolean {
  return new TextDecoder().decode(field.subarray(0, RECEIVED.length)).toLowerCase() === RECEIVED;
}

const RECEIVED = "received:";

function fieldOf(name: string, value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? foldField(name, value) : verbatimField(name, value);
}

/** Writes the changes to fields that are still only in the editor. */
function writeHeader(draft: Draft): void {
  const { editor, message, above } = draft;
  delete draft.editor;
  if (editor === undefined || message === undefined || !editor.changed) return;
  const content = message.content.withHead(editor.result());
  draft.message = { ...message, content, ...(above === undefined ? {} : { above }) };
}

function edited(
  content: EditableContent,
  modification: Exclude<MessageModification, FieldModification>,
  binary: boolean,
): EditableContent {
  switch (modification.kind) {
    case "replace-message":
      return memoryEditable(binary ? modification.bytes : withCrlf(modification.bytes));
    case "replace-header": {
      const { bodyOffset } = parseHeader(content.head);
      return content.withHead(concat([modification.head, content.head.subarray(bodyOffset)]));
    }
    case "replace-body": {
      const header = parseHeader(content.head);
      const top = content.head.subarray(0, header.end);
      return memoryEditable(concat([top, CRLF, withCrlf(modification.body)]));
    }
  }
}

const CRLF = Uint8Array.of(0x0d, 0x0a);

/** {@link EditableContent} of bytes in memory, which are not copied. */
export function memoryEditable(bytes: Uint8Array): EditableContent {
  return { size: bytes.length, head: bytes, complete: true, chunks: () => [bytes], withHead: memoryEditable };
}

// What filters send is content like any other: no bare CR or LF may leave this server.
function withCrlf(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  const normalizer = new NewlineNormalizer();
  normalizer.push(bytes, (slice) => parts.push(slice));
  normalizer.finish((slice) => parts.push(slice));
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : concat(parts);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function notAddress(text: string): string {
  return `not an address: ${JSON.stringify(text.slice(0, 256))}`;
}

function notField(name: string): string {
  return `not the name of a header field: ${JSON.stringify(name.slice(0, 80))}`;
}
