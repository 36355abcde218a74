/** Header fields as milters are shown them. */

import { parseHeader } from "../../message/mod.ts";
import { COMMAND, packet } from "./protocol.ts";

const COLON = 0x3a;
const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;

/** The fields of a message, ready to be sent, and where its body begins. */
export interface FieldPackets {
  readonly packets: Iterable<Uint8Array>;
  readonly bodyOffset: number;
}

/**
 * Reads the header of a message.
 *
 * @param leadingSpace whether the filter gets values with the blank behind the colon (`SMFIP_HDR_LEADSPC`); otherwise
 * one space is left out, but no tab, as Sendmail and Postfix do it
 */
export function fieldPackets(head: Uint8Array, leadingSpace: boolean): FieldPackets {
  const header = parseHeader(head);
  return {
    bodyOffset: header.bodyOffset,
    packets: header.fields.values().map(({ name, start, end }) => {
      const colon = head.indexOf(COLON, start);
      const from = !leadingSpace && head[colon + 1] === SPACE ? colon + 2 : colon + 1;
      return packet(COMMAND.header, [name, valueOctets(head, Math.min(from, end), end)]);
    }),
  };
}

/** The value with LF for each line end in it, none at its end, and NUL behind it. */
function valueOctets(head: Uint8Array, from: number, to: number): Uint8Array {
  let end = to;
  if (end > from && head[end - 1] === LF) end--;
  if (end > from && head[end - 1] === CR) end--;
  const value = new Uint8Array(end - from + 1);
  let length = 0;
  for (let at = from; at < end; at++) {
    const octet = head[at] as number;
    // A NUL would end the value early, in the eyes of the filter.
    if (octet === 0 || (octet === CR && head[at + 1] === LF)) continue;
    value[length++] = octet;
  }
  return value.subarray(0, length + 1);
}
