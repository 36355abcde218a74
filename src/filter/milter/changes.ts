/** What a milter wants changed, in the words of all filters. */

import { type EsmtpParameter, EVERYTHING_OFFERED, readMailParameters, readRcptParameters } from "../../smtp/mod.ts";
import type { FilteredRecipient, FilteredTransaction, Modification } from "../filter.ts";
import type { Change } from "./answer.ts";

const SPACE = Uint8Array.of(0x20);

/** The changes that come of one end of a message. */
export interface Changes {
  readonly modifications: readonly Modification[];
  /** Why the message is to be held; undefined if it is not. */
  readonly quarantine: string | undefined;
  /** Parameters that cannot be read; they were left out. */
  readonly problems: readonly string[];
}

/** Gathers changes as they arrive, and keeps copies of what they hold. */
export interface ChangeList {
  add(change: Change): void;
  result(): Changes;
}

/**
 * Makes a list of changes.
 *
 * @param leadingSpace whether values come with what stands behind the colon (`SMFIP_HDR_LEADSPC`); otherwise they get one
 * space
 */
export function changeList(transaction: FilteredTransaction, leadingSpace: boolean): ChangeList {
  const modifications: Modification[] = [];
  const problems: string[] = [];
  let body: Uint8Array[] | undefined;
  let bodyPlace = 0;
  let quarantine: string | undefined;
  const valueOf = (value: Uint8Array) => leadingSpace ? value.slice() : concat([SPACE, value]);
  return {
    add(change) {
      switch (change.kind) {
        case "body":
          if (body === undefined) {
            body = [];
            bodyPlace = modifications.length;
          }
          body.push(change.piece.slice());
          break;
        case "quarantine":
          quarantine ??= change.reason;
          break;
        case "add-field":
          modifications.push({ kind: "add-field", name: change.name, value: valueOf(change.value) });
          break;
        case "insert-field": {
          const { name, position } = change;
          modifications.push({ kind: "add-field", name, position, value: valueOf(change.value) });
          break;
        }
        case "change-field": {
          const { name, nth, value } = change;
          modifications.push({
            kind: "change-field",
            name,
            nth: nth - 1,
            ...(value.length === 0 ? {} : { value: valueOf(value) }),
          });
          break;
        }
        case "sender": {
          const { address } = change;
          const parsed = readMailParameters(parametersOf(change.parameters), EVERYTHING_OFFERED);
          if (parsed.kind === "error") problems.push(badParameters(change.parameters));
          const parameters = parsed.kind === "error" || change.parameters === ""
            ? undefined
            : { ...transaction.parameters, ...parsed.parameters };
          modifications.push({ kind: "sender", address, ...(parameters === undefined ? {} : { parameters }) });
          break;
        }
        case "add-recipient": {
          const { address } = change;
          const parsed = readRcptParameters(parametersOf(change.parameters), EVERYTHING_OFFERED);
          if (parsed.kind === "error") problems.push(badParameters(change.parameters));
          const parameters = parsed.kind === "error" ? {} : parsed.parameters;
          modifications.push({ kind: "add-recipient", address, parameters });
          break;
        }
        case "delete-recipient":
          modifications.push({ kind: "delete-recipient", address: change.address });
          // The filter knows the address that the client gave; mail may be on its way to others that stand for it.
          for (const { address, parameters } of transaction.recipients) {
            if (address !== change.address && sameAddress(parameters.original ?? "", change.address)) {
              modifications.push({ kind: "delete-recipient", address });
            }
          }
      }
    },
    result() {
      const all = body === undefined
        ? modifications
        : modifications.toSpliced(bodyPlace, 0, { kind: "replace-body", body: concat(body) });
      return { modifications: all, quarantine, problems };
    },
  };
}

/** The recipients as the client named them: one that stands for several is one. */
export function namedRecipients(recipients: readonly FilteredRecipient[]): readonly FilteredRecipient[] {
  const named = new Map<string, FilteredRecipient>();
  for (const { address, parameters } of recipients) {
    const name = parameters.original ?? address;
    if (!named.has(name)) named.set(name, { address: name, parameters });
  }
  return [...named.values()];
}

function sameAddress(one: string, other: string): boolean {
  const at = other.lastIndexOf("@");
  return one === other || one === `${other.slice(0, at)}${other.slice(at).toLowerCase()}`;
}

function parametersOf(text: string): readonly EsmtpParameter[] {
  return text.split(" ").filter((word) => word !== "").map((word) => {
    const equals = word.indexOf("=");
    return equals < 0
      ? { keyword: word.toUpperCase(), value: undefined }
      : { keyword: word.slice(0, equals).toUpperCase(), value: word.slice(equals + 1) };
  });
}

function badParameters(text: string): string {
  return `parameters that cannot be used: ${JSON.stringify(text.slice(0, 256))}`;
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
