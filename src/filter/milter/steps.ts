/** The commands of a session as a milter is told them. */

import {
  formatMailCommand,
  formatPath,
  formatRcptCommand,
  type MailParameters,
  type RcptParameters,
} from "../../smtp/mod.ts";
import type { FilteredSession } from "../filter.ts";
import { LISTENER } from "../parameters.ts";
import { COMMAND, type MacroStage, packet, STEP, textPacket, uint16 } from "./protocol.ts";

/** Ends a text. */
const END = Uint8Array.of(0);

/** A command with what tells whether it is sent, and whether it is answered. */
export interface Step {
  readonly command: number;
  readonly macros: MacroStage | undefined;
  /** The filter does not want it. */
  readonly unwanted: number;
  /** The filter does not answer it. */
  readonly silent: number;
}

/** The commands that come one at a time. */
export const STEPS = {
  connect: {
    command: COMMAND.connect,
    macros: "connect",
    unwanted: STEP.noConnect,
    silent: STEP.noReplyConnect,
  },
  helo: { command: COMMAND.helo, macros: "helo", unwanted: STEP.noHelo, silent: STEP.noReplyHelo },
  mail: { command: COMMAND.mail, macros: "mail", unwanted: STEP.noMail, silent: STEP.noReplyMail },
  rcpt: { command: COMMAND.rcpt, macros: "rcpt", unwanted: STEP.noRcpt, silent: STEP.noReplyRcpt },
  /** Sendmail sends no macros with it. */
  unknown: { command: COMMAND.unknown, macros: undefined, unwanted: STEP.noUnknown, silent: STEP.noReplyUnknown },
} as const satisfies Record<string, Step>;

/** CONNECT: how the client is called, and where it is. */
export function connectPacket(session: FilteredSession, name: string): Uint8Array {
  const { ip, port } = session.remote;
  const family = ip.includes(":") ? "6" : "4";
  // A client without a name is told as Sendmail does it.
  const host = name === "unknown" ? `[${ip}]` : name;
  return packet(COMMAND.connect, [host, new TextEncoder().encode(family), uint16(port), ip]);
}

/** HELO: the name that the client gave. */
export function heloPacket(name: string): Uint8Array {
  return packet(COMMAND.helo, [name]);
}

/** A command that is none of SMTP, as the client sent it. */
export function unknownPacket(line: Uint8Array): Uint8Array {
  return packet(COMMAND.unknown, [line, END]);
}

/** MAIL: the path, then each parameter. */
export function mailPacket(sender: string, parameters: MailParameters): Uint8Array {
  const size = parameters.size;
  const peer = size === undefined ? LISTENER : { ...LISTENER, size: 0 };
  return envelopePacket(COMMAND.mail, sender, formatMailCommand(sender, parameters, peer, size ?? 0), "MAIL FROM:");
}

/** RCPT: the path, then each parameter. */
export function rcptPacket(address: string, parameters: RcptParameters): Uint8Array {
  return envelopePacket(COMMAND.rcpt, address, formatRcptCommand(address, parameters, LISTENER), "RCPT TO:");
}

function envelopePacket(command: number, address: string, line: string, verb: string): Uint8Array {
  const path = formatPath(address);
  const parameters = line.slice(verb.length + path.length).split(" ").filter((text) => text !== "");
  return textPacket(command, "", [path, ...parameters]);
}
