/**
 * Sends messages as fast as the server takes them, in lock step on several connections, and measures how long each
 * acceptance took: from the end of the data to its reply. As a program it prints one line of JSON, a
 * {@link GeneratorResult}.
 *
 *     deno run -A scripts/mail/generator.ts --port 2525 --messages 20000 --connections 20 --size 4096
 */

import { parseArgs } from "node:util";
import { composeMessage, type Dialogue, dialogueOver, openDialogue } from "./dialogue.ts";

/** What to send. */
export interface GeneratorOptions {
  readonly port: number;
  readonly messages: number;
  readonly connections: number;
  /** Octets of a message. */
  readonly size: number;
  /** Messages on one connection before it is closed and made anew. */
  readonly perConnection: number;
  /** Header fields beside those that every message has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Root certificate in PEM: TLS from the first byte, with a server called `127.0.0.1`. */
  readonly ca?: string;
}

/** What came of it. Latencies are in milliseconds. */
export interface GeneratorResult {
  readonly accepted: number;
  /** Messages that were refused, with the first refusal's text. */
  readonly refused: number;
  readonly refusal: string;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Sends all messages. A refused message is not tried again; a lost connection is an error. */
export async function generate(options: GeneratorOptions): Promise<GeneratorResult> {
  const message = composeMessage(options.size, options.headers);
  const latencies: number[] = [];
  let left = options.messages;
  let refused = 0;
  let refusal = "";

  const sendOne = async (dialogue: Dialogue): Promise<void> => {
    let began = 0;
    let reply = await dialogue.command("MAIL FROM:<generator@client.example>");
    if (reply.code === 250) reply = await dialogue.command("RCPT TO:<sink@sink.example>");
    if (reply.code === 250) reply = await dialogue.command("DATA");
    if (reply.code === 354) {
      began = performance.now();
      reply = await dialogue.send(message);
    }
    if (reply.code === 250) {
      latencies.push(performance.now() - began);
    } else {
      refused++;
      refusal ||= reply.text;
      await dialogue.command("RSET");
    }
  };

  const worker = async (): Promise<void> => {
    while (left > 0) {
      const dialogue = await (options.ca === undefined
        ? openDialogue(options.port)
        : dialogueOver(await Deno.connectTls({ hostname: "127.0.0.1", port: options.port, caCerts: [options.ca] })));
      await dialogue.command("EHLO client.example");
      for (let sent = 0; sent < options.perConnection && left > 0; sent++) {
        left--;
        await sendOne(dialogue);
      }
      await dialogue.command("QUIT");
      dialogue.close();
    }
  };

  const start = performance.now();
  await Promise.all(Array.from({ length: options.connections }, worker));
  const seconds = (performance.now() - start) / 1000;
  latencies.sort((a, b) => a - b);
  return {
    accepted: latencies.length,
    refused,
    refusal,
    seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  };
}

/** Value below which the given part of sorted numbers lies, 0 if there are none. */
export function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      port: { type: "string" },
      messages: { type: "string", default: "1000" },
      connections: { type: "string", default: "20" },
      size: { type: "string", default: "4096" },
      "per-connection": { type: "string", default: "1000000" },
      // A JSON object.
      headers: { type: "string", default: "{}" },
      ca: { type: "string" },
    },
  });
  const result = await generate({
    port: Number(values.port),
    messages: Number(values.messages),
    connections: Number(values.connections),
    size: Number(values.size),
    perConnection: Number(values["per-connection"]),
    headers: JSON.parse(values.headers) as Readonly<Record<string, string>>,
    ...(values.ca === undefined ? {} : { ca: values.ca }),
  });
  console.log(JSON.stringify(result));
}
