/** The scripts of the administrator in a rehearsal: they run, and what they would do beyond the session is told instead. */

import type { Clock } from "../../clock/mod.ts";
import type { Config } from "../../config/mod.ts";
import type { FunctionHost } from "../../expression/mod.ts";
import {
  createFilterChain,
  createSeenMemory,
  type Filter,
  type FilterChain,
  type FilteredTransaction,
  type FilterMakers,
  type Modification,
} from "../../filter/mod.ts";
import { parseHeader } from "../../message/mod.ts";
import type { Store } from "../../store/mod.ts";
import type { EventFields, EventName } from "../../telemetry/mod.ts";
import { scriptLists } from "../sieve.ts";
import { VERSION } from "../version.ts";
import { NO_QUEUE } from "./rehearsal.ts";

/** What scripts are rehearsed with. */
export interface ScriptRehearsal {
  readonly config: Config;
  /** Functions that change nothing. */
  readonly functions: FunctionHost;
  readonly stores: ReadonlyMap<string, Store>;
  readonly clock: Clock;
  /** Told what a script does, in a sentence. */
  readonly note: (text: string) => void;
}

/** Lines of the header that are told of. */
const MOST_LINES = 20;

/** The scripts as the only filters of a session; undefined if no stage runs any. */
export function rehearsedScripts(
  createSieveFilter: NonNullable<FilterMakers["createSieveFilter"]>,
  { config, functions, stores, clock, note }: ScriptRehearsal,
): FilterChain | undefined {
  const store = stores.get(config.storage.lookup) ?? stores.get(config.storage.data);
  const memory = store && createSeenMemory(store, clock);
  const filter = createSieveFilter({
    // Programs may do anything, so none is run.
    config: { ...config.sieve, exec: { ...config.sieve.exec, allow: [] } },
    functions,
    lists: scriptLists(config),
    memory: {
      has: (key) => memory === undefined ? Promise.resolve(false) : memory.has(key),
      remember: () => Promise.resolve(),
    },
    outbox: NO_QUEUE,
    version: VERSION,
    clock,
    emit(name, fields = {}) {
      const text = eventText(name, fields);
      if (text !== undefined) note(text);
    },
  });
  return filter === undefined ? undefined : createFilterChain([telling(filter, note)]);
}

/** The filter, which tells what it changes. */
function telling(filter: Filter, note: (text: string) => void): Filter {
  return {
    ...filter,
    open(session, connections) {
      const instance = filter.open(session, connections);
      return {
        ...instance,
        async judge(stage, transaction) {
          const answer = await instance.judge(stage, transaction);
          for (const change of answer.modifications ?? []) {
            for (const text of changeTexts(change, transaction)) note(text);
          }
          return answer;
        },
      };
    },
  };
}

function eventText(name: EventName, fields: EventFields): string | undefined {
  const script = `script ${fields.script}`;
  switch (name) {
    case "sieve.action-accept":
      return `${script} ends without a refusal`;
    case "sieve.action-accept-replace":
      return `${script} takes the message, with changes`;
    case "sieve.action-discard":
      return `${script} drops the message`;
    case "sieve.action-reject":
      return `${script} refuses: ${fields.code} ${fields.reason}`;
    case "sieve.send-message":
      return `${script} sends a message from <${fields.from}> to ${[fields.to].flat().join(", ")}`;
    case "sieve.redirect-loop":
      return `${script} does not send the message on to ${fields.to}: it was there before`;
    case "sieve.not-supported":
      return `${script} asks for ${fields.action}, which is not possible here`;
    case "sieve.list-not-found":
      return `${script} asks for the list ${fields.list}, which is not defined`;
    case "sieve.runtime-error": {
      const of = fields.included === undefined ? "" : ` of ${fields.included}`;
      const place = fields.line === undefined ? "" : ` at line ${fields.line}, column ${fields.column}${of}`;
      return `${script} fails${place}: ${fields.reason}; all goes on as before it`;
    }
    case "sieve.exec-error":
      return `a script would run ${fields.program}; programs are not run for an explanation, this one counts as failed`;
    case "eval.lookup-unavailable":
    case "sieve.unexpected-error":
      return `a script cannot be run: ${fields.reason}`;
    default:
      return undefined;
  }
}

function changeTexts(change: Modification, transaction: FilteredTransaction | undefined): readonly string[] {
  switch (change.kind) {
    case "sender":
      return change.address === transaction?.sender
        ? change.parameters === undefined ? [] : ["the script changes the parameters of the sender"]
        : [`the script makes <${change.address}> the return path`];
    case "recipient":
      return change.address === transaction?.recipient?.address
        ? ["the script changes the parameters of the recipient"]
        : [`the script makes ${change.address} the recipient`];
    case "add-recipient":
      return [`the script adds the recipient ${change.address}`];
    case "delete-recipient":
      return [`the script takes away the recipient ${change.address}`];
    case "file":
      return [`the script files the message into ${change.copies.map(copyText).join(", ")}`];
    case "replace-header":
      return headerTexts(transaction, change.head);
    case "replace-message":
      return [
        ...headerTexts(transaction, change.bytes),
        `the script leaves a message of ${change.bytes.length} octets`,
      ];
    default:
      return [];
  }
}

function copyText({ mailbox = "the inbox", flags }: { readonly mailbox?: string; readonly flags?: readonly string[] }) {
  return flags === undefined || flags.length === 0 ? mailbox : `${mailbox} with ${flags.join(" ")}`;
}

/** Fields that are in one of two headers only. */
function headerTexts(transaction: FilteredTransaction | undefined, after: Uint8Array): readonly string[] {
  const before = fieldsOf(transaction?.message?.content.head ?? new Uint8Array(0));
  const now = fieldsOf(after);
  const missing = (from: readonly string[], others: readonly string[]) => {
    const left = [...others];
    return from.filter((field) => {
      const place = left.indexOf(field);
      if (place >= 0) left.splice(place, 1);
      return place < 0;
    });
  };
  return [
    ...missing(before, now).map((field) => `the script takes out: ${field}`),
    ...missing(now, before).map((field) => `the script puts in: ${field}`),
  ].slice(0, MOST_LINES);
}

function fieldsOf(head: Uint8Array): readonly string[] {
  const decoder = new TextDecoder();
  return parseHeader(head).fields.map(({ start, end }) =>
    decoder.decode(head.subarray(start, end)).replace(/\s+/g, " ").trim()
  );
}
