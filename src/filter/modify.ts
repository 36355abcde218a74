/** Applying what a filter wants changed, so that the next one sees it. */

import { editHeader, foldField, isFieldName, parseHeader } from "../message/mod.ts";
import { asAddress, NewlineNormalizer } from "../smtp/mod.ts";
import type { EditableContent, FilteredMessage, FilteredTransaction, Modification } from "./filter.ts";

/** A transaction after modifications, and what could not be applied. */
export interface Modified {
  readonly transaction: FilteredTransaction;
  /** One sentence for each modification that makes no sense; it was left out. */
  readonly problems: readonly string[];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Applies modifications in their order. Senseless ones (no address, no field name, no message yet) are left out. */
export function modify(transaction: FilteredTransaction, modifications: readonly Modification[]): Modified {
  const changed: Writable<FilteredTransaction> = { ...transaction };
  const problems: string[] = [];
  for (const modification of modifications) {
    const problem = apply(changed, modification);
    if (problem !== undefined) problems.push(problem);
  }
  return { transaction: changed, problems };
}

function apply(transaction: Writable<FilteredTransaction>, modification: Modification): string | undefined {
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

function applyToMessage(
  transaction: Writable<FilteredTransaction>,
  modification: MessageModification,
): string | undefined {
  const { message } = transaction;
  if (message === undefined) return "header and body can be changed at stage data only";
  const binary = transaction.parameters.body === "binarymime";
  const content = edited(message.content, modification, binary);
  if (typeof content === "string") return content;
  const next: FilteredMessage = { ...message, content };
  transaction.message = next;
  return undefined;
}

function edited(
  content: EditableContent,
  modification: MessageModification,
  binary: boolean,
): EditableContent | string {
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
    case "add-field": {
      if (!isFieldName(modification.name)) return notField(modification.name);
      const editor = editHeader(content.head);
      const field = foldField(modification.name, modification.value);
      if (modification.index === undefined) editor.append(field);
      else editor.insert(modification.index, field);
      return content.withHead(editor.result());
    }
    case "change-field": {
      const { name, nth, value } = modification;
      if (!isFieldName(name)) return notField(name);
      const editor = editHeader(content.head);
      if (value === undefined) editor.delete(name, nth);
      // A field that is not there to be changed is added, as mail servers do for milters.
      else if (!editor.replace(name, nth, foldField(name, value))) editor.append(foldField(name, value));
      return editor.changed ? content.withHead(editor.result()) : content;
    }
  }
}

const CRLF = Uint8Array.of(0x0d, 0x0a);

/** {@link EditableContent} of bytes in memory, which are not copied. */
export function memoryEditable(bytes: Uint8Array): EditableContent {
  return { size: bytes.length, head: bytes, complete: true, chunks: () => [bytes], withHead: memoryEditable };
}

// What filters send is content like any other: no bare CR or LF may leave this server (design §4, rule 6).
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
