/** A session without sockets: a client that writes into memory, a queue that fails when told to, a clock that stands. */

import assert from "node:assert/strict";
import { compileScripts } from "../../src/config/build/scripts.ts";
import { type Config, formatProblem, parseConfig } from "../../src/config/mod.ts";
import type { SessionConfig } from "../../src/config/config.ts";
import type { Account, Directory } from "../../src/directory/mod.ts";
import type { FunctionHost } from "../../src/expression/mod.ts";
import { createFilterChain, type Filter } from "../../src/filter/mod.ts";
import { type InboundDependencies, type Intake, serveSession, type Session } from "../../src/inbound/mod.ts";
import type { ServerConnection, TlsInfo } from "../../src/net/mod.ts";
import { type ContentWriter, type NewMessage, type SpooledContent, StoreUnavailable } from "../../src/queue/mod.ts";
import type { Emit, EventFields } from "../../src/telemetry/mod.ts";
import { FakeClock } from "./fake_clock.ts";

/** An event of a session. */
export interface SeenEvent {
  readonly name: string;
  readonly fields: EventFields;
}

/** What a session runs in; several sessions may share one. */
export interface SessionWorld {
  readonly deps: InboundDependencies;
  readonly clock: FakeClock;
  readonly events: SeenEvent[];
  readonly queue: MemoryQueue;
}

/** How to build a {@link SessionWorld}. */
export interface WorldOptions {
  /** TOML that is put before the base configuration, as in `startTestServer`. */
  readonly settings?: string;
  readonly filters?: readonly Filter[];
  readonly queue?: MemoryQueue;
  readonly directory?: Directory;
  readonly functions?: Partial<FunctionHost>;
  /** Checks of who sends; none without. */
  readonly checks?: InboundDependencies["checks"];
}

const BASE = `
[server]
hostname = "mx.example.org"
[server.listener.smtp]
bind = "127.0.0.1:25"
protocol = "smtp"
[store.data]
type = "libsql"
url = "file:/nowhere/godwit.db"
[storage]
data = "data"
directory = "staff"
[directory.staff]
type = "memory"
[[directory.staff.principals]]
name = "ana"
secret = "secret"
email = ["ana@example.org"]
`;

/** Ana, Bob and the list of both at example.org; the password of Ana is `secret`. */
export const staff: Directory = {
  id: "staff",
  isLocalDomain: (domain) => domain === "example.org" || domain === "bücher.example",
  localDomains: () => ["example.org"],
  recipients: (address) =>
    address === "ana@example.org" || address === "postmaster@example.org" || address === "ana@bücher.example"
      ? ["ana"]
      : address === "bob@example.org"
      ? ["bob"]
      : address === "staff@example.org"
      ? ["ana", "bob"]
      : [],
  account: (name) => ACCOUNTS.get(name),
  login: (name, password) => {
    const account = ACCOUNTS.get(name);
    return Promise.resolve(
      account !== undefined && password === "secret" ? { kind: "accepted", account } : { kind: "refused" },
    );
  },
};

const ACCOUNTS = new Map<string, Account>([
  ["ana", {
    name: "ana",
    class: "individual",
    description: "Ana Lima",
    emails: ["ana@example.org", "ana@bücher.example"],
  }],
  ["bob", { name: "bob", class: "individual", emails: ["bob@example.org"] }],
]);

/** The part of a configuration that sessions use. */
export function sessionConfig(settings = ""): SessionConfig {
  return configuration(settings).session;
}

/** A configuration that sessions can run under. */
export function configuration(settings = ""): Config {
  const { config, problems } = parseConfig(`${settings}\n${BASE}`, { file: "/nowhere/config.toml", compileScripts });
  assert.ok(config, problems.map((problem) => formatProblem(problem)).join("\n"));
  return config;
}

const noLookups: FunctionHost = {
  isLocalDomain: () => false,
  isLocalAddress: () => false,
  keyGet: () => "",
  keyExists: () => false,
  keySet: () => false,
  counterGet: () => 0,
  counterIncr: () => 0,
  sqlQuery: () => "",
  dnsQuery: () => [],
};

