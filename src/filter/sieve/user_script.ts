/** Scripts of users, run for each copy that is delivered into their mailbox. They get less than those of the administrator. */

import type { SieveConfig } from "../../config/config.ts";
import { constantSetting, type FunctionHost, type Scope } from "../../expression/mod.ts";
import type { Content } from "../../message/mod.ts";
import { formatMessageId, type NewMessage, type QueuedMessage } from "../../queue/mod.ts";
import {
  type Action,
  capabilityNames,
  type CompiledScript,
  compileScript,
  formatProblem,
  messageBytes,
  messageOfContent,
  type Outcome,
  runScript,
  type SieveHost,
  type SieveMessage,
} from "../../sieve/mod.ts";
import { addressDomain, type FiledCopy } from "../../smtp/mod.ts";
import { emitEvaluationErrors, type EventFields } from "../../telemetry/event.ts";
import { createBodyRoom, type Leave } from "./body_room.ts";
import { conclude } from "./conclusion.ts";
import { addressLiteral } from "./environment.ts";
import { type RunMemory, runMemory } from "./memory.ts";
import { noteSent, outgoingMessages, type Sending, type Sent } from "./outgoing.ts";
import { newsOfRefusal, type Refusing } from "./rejection.ts";
import { takeTurns } from "./turns.ts";
import type { Outbox, SieveWorld } from "./world.ts";

/** A copy that is about to be delivered. */
export interface UserOccasion {
  readonly message: QueuedMessage;
  /** The recipient. */
  readonly address: string;
  /** ORCPT, if the sender gave it: type, semicolon, address. */
  readonly originalRecipient?: string;
  /** Path of the script. */
  readonly file: string;
  /** Whether the recipient has a mailbox with this name. */
  readonly mailboxExists: (mailbox: string) => Promise<boolean>;
}

/** A copy of a message that a script sends, for the sender's own mailbox (RFC 8580). */
export interface SentCopy {
  readonly copy: FiledCopy;
  readonly content: Content;
}

/** What a script decides about its copy. */
export interface UserDecision {
  /** Text of a refusal of which the sender is to be told by a delivery report (`ereject`). */
  readonly refusal?: string;
  /** What became of a message that is not filed, for its history. */
  readonly remark: string;
  /** What is filed; nothing if the copy is dropped, undefined if the script does not say. */
  readonly copies: readonly FiledCopy[] | undefined;
  /** Copies of what the script sends. */
  readonly sentCopies: readonly SentCopy[];
  /** The message with the script's edits. */
  readonly content: Content;
  /**
   * Queues what the script sends. To be called when nothing else can fail any more.
   *
   * @throws {StoreUnavailable} (rejects) if that cannot be done now; nothing was sent then
   */
  send(): Promise<void>;
  /** Ends it; `delivered` if the copy needs no further attempt. Never rejects. */
  settled(delivered: boolean): Promise<void>;
}

/**
 * Runs the script of a user; undefined if there is none, or if it cannot be run, which is logged.
 *
 * @throws {LookupUnavailable | StoreUnavailable} (rejects) if something it needs cannot be had now
 */
export type RunUserScript = (occasion: UserOccasion) => Promise<UserDecision | undefined>;

/** What scripts of users are run with. */
export interface UserScriptWorld extends Pick<SieveWorld, "memory" | "sign" | "version" | "clock" | "emit"> {
  readonly config: SieveConfig;
  readonly functions: FunctionHost;
  readonly outbox: Outbox & { enqueue(message: NewMessage, others?: readonly NewMessage[]): Promise<unknown> };
  /** Name of this server. */
  readonly hostname: string;
  /** All addresses of the account behind an address. */
  addressesOf(address: string): Promise<readonly string[]>;
}

/** Extensions that reach what belongs to the administrator, or to other users. */
const KEPT_BACK = /^(?:vnd\.stalwart\.|include$|extlists$)/;

/** Scripts that are kept compiled. */
const MOST_KEPT = 1000;
/** Milliseconds that a script may take. */
const LONGEST_RUN = 5000;
/** RFC 7352 §3.3 and RFC 5230 §4.1: nothing is remembered for ever. */
const SETTINGS: ReadonlyMap<string, string> = new Map([
  ["sieve_duplicate_max_period", String(90 * 86_400)],
  ["sieve_vacation_max_period", "90d"],
]);

interface Kept {
  readonly modified: number;
  readonly size: number;
  /** Undefined for a script with errors. */
  readonly script: CompiledScript | undefined;
}

