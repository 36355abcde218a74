/** A minimal SMTP and LMTP client for tests: one message, every reply kept. */

import assert from "node:assert/strict";

/** What to send. */
export interface Submission {
  readonly from: string;
  readonly to: readonly string[];
  /** Header and body with CRLF line ends; dots are stuffed here. */
  readonly content: string;
  readonly lmtp?: boolean;
  readonly mailParameters?: string;
}

/** A dialogue with a server, line by line. */
export interface Client extends Disposable {
  readonly conn: Deno.Conn;
  /** The next reply, its lines joined by line feeds. */
  reply(): Promise<string>;
  /** Sends a line and gives the reply. */
  say(line: string): Promise<string>;
  /** Sends octets as they are. */
  write(bytes: Uint8Array | string): Promise<void>;
}

/** Connects; the greeting is still to be read. */
export async function connectClient(address: { hostname: string; port: number }): Promise<Client> {
  const conn = await Deno.connect(address);
  const buffer = new Uint8Array(65536);
  let pending = "";
  const decoder = new TextDecoder();
  const line = async () => {
    while (!pending.includes("\r\n")) {
      const count = await conn.read(buffer);
      assert.notEqual(count, null, "the server closed the connection");
      pending += decoder.decode(buffer.subarray(0, count ?? 0), { stream: true });
    }
    const end = pending.indexOf("\r\n");
    const text = pending.slice(0, end);
    pending = pending.slice(end + 2);
    return text;
  };
  const reply = async () => {
    const lines = [await line()];
    while (lines.at(-1)?.[3] === "-") lines.push(await line());
    return lines.join("\n");
  };
  const write = async (bytes: Uint8Array | string) => {
    const octets = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    for (let at = 0; at < octets.length;) at += await conn.write(octets.subarray(at));
  };
  return {
    conn,
    reply,
    write,
    async say(text) {
      await write(`${text}\r\n`);
      return await reply();
    },
    [Symbol.dispose]: () => conn.close(),
  };
}

/** Sends one message. @returns the replies to end of data: one, or for LMTP one for each accepted recipient */
export async function submit(
  address: { hostname: string; port: number },
  message: Submission,
): Promise<readonly string[]> {
  using client = await connectClient(address);
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.say(`${message.lmtp ? "LHLO" : "EHLO"} client.example.net`), /^250/);
  assert.match(await client.say(`MAIL FROM:<${message.from}>${message.mailParameters ?? ""}`), /^250 /);
  let accepted = 0;
  for (const to of message.to) if ((await client.say(`RCPT TO:<${to}>`)).startsWith("250")) accepted++;
  assert.match(await client.say("DATA"), /^354 /);
  const stuffed = message.content.replace(/^\./gm, "..");
  await client.write(`${stuffed}${stuffed.endsWith("\r\n") ? "" : "\r\n"}.\r\n`);
  const replies: string[] = [];
  for (let i = 0; i < (message.lmtp ? accepted : 1); i++) replies.push(await client.reply());
  await client.say("QUIT");
  return replies;
}