/** Builds what a session runs in. */
export function sessionWorld(options: WorldOptions = {}): SessionWorld {
  const clock = new FakeClock();
  const events: SeenEvent[] = [];
  const emit: Emit = (name, fields = {}) => void events.push({ name, fields });
  const queue = options.queue ?? memoryQueue();
  const filters = createFilterChain(options.filters ?? []);
  return {
    clock,
    events,
    queue,
    deps: {
      config: sessionConfig(options.settings),
      hostname: "mx.example.org",
      listenerGreetings: new Map(),
      directories: new Map([["staff", options.directory ?? staff]]),
      functions: { ...noLookups, ...options.functions },
      ...(filters === undefined ? {} : { filters }),
      ...(options.checks === undefined ? {} : { checks: options.checks }),
      queue,
      clock,
      emit,
    },
  };
}

/** A queue in memory that keeps account of what it holds. */
export interface MemoryQueue extends Intake {
  /** What was accepted. */
  readonly messages: NewMessage[];
  /** Content that is neither queued nor dropped. */
  readonly pending: number;
  /** The step that fails next, and how. */
  failing: { readonly step: "write" | "finish" | "enqueue"; readonly full: boolean } | undefined;
  /** The octets of an accepted message. */
  text(index: number): string;
}

/** Makes an empty {@link MemoryQueue}. */
export function memoryQueue(): MemoryQueue {
  let nextId = 2 ** 43;
  const pending = new Set<object>();
  const bytesOf = new WeakMap<object, Uint8Array>();
  const messages: NewMessage[] = [];
  const check = (step: string) => {
    if (queue.failing?.step === step) throw new StoreUnavailable("the store is away", queue.failing.full);
  };
  const spooled = (bytes: Uint8Array, token: object): SpooledContent => {
    const content: SpooledContent = {
      size: bytes.length,
      head: bytes,
      complete: true,
      chunks: () => [bytes],
      withHead: (head) => spooled(head, token),
      discard: () => void pending.delete(token),
    };
    bytesOf.set(content, bytes);
    return content;
  };
  const queue: MemoryQueue = {
    messages,
    failing: undefined,
    get pending() {
      return pending.size;
    },
    nextId: () => ++nextId,
    contentWriter(): ContentWriter {
      const token = {};
      const parts: Uint8Array[] = [];
      pending.add(token);
      let size = 0;
      return {
        get size() {
          return size;
        },
        write(bytes) {
          size += bytes.length;
          parts.push(bytes.slice());
          return queue.failing?.step === "write"
            ? Promise.reject(new StoreUnavailable("the store is away", queue.failing.full))
            : undefined;
        },
        finish() {
          return new Promise((resolve) => {
            check("finish");
            const whole = new Uint8Array(size);
            let at = 0;
            for (const part of parts) {
              whole.set(part, at);
              at += part.length;
            }
            resolve(spooled(whole, token));
          });
        },
        abort: () => void pending.delete(token),
      };
    },
    enqueue(message, others = []) {
      return new Promise((resolve) => {
        check("enqueue");
        messages.push(message, ...others);
        // One message at a time: whatever is pending now belongs to it.
        pending.clear();
        resolve(undefined);
      });
    },
    text(index) {
      const message = messages[index];
      assert.ok(message, `no message ${index}`);
      return Array.from(message.content.head, (octet) => String.fromCharCode(octet)).join("");
    },
  };
  return queue;
}

/** The client's side of a session. */
export interface TestClient {
  /** Sends octets as they are; a string as Latin-1. */
  send(data: string | Uint8Array): void;
  /** The next reply, its lines joined by line feeds. Rejects when the session ends instead. */
  reply(): Promise<string>;
  /** Sends a line in UTF-8 and gives the reply. */
  say(line: string): Promise<string>;
  /** Closes the client's side. */
  hangUp(): void;
  /** Everything the server has said and that was not taken by {@link reply}. */
  readonly unread: string;
  /** Resolves when the session is over. */
  readonly ended: Promise<void>;
  readonly session: Session;
}

/** How a client connects. */
export interface ClientOptions {
  readonly protocol?: "smtp" | "lmtp";
  readonly listener?: string;
  readonly remoteIp?: string;
  readonly localPort?: number;
  /** Whether TLS is up from the start. */
  readonly tls?: boolean;
  readonly canStartTls?: boolean;
  /** Called when the server starts a handshake; what the client sends afterwards is behind it. */
  readonly onHandshake?: () => void;
  /** Most octets that one read gives, to cut input into segments. */
  readonly segment?: number;
}

