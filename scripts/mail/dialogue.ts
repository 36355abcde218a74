/**
 * The client's side of an SMTP or LMTP dialogue, for measuring and for provoking. It shares no code with godwit, so
 * that one's mistake does not hide the other's.
 */

/** A reply: its code and its lines, without line ends. */
export interface Reply {
  readonly code: number;
  readonly text: string;
}

/** An open dialogue. Any method rejects once the connection is lost. */
export interface Dialogue {
  /** The greeting of the server. */
  readonly greeting: Reply;
  /** Sends a command line and waits for its reply. */
  command(line: string): Promise<Reply>;
  /** Sends bytes as they are and waits for one reply. */
  send(bytes: Uint8Array): Promise<Reply>;
  /** Waits for one more reply. */
  reply(): Promise<Reply>;
  /** Closes the connection without QUIT. */
  close(): void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const LARGEST_REPLY = 64 * 1024;
const LF = 10;
const DASH = 45;

/** How long a reply may take, if nothing else is asked for. */
const REPLY_TIMEOUT_MS = 60_000;

/** Connects over loopback and reads the greeting. */
export async function openDialogue(port: number, timeoutMs = REPLY_TIMEOUT_MS): Promise<Dialogue> {
  const connection = await Deno.connect({ port, hostname: "127.0.0.1" });
  connection.setNoDelay(true);
  return await dialogueOver(connection, timeoutMs);
}

/** Reads the greeting on a connection made elsewhere. A reply that takes too long ends the connection. */
export async function dialogueOver(connection: Deno.Conn, timeoutMs = REPLY_TIMEOUT_MS): Promise<Dialogue> {
  const readReply = replyReader(connection);
  const watch = watchReplies(connection, timeoutMs);
  const close = () => {
    watch.stop();
    closeQuietly(connection);
  };
  const reply = async (): Promise<Reply> => {
    watch.began();
    try {
      return await readReply();
    } catch (error) {
      close();
      throw error;
    } finally {
      watch.ended();
    }
  };
  const send = async (bytes: Uint8Array): Promise<Reply> => {
    await writeAll(connection, bytes);
    return await reply();
  };
  return {
    greeting: await reply(),
    command: (line) => send(encoder.encode(`${line}\r\n`)),
    send,
    reply,
    close,
  };
}

/** A message of about `size` octets, ready to send after DATA: dot-stuffed and with the end of data. */
export function composeMessage(size: number, headers: Readonly<Record<string, string>> = {}): Uint8Array {
  const fields = Object.entries({
    From: "<generator@client.example>",
    To: "<sink@sink.example>",
    Date: "Tue, 1 Jul 2025 10:52:37 +0200",
    Subject: "a message to measure with",
    ...headers,
  });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("") + "\r\n";
  const line = "The bar-tailed godwit flies eleven thousand kilometres without landing once.\r\n";
  const lines = Math.max(1, Math.ceil((size - head.length) / line.length));
  return encoder.encode(`${head}${line.repeat(lines)}.\r\n`);
}

/** Writes all of `bytes`. */
export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
}

/** Closes a connection that may be closed already. */
export function closeQuietly(connection: { close(): void }): void {
  try {
    connection.close();
  } catch {
    // Closed before: by the other side's reset, or by us.
  }
}

/**
 * Closes the connection when a reply has been awaited for too long. One timer serves all replies of a dialogue: setting
 * one for each would weigh on what is measured.
 */
function watchReplies(connection: Deno.Conn, timeoutMs: number) {
  let waitingSince: number | undefined;
  const timer = setInterval(() => {
    if (waitingSince !== undefined && performance.now() - waitingSince > timeoutMs) closeQuietly(connection);
  }, Math.max(100, timeoutMs / 10));
  return {
    began: () => void (waitingSince = performance.now()),
    ended: () => void (waitingSince = undefined),
    stop: () => clearInterval(timer),
  };
}

function replyReader(connection: Deno.Conn): () => Promise<Reply> {
  let buffer = new Uint8Array(4096);
  let filled = 0;
  return async () => {
    for (;;) {
      const end = endOfReply(buffer, filled);
      if (end > 0) {
        const text = decoder.decode(buffer.subarray(0, end)).trimEnd();
        buffer.copyWithin(0, end, filled);
        filled -= end;
        return { code: Number(text.slice(0, 3)), text };
      }
      if (filled === buffer.length) {
        if (filled >= LARGEST_REPLY) throw new Error("the reply does not end");
        const larger = new Uint8Array(2 * buffer.length);
        larger.set(buffer);
        buffer = larger;
      }
      const read = await connection.read(buffer.subarray(filled));
      if (read === null) throw new Error("the server closed the connection");
      filled += read;
    }
  };
}

/** Length of the first complete reply, 0 if there is none. The last line has no hyphen after the code. */
function endOfReply(buffer: Uint8Array, filled: number): number {
  let start = 0;
  for (;;) {
    const end = buffer.indexOf(LF, start);
    if (end < 0 || end >= filled) return 0;
    if (buffer[start + 3] !== DASH) return end + 1;
    start = end + 1;
  }
}
