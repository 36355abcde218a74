/**
 * Holds the session that a message would come by, with a client that is made up: the stages are those that serve real
 * clients. Nothing is queued, counted or delayed.
 */

import type { Config, ListenerConfig } from "../../config/mod.ts";
import type { Account } from "../../directory/mod.ts";
import type { FunctionHost, Scope, SettingAccount, Value } from "../../expression/mod.ts";
import { type InboundDependencies, type Intake, serveSession } from "../../inbound/mod.ts";
import type { Endpoint, ServerConnection } from "../../net/mod.ts";
import { contentOf, type ContentWriter, type NewMessage } from "../../queue/mod.ts";
import {
  DotEncoder,
  formatMailCommand,
  formatRcptCommand,
  type MailParameters,
  needsSmtpUtf8,
  NO_EXTENSIONS,
  parseEhlo,
  type Reply,
  replyLines,
  ReplyParser,
} from "../../smtp/mod.ts";
import { givesRows } from "../../store/mod.ts";
import type { ExplainRequest } from "./request.ts";

/** What happened in one stage, in order. */
export interface RehearsedStage {
  readonly name: string;
  readonly said: { readonly from: "client" | "server"; readonly text: string }[];
  readonly accounts: { readonly key: string; readonly account: Promise<SettingAccount<unknown>> }[];
  /** Scope of each limiter that was asked: the variables at that moment. */
  readonly limits: { readonly stage: string; readonly scope: Scope }[];
  readonly notes: string[];
}

/** What came of the session. */
export interface Rehearsal {
  readonly stages: readonly RehearsedStage[];
  readonly message: Uint8Array;
  /** What would be queued; undefined if nothing would. */
  readonly queued: NewMessage | undefined;
  /** Recipients that were refused, with the reply. */
  readonly refused: ReadonlyMap<string, string>;
}

/** Where stages are written to while they are rehearsed. */
export interface Recorder {
  readonly stages: RehearsedStage[];
  begin(name: string): void;
  readonly current: RehearsedStage;
}

/** Makes a record; a stage has to begin before anything else. */
export function createRecorder(): Recorder {
  const open = (name: string): RehearsedStage => ({ name, said: [], accounts: [], limits: [], notes: [] });
  const stages: RehearsedStage[] = [];
  return {
    stages,
    begin: (name) => void stages.push(open(name)),
    get current() {
      return stages.at(-1) ?? open("");
    },
  };
}

/** Functions that change nothing: what would be written is left as it is. */
export function readingOnly(functions: FunctionHost): FunctionHost {
  return {
    ...functions,
    keySet: () => true,
    counterIncr: async (store, name, amount) => await functions.counterGet(store, name) + amount,
    sqlQuery: (store, sql, args): Value | Promise<Value> =>
      givesRows(sql) && !/\bpragma\b/i.test(sql) ? functions.sqlQuery(store, sql, args) : 0,
  };
}

/** Holds the session. Never rejects for what stages answer. */
export async function rehearse(
  request: ExplainRequest,
  inbound: InboundDependencies,
  { config, account, record }: {
    readonly config: Config;
    /** Who is logged in. */
    readonly account: Account | undefined;
    readonly record: Recorder;
  },
): Promise<Rehearsal> {
  const message = request.message ?? madeUp(request);
  const listener = listenerOf(config, request);
  let queued: NewMessage | undefined;
  const refused = new Map<string, string>();
  const { filters: _, ...others } = inbound;
  const deps: InboundDependencies = {
    ...others,
    functions: readingOnly(inbound.functions),
    limits: {
      admit(stage, scope) {
        record.current.limits.push({ stage, scope: { ...scope, variables: { ...scope.variables } } });
        return { kind: "admitted", release: () => {} };
      },
    },
    queue: {
      ...NO_QUEUE,
      enqueue(given) {
        queued = given;
        return Promise.resolve(undefined);
      },
    },
    loginRefused: () => false,
  };
  const connection = connectionOf(request, listener, client(request, message, { listener, record, refused }), record);
  await serveSession(connection, deps, (session) => {
    if (account === undefined) return;
    session.account = account;
    session.variables.authenticated_as = account.name;
  });
  return { stages: record.stages, message, queued, refused };
}

/** A message as short as they come. */
function madeUp({ from, to }: ExplainRequest): Uint8Array {
  const author = from === "" ? "MAILER-DAEMON@client.example" : from;
  return new TextEncoder().encode(`From: <${author}>\r\nTo: <${to[0] ?? ""}>\r\nSubject: a question\r\n\r\n`);
}

function listenerOf(config: Config, { listener }: ExplainRequest): ListenerConfig | undefined {
  const forMail = config.server.listeners.filter(({ protocol }) => protocol !== "http");
  return listener === undefined ? forMail[0] : forMail.find(({ id }) => id === listener);
}