const TLS: TlsInfo = { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", cipherBits: 256 };
const encoder = new TextEncoder();

/** Opens a session. */
export function openSession(world: SessionWorld, options: ClientOptions = {}): TestClient {
  const input: Uint8Array[] = [];
  let inputEnd = false;
  let closed = false;
  let tls: TlsInfo | undefined = options.tls === true ? TLS : undefined;
  let wakeServer: (() => void) | undefined;
  let output = "";
  let wakeClient: (() => void) | undefined;
  const decoder = new TextDecoder();
  const touch = () => {
    wakeServer?.();
    wakeServer = undefined;
    wakeClient?.();
    wakeClient = undefined;
  };
  const connection: ServerConnection = {
    listener: options.listener ?? "smtp",
    protocol: options.protocol ?? "smtp",
    remote: { ip: options.remoteIp ?? "192.0.2.7", port: 40000 },
    local: { ip: "192.0.2.1", port: options.localPort ?? 25 },
    get tls() {
      return tls;
    },
    get canStartTls() {
      return tls === undefined && options.canStartTls !== false;
    },
    async read(buffer) {
      while (true) {
        if (closed) throw new Error("closed on this side");
        const first = input[0];
        if (first !== undefined) {
          const count = Math.min(buffer.length, first.length, options.segment ?? Infinity);
          buffer.set(first.subarray(0, count));
          if (count === first.length) input.shift();
          else input[0] = first.subarray(count);
          return count;
        }
        if (inputEnd) return null;
        await new Promise<void>((resolve) => wakeServer = resolve);
      }
    },
    write(bytes) {
      if (closed) return Promise.reject(new Error("closed on this side"));
      output += decoder.decode(bytes, { stream: true });
      touch();
      return Promise.resolve();
    },
    close() {
      closed = true;
      touch();
    },
    startTls() {
      options.onHandshake?.();
      tls = TLS;
      return Promise.resolve(TLS);
    },
  };
  let session: Session | undefined;
  let over = false;
  const ended = serveSession(connection, world.deps, (opened) => session = opened).then(() => {
    over = true;
    touch();
  });
  assert.ok(session);
  const take = (): string | undefined => {
    const lines: string[] = [];
    let at = 0;
    while (true) {
      const end = output.indexOf("\r\n", at);
      if (end < 0) return undefined;
      const line = output.slice(at, end);
      lines.push(line);
      at = end + 2;
      if (line[3] !== "-") break;
    }
    output = output.slice(at);
    return lines.join("\n");
  };
  const client: TestClient = {
    session,
    ended,
    send(data) {
      input.push(typeof data === "string" ? Uint8Array.from(data, (char) => char.charCodeAt(0)) : data);
      touch();
    },
    async reply() {
      while (true) {
        const reply = take();
        if (reply !== undefined) return reply;
        if (over || closed) assert.fail(`the session ended; unread: ${JSON.stringify(output)}`);
        await new Promise<void>((resolve) => wakeClient = resolve);
      }
    },
    say(line) {
      client.send(encoder.encode(`${line}\r\n`));
      return client.reply();
    },
    hangUp() {
      inputEnd = true;
      touch();
    },
    get unread() {
      return output;
    },
  };
  return client;
}

/** A session whose greeting and EHLO are over. */
export async function greeted(
  world: SessionWorld,
  options: ClientOptions & { readonly login?: boolean } = {},
): Promise<TestClient> {
  const client = openSession(world, options);
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.say(`${options.protocol === "lmtp" ? "LHLO" : "EHLO"} client.example.net`), /^250/);
  if (options.login === true) assert.match(await client.say("AUTH PLAIN AGFuYQBzZWNyZXQ="), /^235 /);
  return client;
}

/** Says each line and checks that the replies start as given. */
export async function dialogue(client: TestClient, ...steps: readonly (readonly [string, string])[]): Promise<void> {
  for (const [line, expected] of steps) {
    const reply = await client.say(line);
    assert.ok(reply.startsWith(expected), `${line}: expected ${expected}, got ${reply}`);
  }
}

/** Sends a whole message; gives the reply to it. */
export async function sendMessage(
  client: TestClient,
  options: { readonly from?: string; readonly to?: readonly string[]; readonly content?: string } = {},
): Promise<string> {
  const { from = "a@example.net", to = ["ana@example.org"], content = "Subject: x\r\n\r\nbody\r\n" } = options;
  await dialogue(client, [`MAIL FROM:<${from}>`, "250 "], ...to.map((one) => [`RCPT TO:<${one}>`, "250 "] as const));
  assert.match(await client.say("DATA"), /^354 /);
  client.send(`${content}.\r\n`);
  return await client.reply();
}
