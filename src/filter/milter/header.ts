/** Header fields as milters are shown them. */

import { parseHeader } from "../../message/mod.ts";
import { COMMAND, putHead } from "./protocol.ts";

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
  // All packets stand in one piece of memory: each has ten octets more than its field at most.
  const room = new Uint8Array(header.end + 10 * header.fields.length);
  let used = 0;
  return {
    bodyOffset: header.bodyOffset,
    packets: header.fields.values().map(({ name, start, end }) => {
      const first = used;
      used = putField(room, used + 5, head, { name, start, end, leadingSpace });
      putHead(room, first, COMMAND.header, used - first - 4);
      return room.subarray(first, used);
    }),
  };
}

interface FieldPlace {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly leadingSpace: boolean;
}

/** Writes name and value, each with NUL behind it; LF for each line end in the value, none at its end. */
function putField(room: Uint8Array, at: number, head: Uint8Array, field: FieldPlace): number {
  let place = at;
  for (let i = 0; i < field.name.length; i++) room[place++] = head[field.start + i] as number;
  room[place++] = 0;
  const colon = head.indexOf(COLON, field.start);
  let end = field.end;
  if (end > colon + 1 && head[end - 1] === LF) end--;
  if (end > colon + 1 && head[end - 1] === CR) end--;
  const from = !field.leadingSpace && head[colon + 1] === SPACE ? colon + 2 : colon + 1;
  for (let i = from; i < end; i++) {
    const octet = head[i] as number;
    // A NUL would end the value early, in the eyes of the filter.
    if (octet === 0 || (octet === CR && head[i + 1] === LF)) continue;
    room[place++] = octet;
  }
  room[place++] = 0;
  return place;
}
