/** What a filter answers, read from the packets it sends. */

import { type Reply, reply } from "../../smtp/mod.ts";
import { MACRO_STAGES, type MacroStage, readData, symbolNames } from "./protocol.ts";

/** A change that a filter asks for at the end of the message. */
export type Change =
  | { readonly kind: "add-recipient"; readonly address: string; readonly parameters: string }
  | { readonly kind: "delete-recipient"; readonly address: string }
  | { readonly kind: "sender"; readonly address: string; readonly parameters: string }
  | { readonly kind: "body"; readonly piece: Uint8Array }
  | { readonly kind: "add-field"; readonly name: string; readonly value: Uint8Array }
  | { readonly kind: "insert-field"; readonly position: number; readonly name: string; readonly value: Uint8Array }
  /** `nth` from 1; an empty value takes the field out. */
  | { readonly kind: "change-field"; readonly nth: number; readonly name: string; readonly value: Uint8Array }
  | { readonly kind: "quarantine"; readonly reason: string };

type Plain<Kind> = Kind extends string ? { readonly kind: Kind } : never;

/** An answer without data. */
export type PlainAnswer = Plain<
  | "accept"
  | "continue"
  | "discard"
  | "reject"
  | "temporary-failure"
  | "shutdown"
  | "connection-failure"
  | "skip"
  | "progress"
>;

/** One packet from a filter. */
export type Answer =
  | PlainAnswer
  | { readonly kind: "reply"; readonly reply: Reply }
  | { readonly kind: "change"; readonly change: Change }
  /** The macros that the filter wants at a stage from now on. */
  | { readonly kind: "symbols"; readonly stage: MacroStage | undefined; readonly names: readonly string[] }
  /** No command of the protocol, or one with data that make no sense. */
  | { readonly kind: "nonsense"; readonly problem: string };

const PLAIN: ReadonlyMap<string, PlainAnswer> = new Map<string, PlainAnswer>([
  ["4", { kind: "shutdown" }],
  ["a", { kind: "accept" }],
  ["c", { kind: "continue" }],
  ["d", { kind: "discard" }],
  ["f", { kind: "connection-failure" }],
  ["p", { kind: "progress" }],
  ["r", { kind: "reject" }],
  ["s", { kind: "skip" }],
  ["t", { kind: "temporary-failure" }],
]);

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads a packet.
 *
 * @param data stays valid as long as the answer is used: values are views into it
 */
export function readAnswer(command: number, data: Uint8Array): Answer {
  const letter = String.fromCharCode(command);
  const plain = PLAIN.get(letter);
  if (plain !== undefined) {
    return data.length === 0 ? plain : nonsense(`its answer "${letter}" has ${data.length} octets of data`);
  }
  const reader = readData(data);
  switch (letter) {
    case "y": {
      const parsed = readReply(decoder.decode(reader.octets()));
      return parsed === undefined ? nonsense("its reply is none of SMTP (400 to 599)") : parsed;
    }
    case "+":
      return address(reader.text(), (address) => ({ kind: "add-recipient", address, parameters: "" }));
    case "2":
      return address(reader.text(), (address) => ({ kind: "add-recipient", address, parameters: reader.text() }));
    case "-":
      return address(reader.text(), (address) => ({ kind: "delete-recipient", address }));
    case "e":
      return address(reader.text(), (address) => ({ kind: "sender", address, parameters: reader.text() }));
    case "b":
      return { kind: "change", change: { kind: "body", piece: data } };
    case "q":
      return { kind: "change", change: { kind: "quarantine", reason: reader.text() } };
    case "l":
      return { kind: "symbols", stage: MACRO_STAGES[reader.uint32() ?? -1], names: symbolNames(reader.text()) };
    case "h": {
      const name = reader.text();
      return { kind: "change", change: { kind: "add-field", name, value: reader.octets() } };
    }
    case "i":
    case "m": {
      const index = reader.uint32();
      const name = reader.text();
      const value = reader.octets();
      // The numbers are signed where they come from.
      if (index === undefined || index > 0x7fffffff) return nonsense(`its answer "${letter}" has no usable index`);
      const change: Change = letter === "i"
        ? { kind: "insert-field", position: index, name, value }
        // Sendmail and Postfix take 0 for the first one.
        : { kind: "change-field", nth: Math.max(1, index), name, value };
      return { kind: "change", change };
    }
    default:
      return nonsense(`it answers with the octet 0x${command.toString(16)}`);
  }
}

function nonsense(problem: string): Answer {
  return { kind: "nonsense", problem };
}

function address(text: string, make: (address: string) => Change): Answer {
  const bare = text.trim().replace(/^<(.*)>$/s, "$1");
  return { kind: "change", change: make(bare) };
}

/** Most lines of a reply; libmilter sends 32 at most. */
const MOST_LINES = 100;

/**
 * Reads a reply in the form of RFC 5321 §4.2, which may have several lines. Filters double each `%`, because Sendmail
 * uses the text as a format; a single one is dropped, as Postfix does.
 */
function readReply(text: string): Answer | undefined {
  const lines = text.replace(/%(%?)/g, "$1").split(/\r?\n/).filter((line) => line !== "").slice(0, MOST_LINES);
  const [, code = "", firstEnhanced = ""] =
    /^([45]\d\d)(?:[ -]([245]\.\d{1,3}\.\d{1,3})(?= |$))?/.exec(lines[0] ?? "") ??
      [];
  if (code === "") return undefined;
  const enhanced = firstEnhanced[0] === code[0] ? firstEnhanced : "";
  const said: string[] = [];
  for (const line of lines) {
    if (!line.startsWith(code) || !/^(?:[ -]|$)/.test(line.slice(3))) return undefined;
    const words = line.slice(4);
    said.push(
      enhanced !== "" && words.startsWith(enhanced) ? words.slice(enhanced.length).trimStart() : words,
    );
  }
  return { kind: "reply", reply: reply(Number(code), enhanced, ...said) };
}
