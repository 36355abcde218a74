/** Clients that keep sending messages with unique ids to a server that comes and goes. */

import { composeMessage, type Dialogue, openDialogue } from "../../scripts/mail/dialogue.ts";
import { pause } from "../../scripts/bench/server.ts";
import type { Answer, Sent } from "./account.ts";

// One message in so many is larger than what a session keeps in memory, or goes to several recipients.
const LARGE_EVERY = 20;
const LARGE_SIZE = 600_000;
const SMALL_SIZE = 4_096;
const SEVERAL_EVERY = 7;
// A script redirects a copy of one in so many.
const COPIED_EVERY = 3;
const REPLY_TIMEOUT_MS = 30_000;

/** The message that belongs to an id, ready to send after DATA. */
export function messageOf(id: string): Uint8Array {
  const number = Number(id.slice(0, id.indexOf("-")));
  const copied = number % COPIED_EVERY === 0 ? { "X-Copy": "yes" } : {};
  return composeMessage(number % LARGE_EVERY === 0 ? LARGE_SIZE : SMALL_SIZE, { "X-Id": id, ...copied });
}

/** Redirects a copy of some messages to `id-copy`. */
export const SCRIPT = `if allof(header "x-copy" "yes", envelope :localpart :matches "from" "*") {
  redirect :copy "\${1}-copy@sink.example";
}`;

/** A running load. */
export interface LoadRun {
  /** Everything sent so far, per recipient. */
  readonly sent: readonly Sent[];
  /** Ends after the messages under way. */
  stop(): Promise<void>;
}

/**
 * Starts `connections` clients. Each recipient's local part is `id-n`, where `id` names the message; what {@link SCRIPT}
 * makes of it counts as another recipient, `id-copy`.
 */
export function startLoad(port: number, connections: number): LoadRun {
  const sent: Sent[] = [];
  let next = 1;
  let stopping = false;

  const sendOne = async (dialogue: Dialogue): Promise<void> => {
    const number = next++;
    const message = `${number}-${crypto.randomUUID().slice(0, 8)}`;
    const recipients = Array.from(
      { length: number % SEVERAL_EVERY === 0 ? 3 : 1 },
      (_, index) => `${message}-${index}`,
    );
    let answer: Answer = "unfinished";
    try {
      await expect(dialogue.command(`MAIL FROM:<${message}@client.example>`), 250);
      for (const id of recipients) await expect(dialogue.command(`RCPT TO:<${id}@sink.example>`), 250);
      await expect(dialogue.command("DATA"), 354);
      // From here on the server may have all of it.
      answer = "unanswered";
      const reply = await dialogue.send(messageOf(message));
      answer = reply.code === 250 ? "accepted" : "refused";
    } catch (error) {
      if (error instanceof Refused) answer = "refused";
      throw error;
    } finally {
      for (const id of recipients) sent.push({ id, answer });
      if (number % COPIED_EVERY === 0) sent.push({ id: `${message}-copy`, answer });
    }
  };

  const client = async (): Promise<void> => {
    while (!stopping) {
      try {
        const dialogue = await openDialogue(port, REPLY_TIMEOUT_MS);
        try {
          await expect(dialogue.command("EHLO client.example"), 250);
          while (!stopping) await sendOne(dialogue);
        } finally {
          dialogue.close();
        }
      } catch {
        // The server is down, or refuses for now.
        await pause(20);
      }
    }
  };

  const clients = Array.from({ length: connections }, client);
  return {
    sent,
    async stop() {
      stopping = true;
      await Promise.all(clients);
    },
  };
}

class Refused extends Error {}

async function expect(reply: ReturnType<Dialogue["command"]>, code: number): Promise<void> {
  const { code: found, text } = await reply;
  if (found !== code) throw new Refused(text);
}
