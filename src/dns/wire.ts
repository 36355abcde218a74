/** Queries and responses on the wire: what is asked, and whether what came back answers it. */

import { Buffer } from "node:buffer";
// @ts-types="./dns_packet.d.ts"
import * as packet from "dns-packet";
import type { WireRecord } from "./dns_packet.d.ts";

export type { WireRecord };

/** The types this room asks for. */
export type RecordType = "A" | "AAAA" | "MX" | "TXT" | "PTR" | "TLSA" | "CNAME" | "NS" | "DS" | "DNSKEY";

/** What is asked: a canonical name and a type, class IN. */
export interface Question {
  readonly name: string;
  readonly type: RecordType;
  /** Whether the answer is validated here: servers are then to pass it on unchecked, and it is kept as it came. */
  readonly unchecked?: boolean;
}

// What fits unfragmented nearly everywhere (the size agreed on for DNS flag day 2020).
const UDP_PAYLOAD = 1232;

/** Response codes that are acted on (RFC 1035 §4.1.1). */
export const RCODE = { ok: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5, badVersion: 16 } as const;

/** A response that belongs to the question. */
export interface Response {
  readonly rcode: number;
  /** The AD bit (RFC 4035 §3.2.3): the server vouches for every record. */
  readonly authentic: boolean;
  readonly answers: readonly WireRecord[];
  readonly authorities: readonly WireRecord[];
  /** An extended error (RFC 8914) says that validation failed. */
  readonly bogus: boolean;
  /** The message as it came; empty unless the question asked for that. */
  readonly message: Uint8Array;
}

/** What some bytes are for a question that waits for an answer. */
export type Reading =
  /** Not an answer to this question: a late, foreign or forged message. */
  | { readonly kind: "foreign" }
  /** Cut to fit a datagram; ask again over TCP. */
  | { readonly kind: "truncated" }
  /** It repeats the question in other letters: a server that does not care, or somebody who has not seen the question. */
  | { readonly kind: "recased" }
  | { readonly kind: "malformed"; readonly message: string }
  | { readonly kind: "response"; readonly response: Response };

/**
 * Builds a recursive query; with `edns` it carries an OPT record with the DO bit (RFC 6891, RFC 3225).
 *
 * @param spelled the name in capital and small letters as they are to be sent
 */
export function encodeQuery(id: number, question: Question, edns: boolean, spelled = question.name): Uint8Array {
  return packet.encode({
    id,
    type: "query",
    // AD in a query asks for AD in the answer, also where DO is not understood (RFC 6840 §5.7).
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA |
      // CD: what a server thinks of signatures is not asked for (RFC 4035 §3.2.2).
      (question.unchecked === true ? packet.CHECKING_DISABLED : 0),
    questions: [{ name: spelled, type: question.type, class: "IN" }],
    additionals: edns
      ? [{ name: ".", type: "OPT", udpPayloadSize: UDP_PAYLOAD, flags: packet.DNSSEC_OK, options: [] }]
      : [],
  });
}

/**
 * Reads `bytes` as the response to `question` sent with `id`.
 *
 * @param spelled the name as it was sent, if its letters have to come back as they were
 */
export function readResponse(bytes: Uint8Array, id: number, question: Question, spelled?: string): Reading {
  if (bytes.length < 12) return { kind: "foreign" };
  const flags = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  // The header is judged by hand first: a truncated message often ends inside a record.
  if ((((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)) !== id || (flags & 0x8000) === 0 || (flags & 0x7800) !== 0) {
    return { kind: "foreign" };
  }
  if ((flags & packet.TRUNCATED_RESPONSE) !== 0) return { kind: "truncated" };
  let message;
  try {
    message = packet.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (error) {
    return { kind: "malformed", message: error instanceof Error ? error.message : String(error) };
  }
  // The decoder does not mind a last record that is cut short.
  if (packet.decode.bytes > bytes.length) return { kind: "malformed", message: "message ends inside a record" };
  const opt = message.additionals.find((record) => record.type === "OPT");
  const rcode = (flags & 0x000f) | ((opt?.extendedRcode ?? 0) << 4);
  const asked = message.questions[0];
  if (asked === undefined) {
    // Servers that cannot parse a query may answer without repeating it (RFC 1035 §4.1.1, format error).
    if (rcode === RCODE.ok || rcode === RCODE.nxDomain) return { kind: "foreign" };
  } else if (
    message.questions.length !== 1 || asked.name.toLowerCase() !== question.name || asked.type !== question.type ||
    asked.class !== "IN"
  ) {
    return { kind: "foreign" };
  } else if (spelled !== undefined && asked.name !== spelled) return { kind: "recased" };
  return {
    kind: "response",
    response: {
      rcode,
      authentic: (flags & packet.AUTHENTIC_DATA) !== 0,
      answers: message.answers.filter(isInternet),
      authorities: message.authorities.filter(isInternet),
      message: question.unchecked === true ? bytes.slice() : NOTHING,
      bogus: opt?.options?.some((option) => option.code === 15 && isValidationError(option.data)) ?? false,
    },
  };
}

const NOTHING = new Uint8Array(0);

function isInternet(record: WireRecord): boolean {
  return record.class === "IN";
}

// RFC 8914 §4: 6 DNSSEC Bogus, 7 and 8 signature times, 9 to 12 missing keys, signatures, zone keys and NSEC.
function isValidationError(data: Uint8Array): boolean {
  const code = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  return data.length >= 2 && code >= 6 && code <= 12;
}