type Script = Generator<Uint8Array, void, readonly Reply[]>;

/** The client: what it sends, by what it is told. */
function* client(
  request: ExplainRequest,
  message: Uint8Array,
  { listener, record, refused }: {
    readonly listener: ListenerConfig | undefined;
    readonly record: Recorder;
    readonly refused: Map<string, string>;
  },
): Script {
  const encoder = new TextEncoder();
  function* say(line: string): Generator<Uint8Array, Reply, readonly Reply[]> {
    record.current.said.push({ from: "client", text: line });
    return (yield encoder.encode(`${line}\r\n`)).at(-1) ?? NO_REPLY;
  }
  record.begin("ehlo");
  const hello = yield* say(`${listener?.protocol === "lmtp" ? "LHLO" : "EHLO"} ${request.helo}`);
  const peer = hello.code === 250 ? parseEhlo(hello) : NO_EXTENSIONS;
  record.begin("mail");
  const parameters: MailParameters = {
    ...(request.priority === undefined ? {} : { mtPriority: request.priority }),
    ...(needsSmtpUtf8(request.from) || request.to.some(needsSmtpUtf8) ? { smtputf8: true } : {}),
  };
  const mail = yield* say(formatMailCommand(request.from, parameters, peer, request.size ?? message.length));
  let accepted = 0;
  for (const address of request.to) {
    if (mail.code !== 250) {
      refused.set(address, replyLines(mail).join(" "));
      continue;
    }
    record.begin(`rcpt ${address}`);
    const rcpt = yield* say(formatRcptCommand(address, {}, peer));
    if (rcpt.code >= 250 && rcpt.code < 260) accepted++;
    else refused.set(address, replyLines(rcpt).join(" "));
  }
  if (accepted > 0) {
    record.begin("data");
    const go = yield* say("DATA");
    if (go.code === 354) {
      record.current.said.push({ from: "client", text: `(${message.length} octets of content)` });
      const dots = new DotEncoder();
      const replies = yield joined(dots.encode(message), dots.finish());
      const bad = replies.find(({ code }) => code >= 400);
      if (bad !== undefined) { for (const address of request.to) refused.set(address, replyLines(bad).join(" ")); }
    }
  }
  record.begin("quit");
  yield* say("QUIT");
}

const NO_REPLY: Reply = { code: 421, text: [] };

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A connection whose other end is the script. */
function connectionOf(
  { ip, tls }: ExplainRequest,
  listener: ListenerConfig | undefined,
  script: Script,
  record: Recorder,
): ServerConnection {
  const parser = new ReplyParser();
  let heard: Reply[] = [];
  let unread = new Uint8Array(0);
  let wake = () => {};
  let closed = false;
  const bind = listener?.bind[0];
  const local: Endpoint = { ip: bind?.ip ?? "127.0.0.1", port: bind?.port ?? 25 };
  return {
    remote: { ip, port: 49_152 },
    local,
    listener: listener?.id ?? "",
    protocol: listener?.protocol ?? "smtp",
    tls: tls || listener?.tls.implicit === true
      ? { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", cipherBits: 256 }
      : undefined,
    canStartTls: listener?.tls.enable === true,
    startTls: () => Promise.reject(new Error("this client starts no TLS")),
    async read(buffer) {
      if (unread.length === 0) {
        // A client that speaks before it is answered would be sent away.
        if (heard.length === 0 && !closed) await new Promise<void>((resolve) => wake = resolve);
        const said = closed ? undefined : script.next(heard);
        heard = [];
        if (said === undefined || said.done) return null;
        unread = new Uint8Array(said.value);
      }
      const count = Math.min(buffer.length, unread.length);
      buffer.set(unread.subarray(0, count));
      unread = unread.subarray(count);
      return count;
    },
    write(bytes) {
      parser.push(bytes);
      for (let reply = parser.next(); reply !== undefined; reply = parser.next()) {
        heard.push(reply);
        for (const text of replyLines(reply)) record.current.said.push({ from: "server", text });
      }
      if (heard.length > 0) wake();
      return Promise.resolve();
    },
    close() {
      closed = true;
      wake();
    },
  };
}

/** A queue that takes everything and keeps nothing. */
export const NO_QUEUE: Intake = {
  nextId: () => 1,
  contentWriter: memoryWriter,
  enqueue: () => Promise.resolve(undefined),
};

/** Keeps content in memory. */
function memoryWriter(): ContentWriter {
  const parts: Uint8Array[] = [];
  let size = 0;
  return {
    get size() {
      return size;
    },
    write(bytes) {
      parts.push(bytes.slice());
      size += bytes.length;
    },
    finish: () => Promise.resolve(contentOf(joined(...parts))),
    abort: () => {},
  };
}
