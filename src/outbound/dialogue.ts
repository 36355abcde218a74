/**
 * Remembers what was said on a connection, so that a failure can show it. Nothing is built while all goes well: commands
 * and replies are kept as they are, a few of them, and lines are made of them when somebody asks.
 */

import type { Clock } from "../clock/mod.ts";
import { boundDialogue, type DialogueLine, HIDDEN, type Reply, replyLines } from "../smtp/mod.ts";
import type { Wire } from "../telemetry/mod.ts";

/** Commands that are kept from the beginning, and from the end. The latter hold all that can be unanswered at once. */
const FIRST = 16;
const LATEST = 128;
/** Recipients that are shown beside the one that was answered last. */
const RECIPIENTS_SHOWN = 2;
/** Size of what is made of it, in characters; less where many recipients keep a copy each. */
const MOST = 4096;
const MANY = 50;
const MOST_OF_MANY = 1024;
/** Longest reply that is kept as it is: lines, and characters of the first. */
const USUAL_LINES = 1;
const USUAL_LENGTH = 512;
const MOST_LINES = 40;

/** Whose connection it is. */
export interface Correspondent {
  readonly host: string;
  readonly ip: string;
}

let sessions = 0;

const nextId = () => `o${(++sessions).toString(36)}`;

/** Tells those who listen that there is no connection. */
export function tellUnreached(wire: Wire | undefined, { host, ip }: Correspondent, why: string): void {
  if (wire?.tap === undefined) return;
  const session = nextId();
  wire.tap({ direction: "out", session, peer: ip, host, listener: "", from: "note", text: [why], end: true });
}

/** The dialogue of one connection. */
export class Dialogue {
  /** An AUTH exchange is under way: nothing of it is kept but the codes of its replies. */
  secret = false;

  #clock: Clock;
  #wire: Wire | undefined;
  #with: Correspondent;
  #id: string;
  #begun: number;
  #again = false;
  /** Command lines with or without CRLF, `""` for a reply that answers none, numbers for octets of content. */
  #commands: (string | number)[] = [];
  #sent: number[] = [];
  #replies: (Reply | undefined)[] = [];
  #heard: number[] = [];
  #said = 0;
  #answered = 0;

  constructor(clock: Clock, correspondent: Correspondent, wire: Wire | undefined) {
    this.#clock = clock;
    this.#with = correspondent;
    this.#wire = wire;
    this.#id = nextId();
    this.#begun = clock.now();
    if (wire?.tap !== undefined) this.#tell("note", [`connected to ${correspondent.host}[${correspondent.ip}]`]);
  }

  /** A command goes out, or so many octets of content do. */
  said(command: string | number): void {
    const slot = slotOf(this.#said++);
    this.#commands[slot] = this.secret ? hide(command) : command;
    this.#sent[slot] = this.#clock.now();
    this.#replies[slot] = undefined;
    if (this.#wire?.tap !== undefined && command !== "") {
      this.#tell("client", [commandText(this.#commands[slot] ?? "")]);
    }
  }

  /** A reply came. Replies come in the order of commands; one more than there were commands stands by itself. */
  heard(reply: Reply): void {
    if (this.#answered === this.#said) this.said("");
    const slot = slotOf(this.#answered++);
    const kept = this.secret ? withoutText(reply) : shortened(reply);
    this.#replies[slot] = kept;
    this.#heard[slot] = this.#clock.now();
    if (this.#wire?.tap !== undefined) this.#tell("server", replyLines(kept));
  }

  /** Something happened that nobody said. */
  note(text: string): void {
    if (this.#wire?.tap !== undefined) this.#tell("note", [text]);
  }

  /** The connection is closed. */
  closed(): void {
    const tap = this.#wire?.tap;
    if (tap !== undefined) this.#tell("note", ["connection closed"], true);
  }

  /** Another transaction begins on a connection that had one: what was said before does not matter to it. */
  again(): void {
    this.#again = true;
    this.#said = this.#answered = 0;
    this.#begun = this.#clock.now();
    // What many recipients left behind would be kept as long as the connection is.
    if (this.#commands.length > FIRST) {
      for (const list of [this.#commands, this.#sent, this.#replies, this.#heard]) list.length = FIRST;
    }
  }

  /**
   * All of it, each command with its reply: of recipients the first, and the one that was answered last.
   *
   * @param end what happened then, if nobody said so
   */
  lines(end?: string): readonly DialogueLine[] {
    const lines: DialogueLine[] = [];
    const note = (text: string, at = this.#clock.now()) => lines.push({ at: at - this.#begun, from: "note", text });
    if (this.#again) note("on a connection that was used before", this.#begun);
    let recipients = 0;
    let more = 0;
    const tellMore = (at: number | undefined) => {
      if (more > 0) note(`${more} more recipient${more === 1 ? "" : "s"}`, at);
      more = 0;
    };
    for (let index = 0; index < this.#said; index++) {
      if (index === FIRST && this.#said - LATEST > FIRST) {
        const lost = this.#said - LATEST - FIRST;
        more += lost;
        recipients += lost;
        index += lost;
      }
      const slot = slotOf(index);
      const command = this.#commands[slot] ?? "";
      const sent = this.#sent[slot] ?? this.#begun;
      // A reply without a command is one of those that LMTP gives for each recipient.
      const isRecipient = (typeof command === "string" && /^RCPT TO:/i.test(command)) ||
        (command === "" && index > 0);
      if (isRecipient && index !== this.#answered - 1 && ++recipients > RECIPIENTS_SHOWN) {
        more++;
        continue;
      }
      tellMore(sent);
      if (command !== "") lines.push({ at: sent - this.#begun, from: "client", text: commandText(command) });
      const reply = this.#replies[slot];
      if (reply === undefined) continue;
      const at = (this.#heard[slot] ?? sent) - this.#begun;
      for (const text of replyLines(reply)) lines.push({ at, from: "server", text });
    }
    tellMore(undefined);
    if (end !== undefined) note(end);
    return boundDialogue(lines, this.#said > MANY ? MOST_OF_MANY : MOST);
  }

  #tell(from: "client" | "server" | "note", text: readonly string[], end = false): void {
    const { host, ip } = this.#with;
    this.#wire?.tap?.({
      direction: "out",
      session: this.#id,
      peer: ip,
      host,
      listener: "",
      from,
      text,
      ...(end ? { end: true } : {}),
    });
  }
}

function slotOf(index: number): number {
  return index < FIRST ? index : FIRST + (index - FIRST) % LATEST;
}

function commandText(command: string | number): string {
  return typeof command === "number" ? `(${command} octets of content)` : command.trimEnd();
}

function hide(command: string | number): string {
  return typeof command === "string" && /^AUTH /i.test(command) ? `AUTH ${HIDDEN}` : HIDDEN;
}

function withoutText({ code, enhanced }: Reply): Reply {
  return enhanced === undefined ? { code, text: [HIDDEN] } : { code, enhanced, text: [HIDDEN] };
}

/** Peers may send 64 KB in one reply; a connection must not keep a hundred of those. */
function shortened(reply: Reply): Reply {
  const { text } = reply;
  if (text.length <= USUAL_LINES && (text[0]?.length ?? 0) <= USUAL_LENGTH) return reply;
  return { ...reply, text: text.slice(0, MOST_LINES).map((line) => line.slice(0, USUAL_LENGTH)) };
}
