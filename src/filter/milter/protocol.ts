/**
 * The milter protocol on the wire, as Sendmail's `include/libmilter/mfdef.h` numbers it. A packet is its length (four
 * octets, most significant first, the command counted), a command octet, and data. Texts in it end with NUL.
 */

/** What the mail server tells. */
export const COMMAND = {
  abort: 0x41, // A
  body: 0x42, // B
  connect: 0x43, // C
  macros: 0x44, // D
  endOfMessage: 0x45, // E
  helo: 0x48, // H
  quitNewConnection: 0x4b, // K
  header: 0x4c, // L
  mail: 0x4d, // M
  endOfHeader: 0x4e, // N
  negotiate: 0x4f, // O
  quit: 0x51, // Q
  rcpt: 0x52, // R
  data: 0x54, // T
  unknown: 0x55, // U
} as const;

/** Protocol steps and features (`SMFIP_*`): what a filter does not want to hear, or will not answer. */
export const STEP = {
  noConnect: 0x1,
  noHelo: 0x2,
  noMail: 0x4,
  noRcpt: 0x8,
  noBody: 0x10,
  noHeaders: 0x20,
  noEndOfHeader: 0x40,
  noReplyHeader: 0x80,
  noUnknown: 0x100,
  noData: 0x200,
  skip: 0x400,
  rejectedRcpt: 0x800,
  noReplyConnect: 0x1000,
  noReplyHelo: 0x2000,
  noReplyMail: 0x4000,
  noReplyRcpt: 0x8000,
  noReplyData: 0x10000,
  noReplyUnknown: 0x20000,
  noReplyEndOfHeader: 0x40000,
  noReplyBody: 0x80000,
  leadingSpace: 0x100000,
  dataSize256K: 0x10000000,
  dataSize1M: 0x20000000,
} as const;

/** Every action (`SMFIF_*`): add fields, change body, add and delete recipients, change fields, quarantine, change sender, add recipients with parameters, set symbol lists. */
export const ALL_ACTIONS = 0x1ff;
const ACTION_SYMBOLS = 0x100;

/** Every step and feature that is understood here. */
export const ALL_STEPS = 0x1fffff;

/** Octets of data in a packet that every filter takes. */
const USUAL_DATA_SIZE = 65_535;

/** Stages that macros are sent for, by their number in symbol lists (`SMFIM_*`). */
export const MACRO_STAGES = ["connect", "helo", "mail", "rcpt", "data", "endOfMessage", "endOfHeader"] as const;

/** One of {@link MACRO_STAGES}. */
export type MacroStage = typeof MACRO_STAGES[number];

/** What both sides have agreed on. */
export interface Agreement {
  readonly version: number;
  readonly steps: number;
  /** Most octets of a piece of the body. */
  readonly dataSize: number;
  /** Names of the macros that the filter wants at a stage, where it has said so. */
  readonly symbols: ReadonlyMap<MacroStage, readonly string[]>;
}

/** What is offered to a filter. */
export interface Offer {
  readonly version: number;
  readonly actions: number;
  readonly steps: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A packet of a command with the parts of its data; a text is followed by NUL. */
export function packet(command: number, parts: readonly (string | Uint8Array)[] = []): Uint8Array {
  const octets = parts.map((part) => typeof part === "string" ? textOctets(part) : part);
  let length = 1;
  for (const part of octets) length += part.length;
  const whole = new Uint8Array(4 + length);
  putHead(whole, 0, command, length);
  let at = 5;
  for (const part of octets) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A packet of texts alone, which is made in one go. */
export function textPacket(command: number, first: string, texts: readonly string[]): Uint8Array {
  let text = first;
  // What stands behind a NUL in a text would be read as the next one.
  for (const each of texts) text += (each.includes("\0") ? each.replaceAll("\0", "") : each) + "\0";
  const whole = new Uint8Array(5 + 3 * text.length);
  const { written } = encoder.encodeInto(text, whole.subarray(5));
  putHead(whole, 0, command, 1 + written);
  return whole.subarray(0, 5 + written);
}

/** Writes length and command of a packet. */
export function putHead(into: Uint8Array, at: number, command: number, length: number): void {
  into[at] = length >>> 24;
  into[at + 1] = (length >>> 16) & 0xff;
  into[at + 2] = (length >>> 8) & 0xff;
  into[at + 3] = length & 0xff;
  into[at + 4] = command;
}

/** A text with NUL behind it; what stands behind a NUL in it would be read as the next one. */
function textOctets(text: string): Uint8Array {
  return encoder.encode(`${text.replaceAll("\0", "")}\0`);
}

/** Numbers of 16 and 32 bits in network order. */
export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

/** See {@link uint16}. */
export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** Reads numbers and NUL-terminated texts out of the data of a packet. */
export interface DataReader {
  readonly left: number;
  /** @returns undefined if there are not four octets left */
  uint32(): number | undefined;
  /** Octets up to the next NUL, or to the end if there is none. */
  octets(): Uint8Array;
  text(): string;
}

export function readData(data: Uint8Array): DataReader {
  let at = 0;
  const octets = () => {
    const nul = data.indexOf(0, at);
    const end = nul < 0 ? data.length : nul;
    const found = data.subarray(at, end);
    at = Math.min(data.length, end + 1);
    return found;
  };
  return {
    get left() {
      return data.length - at;
    },
    uint32() {
      if (data.length - at < 4) return undefined;
      at += 4;
      return new DataView(data.buffer, data.byteOffset + at - 4, 4).getUint32(0);
    },
    octets,
    text: () => decoder.decode(octets()),
  };
}

/** The names in a list of macros. */
export function symbolNames(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((name) => name !== "");
}

/** The first packet of a connection. */
export function negotiation(offer: Offer): Uint8Array {
  return packet(COMMAND.negotiate, [uint32(offer.version), uint32(offer.actions), uint32(offer.steps)]);
}

/**
 * Reads a filter's answer to {@link negotiation}.
 *
 * @returns what is wrong with it, if it cannot be agreed to
 */
export function agree(offer: Offer, data: Uint8Array): Agreement | string {
  const reader = readData(data);
  const version = reader.uint32();
  const actions = reader.uint32();
  const steps = reader.uint32();
  if (version === undefined || actions === undefined || steps === undefined) {
    return `its negotiation has ${data.length} octets, at least 12 are needed`;
  }
  if (version < 2 || version > offer.version) {
    return `it wants protocol version ${version}, offered was ${offer.version}`;
  }
  // Symbol lists are offered by the protocol version (6), some filters set the bit without being asked.
  const beyond = (actions & ~(offer.actions | ACTION_SYMBOLS)) >>> 0;
  if (beyond !== 0) return `it wants the actions 0x${beyond.toString(16)}, which were not offered`;
  const symbols = new Map<MacroStage, readonly string[]>();
  while (reader.left > 4) {
    const stage = MACRO_STAGES[reader.uint32() ?? -1];
    const names = symbolNames(reader.text());
    // A stage of a later protocol is passed over.
    if (stage !== undefined) symbols.set(stage, names);
  }
  const wanted = steps & offer.steps;
  const dataSize = (wanted & STEP.dataSize1M) !== 0
    ? 1_048_575
    : (wanted & STEP.dataSize256K) !== 0
    ? 262_143
    : USUAL_DATA_SIZE;
  return { version, steps, dataSize, symbols };
}
