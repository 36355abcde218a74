/** The answers of `answers.json`, as they are or changed on the way. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="../../../../src/dns/dns_packet.d.ts"
import * as packet from "dns-packet";
import type { DecodedPacket, WireRecord } from "../../../../src/dns/dns_packet.d.ts";
import { createValidator, readAnchors, TYPE, type Validation } from "../../../../src/dns/dnssec/mod.ts";

const DAY = 86_400_000;

const recorded: {
  readonly recorded: number;
  readonly anchor: string;
  readonly answers: Readonly<Record<string, string>>;
} = JSON.parse(await Deno.readTextFile(new URL("answers.json", import.meta.url)));

/** A time at which the signatures are valid, and the record that is trusted. */
export const RECORDED = recorded.recorded + DAY;
export const ANCHOR = recorded.anchor;
export { DAY };

/** A question as the recording knows it, such as `mx.example A`. */
export type Asked = `${string} ${keyof typeof TYPE}`;

/** The response to a question. */
export function answerTo(asked: string): Uint8Array {
  const text = recorded.answers[asked];
  assert.ok(text !== undefined, `${asked} was not recorded`);
  return Uint8Array.fromBase64(text);
}

/** What somebody on the way does to responses. */
export type Meddler = (response: Uint8Array, asked: string) => Uint8Array;

/** Takes a response apart, has it changed, and puts it together. */
export function changed(response: Uint8Array, change: (message: DecodedPacket) => Partial<DecodedPacket>): Uint8Array {
  const message = packet.decode(Buffer.from(response));
  return packet.encode({ ...message, ...change(message), additionals: [] });
}

/** Leaves out records. */
export function without(response: Uint8Array, leftOut: (record: WireRecord) => boolean): Uint8Array {
  return changed(response, ({ answers, authorities }) => ({
    answers: answers.filter((record) => !leftOut(record)),
    authorities: authorities.filter((record) => !leftOut(record)),
  }));
}

/** Validates the recorded answer to a question, with somebody on the way. */
export async function validate(
  asked: Asked,
  options: { readonly meddler?: Meddler; readonly now?: number; readonly anchors?: readonly string[] } = {},
): Promise<Validation> {
  const { meddler = (response) => response, now = RECORDED, anchors: lines = [ANCHOR] } = options;
  const anchors = readAnchors(lines);
  assert.ok(!("unreadable" in anchors));
  const get = (question: string) => meddler(answerTo(question), question);
  const validator = createValidator({
    anchors: () => anchors,
    ask(name, type) {
      const question = `${name} ${type}`;
      return question in recorded.answers ? Promise.resolve(get(question)) : Promise.reject(new Unanswered(question));
    },
    now: () => now,
  });
  const [name = "", type = "A"] = asked.split(" ");
  return await validator.validate({ name, type: TYPE[type as keyof typeof TYPE] }, get(asked));
}

/** Meddling has led to a question that nobody answers. */
class Unanswered extends Error {
  override readonly name = "Unanswered";
}

/** What it is worth in a word, `bogus` where validation fails. */
export async function verdict(...args: Parameters<typeof validate>): Promise<string> {
  try {
    return (await validate(...args)).security;
  } catch (error) {
    if (error instanceof Error && error.name === "BogusError") return "bogus";
    if (error instanceof Unanswered) return "unanswered";
    throw error;
  }
}
