/** Asking an IMAP server (RFC 9051) whether it takes a login. */

import type { RemoteDirectoryConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import { ConnectionBroken, type Pooled } from "./connection_pool.ts";
import { openRemoteStream, type RemoteOptions, toBase64 } from "./remote_stream.ts";

/** A session with the server. */
export interface ImapLink extends Pooled {
  /** Makes sure that it is still there. */
  reset(): Promise<void>;
  /** Whether the server accepts a login. After one that it accepted, the session can do nothing more. */
  accepts(name: string, password: string): Promise<boolean>;
}

/** Octets of a line, and lines of an answer, that are read. */
const LONGEST_LINE = 8192;
const MOST_LINES = 100;

/** How a command ended: `OK`, `NO` or `BAD` with its text, or `+` if the server wants more. */
interface Completion {
  readonly status: string;
  readonly text: string;
}

/** Opens a session: greeting, and TLS if the server offers it. */
export async function openImapLink(config: RemoteDirectoryConfig, options: RemoteOptions): Promise<ImapLink> {
  const stream = await openRemoteStream(config, options);
  const server = `directory ${config.id}: ${config.address}`;
  const decoder = new TextDecoder();
  let pending = "";
  let capabilities: ReadonlySet<string> = new Set();
  let commands = 0;
  let failures = 0;
  let finished = false;

  const line = async (): Promise<string> => {
    while (true) {
      const end = pending.indexOf("\n");
      if (end >= 0) {
        const found = pending.slice(0, end).replace(/\r$/, "");
        pending = pending.slice(end + 1);
        return found;
      }
      if (pending.length > LONGEST_LINE) {
        stream.close();
        throw new ConnectionBroken("the server sends a line without end");
      }
      pending += decoder.decode(await stream.read(), { stream: true });
    }
  };
  const learn = (words: string) => capabilities = new Set(words.toUpperCase().trim().split(/\s+/));
  /** Reads up to the end of the command with this tag. */
  const completion = async (tag: string): Promise<Completion> => {
    for (let count = 0; count < MOST_LINES; count++) {
      const text = await line();
      if (text.startsWith("+")) return { status: "+", text: text.slice(1).trim() };
      const untagged = /^\* CAPABILITY (.*)$/i.exec(text);
      if (untagged !== null) learn(untagged[1] ?? "");
      if (/^\* BYE\b/i.test(text)) {
        stream.close();
        throw new ConnectionBroken(`the server says ${text.slice(2)}`);
      }
      const tagged = /^(\S+) (OK|NO|BAD)\b ?(.*)$/i.exec(text);
      if (tagged === null || tagged[1] !== tag) continue;
      const code = /^\[CAPABILITY ([^\]]*)\]/i.exec(tagged[3] ?? "");
      if (code !== null) learn(code[1] ?? "");
      return { status: (tagged[2] ?? "").toUpperCase(), text: tagged[3] ?? "" };
    }
    stream.close();
    throw new ConnectionBroken("the server sends lines without end");
  };
  const command = async (text: string): Promise<{ readonly tag: string; readonly done: Completion }> => {
    const tag = `g${++commands}`;
    await stream.write(`${tag} ${text}\r\n`);
    return { tag, done: await completion(tag) };
  };
  const unexpected = (what: string, { status, text }: Completion) =>
    new LookupUnavailable(`${server} answers ${what} with ${status} ${text}`);

  const begin = async () => {
    const greeting = await line();
    if (!/^\* OK\b/i.test(greeting)) throw new LookupUnavailable(`${server} greets with ${greeting}`);
    const { done } = await command("CAPABILITY");
    if (done.status !== "OK") throw unexpected("CAPABILITY", done);
    if (stream.encrypted || !capabilities.has("STARTTLS")) return;
    const starting = await command("STARTTLS");
    if (starting.done.status !== "OK") throw unexpected("STARTTLS", starting.done);
    // RFC 9051 §6.2.1: what was said before TLS counts no more.
    pending = "";
    capabilities = new Set();
    await stream.startTls();
    await command("CAPABILITY");
  };

  try {
    await begin();
  } catch (error) {
    stream.close();
    throw error;
  }

  return {
    get alive() {
      return stream.alive && !finished;
    },
    close: () => stream.close("bye LOGOUT\r\n"),
    async reset() {
      await command("NOOP");
    },
    async accepts(name, password) {
      if (!stream.isPrivate || !capabilities.has("AUTH=PLAIN")) {
        finished = true;
        const why = stream.isPrivate ? "does not offer AUTH=PLAIN" : "has no TLS, a login would show the password";
        throw new LookupUnavailable(`${server} ${why}`);
      }
      const response = toBase64(`\0${name}\0${password}`);
      let { tag, done } = await command(
        capabilities.has("SASL-IR") ? `AUTHENTICATE PLAIN ${response}` : "AUTHENTICATE PLAIN",
      );
      if (done.status === "+") {
        await stream.write(`${response}\r\n`);
        done = await completion(tag);
      }
      if (done.status === "OK") {
        finished = true;
        return true;
      }
      failures++;
      if (failures >= config.limits.authErrors) finished = true;
      // RFC 5530 §3: these say that the server cannot tell for now.
      if (done.status === "NO" && !/^\[(?:UNAVAILABLE|SERVERBUG|INUSE|LIMIT|CONTACTADMIN)/i.test(done.text)) {
        return false;
      }
      finished = true;
      throw unexpected("AUTHENTICATE", done);
    },
  };
}