/** Makes a {@link RunUserScript}. */
export function createUserScripts(world: UserScriptWorld): RunUserScript {
  const { config, clock, emit, memory } = world;
  const room = createBodyRoom();
  const load = createLoader(world);

  return async (occasion) => {
    const { message, address, file } = occasion;
    const about = { id: formatMessageId(message.id), to: address, script: file };
    const script = await load(file, about);
    if (script === undefined) return undefined;
    const addresses = await world.addressesOf(address);
    const remembered = runMemory(memory, clock, `user\0${file}`);
    const original = messageOfContent(message.content);
    let leave: Leave | undefined;
    const bounded: SieveMessage = message.content.complete ? original : {
      ...original,
      async body() {
        leave ??= await room.enter(message.content.size);
        return await original.body();
      },
    };
    try {
      const host = hostOf(world, occasion, addresses, remembered);
      const envelope = { from: message.envelope.sender, to: address };
      const outcome = await runScript(script, { message: bounded, envelope, host });
      if (outcome.error !== undefined) {
        const { error } = outcome;
        const at = error.at === undefined ? {} : { line: error.at.line, column: error.at.column };
        emit("sieve.runtime-error", { ...about, ...at, reason: error.message });
        return undefined;
      }
      const sending: Sending = {
        world: { ...world, config: { ...config, returnPath: constantSetting("sieve.user", "") } },
        scope: scopeOf(world, address, about),
        owner: () => address,
        about,
        envelope: {
          sender: message.envelope.sender,
          parameters: message.envelope.parameters,
          recipients: [...addresses, address],
        },
        arrived: { content: message.content, serverFields: [] },
        original: bounded,
      };
      const refusing: Refusing = {
        recipient: address,
        originalRecipient: occasion.originalRecipient,
        hostname: world.hostname,
        host,
      };
      return await decisionOf(world, sending, message.content, { outcome, remembered, refusing });
    } finally {
      leave?.();
    }
  };
}

/** Settings about messages see who sends them. */
function scopeOf({ functions, emit }: UserScriptWorld, address: string, about: EventFields): Scope {
  return {
    variables: { sender: address, sender_domain: addressDomain(address) },
    functions,
    onError: emitEvaluationErrors(emit, about),
  };
}

/** A run that ended well. */
interface Ending {
  readonly outcome: Outcome;
  readonly remembered: RunMemory;
  readonly refusing: Refusing;
}

async function decisionOf(
  { outbox, memory, emit }: UserScriptWorld,
  sending: Sending,
  arrived: Content,
  { outcome, remembered: { sightings }, refusing }: Ending,
): Promise<UserDecision> {
  const { about, original } = sending;
  const { refusal, byProtocol, kept, discarded, copies, sending: actions, plain } = conclude(outcome, "data");
  const news = refusal === undefined || byProtocol ? undefined : await newsOfRefusal(sending, refusal, refusing);
  const sent: Sent = await outgoingMessages(sending, actions);
  const messages = news === undefined ? sent.messages : [news, ...sent.messages];
  for (const to of sent.looping) emit("sieve.redirect-loop", { ...about, to });
  const dropped = !kept && (discarded || sent.looping.length === 0);
  if (dropped && refusal === undefined) emit("sieve.action-discard", about);
  // RFC 5429 §2.2: the log says so, too, where nobody is told.
  if (refusal !== undefined) {
    emit("sieve.action-reject", { ...about, reason: refusal, told: byProtocol || news !== undefined });
  }
  let queued = false;
  return {
    ...(byProtocol && refusal !== undefined ? { refusal } : {}),
    remark: `${refusal === undefined ? "dropped" : "refused"} by the script of the recipient`,
    copies: dropped ? [] : plain || !kept ? undefined : copies,
    sentCopies: actions.flatMap(sentCopyOf),
    content: outcome.message === original ? arrived : await contentOf(arrived, original, outcome.message),
    async send() {
      const [first, ...others] = messages;
      if (first !== undefined) await outbox.enqueue(first, others);
      queued = true;
      noteSent(sending, messages);
    },
    async settled(delivered) {
      if (!queued) sent.discard();
      if (!delivered || sightings.length === 0) return;
      try {
        await memory.remember(sightings);
      } catch (error) {
        emit("sieve.unexpected-error", { ...about, reason: error instanceof Error ? error.message : String(error) });
      }
    },
  };
}

/** RFC 8580 §3: there is a copy of what is sent, and none of what is not. */
function sentCopyOf(action: Action): readonly SentCopy[] {
  if (action.kind !== "vacation" && action.kind !== "notify") return [];
  const { fcc, mail } = action;
  if (fcc === undefined || mail === undefined) return [];
  const { mailbox, flags } = fcc;
  return [{ copy: { mailbox, ...(flags === undefined ? {} : { flags }) }, content: memoryOf(mail.bytes) }];
}

function hostOf(
  world: UserScriptWorld,
  { message: { receivedFromIp }, address, mailboxExists }: UserOccasion,
  addresses: readonly string[],
  remembered: RunMemory,
): SieveHost {
  const { clock, hostname, version, outbox, config } = world;
  const own = new Set([...addresses, address].map(withoutDetail));
  // RFC 5183 §4.1.
  const items: Readonly<Record<string, string>> = {
    domain: hostname.slice(hostname.indexOf(".") + 1),
    host: hostname,
    location: "MDA",
    name: "godwit",
    phase: "during",
    version,
    // Mail of this server itself has come from nowhere.
    ...(receivedFromIp === "" ? {} : { "remote-host": "", "remote-ip": addressLiteral(receivedFromIp) }),
  };
  return {
    now: () => clock.now(),
    zoneOffset: (time) => -new Date(time).getTimezoneOffset(),
    environment: (item) => Object.hasOwn(items, item) ? items[item] : undefined,
    seen: remembered.seen,
    mailboxExists,
    addresses,
    maySendFrom: (other) => own.has(withoutDetail(other)),
    messageId: () => `${formatMessageId(outbox.nextId())}@${config.hostname}`,
    pause: takeTurns(),
  };
}

/** An address without its detail (RFC 5233), in lower case: all of them belong to one user. */
function withoutDetail(address: string): string {
  return address.toLowerCase().replace(/^([^"+@][^+@]*)\+[^@]*@/, "$1@");
}

/** The message with another header, or as a whole another one. */
async function contentOf(arrived: Content, before: SieveMessage, after: SieveMessage): Promise<Content> {
  if (arrived.complete || after.body !== before.body) return memoryOf(await messageBytes(after));
  const rest = arrived.head.subarray(before.head.length);
  const head = new Uint8Array(after.head.length + rest.length);
  head.set(after.head);
  head.set(rest, after.head.length);
  return {
    size: arrived.size - before.head.length + after.head.length,
    head,
    complete: false,
    async *chunks() {
      let first = true;
      for await (const chunk of arrived.chunks()) {
        yield first ? head : chunk;
        first = false;
      }
    },
  };
}

function memoryOf(bytes: Uint8Array): Content {
  return { size: bytes.length, head: bytes, complete: true, chunks: () => [bytes] };
}

/** Reads scripts, and keeps them compiled as long as their files stay as they are. */
function createLoader({ config, emit }: UserScriptWorld) {
  const { limits, scriptSize } = config.user;
  const kept = new Map<string, Kept>();
  const capabilities = new Set(capabilityNames().filter((name) => !KEPT_BACK.test(name)));

  return async (
    file: string,
    about: Readonly<Record<string, string>>,
  ): Promise<CompiledScript | undefined> => {
    let info: Deno.FileInfo;
    try {
      info = await Deno.stat(file);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        emit("sieve.runtime-error", { ...about, reason: error instanceof Error ? error.message : String(error) });
      }
      return undefined;
    }
    const modified = info.mtime?.getTime() ?? 0;
    const known = kept.get(file);
    if (known !== undefined && known.modified === modified && known.size === info.size) return known.script;
    const compiled = info.size > scriptSize
      ? `the script has ${info.size} octets, more than ${scriptSize}`
      : await compile(file);
    if (typeof compiled === "string") emit("sieve.runtime-error", { ...about, reason: compiled });
    if (kept.size >= MOST_KEPT) kept.clear();
    const script = typeof compiled === "string" ? undefined : compiled;
    kept.set(file, { modified, size: info.size, script });
    return script;
  };

  async function compile(file: string): Promise<CompiledScript | string> {
    let source: string;
    try {
      source = await Deno.readTextFile(file);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    const { script, problems } = compileScript(source, {
      name: file,
      capabilities,
      limits: { ...limits, milliseconds: LONGEST_RUN },
      settings: SETTINGS,
    });
    const [first] = problems.filter(({ severity }) => severity === "error");
    return script ?? (first === undefined ? "the script is not valid" : formatProblem(first, file));
  }
}
