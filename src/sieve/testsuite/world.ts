/** The world of a test file: a message, mailboxes, sent mail, settings, and the script under test. All in memory. */

import type { Action, KeepAction, OutgoingMail } from "../actions.ts";
import type { CompiledScript } from "../compiler.ts";
import type { Extension } from "../definition.ts";
import { DEFAULT_LIMITS, type SieveHost, type SieveLimits } from "../host.ts";
import { messageBytes, type SieveMessage, sieveMessage } from "../message.ts";
import { redirectedMessage } from "../redirection.ts";
import type { Envelope } from "../run.ts";
import { firstField, parseAddressList } from "../../message/mod.ts";

/** What tests reach of the world outside. */
export interface TestHost {
  /** Milliseconds since the epoch. */
  now(): number;
  zoneOffset?(time: number): number;
  /** The text of a file named beside the test file; undefined if there is none. */
  read(path: string): string | undefined;
  /** The folder of the test file, for `${tst.path}`. */
  readonly folder?: string;
}

/** A message in a mailbox. */
export interface StoredMail {
  readonly bytes: Uint8Array;
  readonly flags: readonly string[];
}

/** Everything that the commands of a test file share. */
export interface World {
  readonly host: TestHost;
  readonly sieveHost: SieveHost;
  readonly extensions: readonly Extension[];
  readonly settings: Map<string, string>;
  readonly mailboxes: Map<string, StoredMail[]>;
  readonly sent: OutgoingMail[];
  readonly compiled: Map<string, CompiledScript>;
  readonly metadata: Map<string, string>;
  /** What a compiler or a run said last, for `test_error`. */
  errors: string[];
  script: CompiledScript | undefined;
  /** Limits that were loaded again since the script was compiled; undefined if none were. */
  reloaded: SieveLimits | undefined;
}

const DEFAULT_MESSAGE = "From: sender@example.com\r\nTo: recipient@example.com\r\nSubject: Test\r\n\r\nText\r\n";

export function defaultMessage(): SieveMessage {
  return testMessage(DEFAULT_MESSAGE);
}

/** A message from the text of a test file, which ends its lines with CRLF. */
export function testMessage(text: string): SieveMessage {
  return sieveMessage(new TextEncoder().encode(text));
}

/** The envelope that a message came in, guessed from its header. */
export function envelopeOf(message: SieveMessage): Envelope {
  const first = (fallback: string, ...names: readonly string[]): string => {
    for (const name of names) {
      const field = firstField(message.header, name);
      const address = field === undefined ? undefined : parseAddressList(field.value()).find(({ valid }) => valid);
      if (address !== undefined && address.domain !== "") return `${address.local}@${address.domain}`;
    }
    return fallback;
  };
  return {
    from: first("sender@example.com", "Return-Path", "Sender", "From"),
    to: first("recipient@example.com", "Envelope-To", "To"),
  };
}

export function createWorld(host: TestHost, extensions: readonly Extension[]): World {
  const mailboxes = new Map<string, StoredMail[]>([["INBOX", []]]);
  const metadata = new Map<string, string>();
  const settings = new Map<string, string>();
  let ids = 0;
  /** The keys of a list that the settings name: a file of keys and values, one below the other. */
  const listed = (list: string): readonly string[] | undefined => {
    const name = list.replace(/^urn:ietf:params:sieve:/, ":");
    if (settings.get("sieve_extlists_list")?.split(" ").includes(name) !== true) return undefined;
    const path = settings.get(`sieve_extlists_list/${name}/dict/file/path`);
    const text = path === undefined ? "" : host.read(path) ?? "";
    return text.split("\n").filter((_, line) => line % 2 === 0).map((key) => key.replace(/^.*\//, "").toLowerCase());
  };
  const world: World = {
    host,
    extensions,
    settings,
    mailboxes,
    sent: [],
    compiled: new Map(),
    metadata,
    errors: [],
    script: undefined,
    reloaded: undefined,
    sieveHost: {
      now: () => host.now(),
      zoneOffset: (time) => host.zoneOffset?.(time) ?? 0,
      mailboxExists: (name) => mailboxes.has(mailboxName(name)),
      specialUseExists: () => false,
      metadata: (mailbox, entry) => metadata.get(metadataKey(mailbox, entry)),
      // Test files send the same reply again and again.
      seen: () => false,
      inList: (list, value) => listed(list)?.includes(value.toLowerCase()) ?? false,
      listExists: (list) => listed(list) !== undefined,
      log: (text) => void world.errors.push(text),
      messageId: () => `${++ids}.test@host.example`,
      environment: (item) => ENVIRONMENT[item],
      addresses: [],
    },
  };
  return world;
}

const ENVIRONMENT: Readonly<Record<string, string>> = {
  domain: "example.com",
  host: "host.example.com",
  // Messages go into the mailboxes of this world, and nowhere before.
  location: "MS",
  phase: "during",
  name: "godwit",
  version: "test",
};

/** The key of an annotation; mailbox undefined for the server's. */
export function metadataKey(mailbox: string | undefined, entry: string): string {
  return `${mailbox === undefined ? "" : mailboxName(mailbox)}\0${entry.toLowerCase()}`;
}

export function mailboxName(name: string): string {
  return name.replace(/^inbox(?=[./]|$)/i, "INBOX");
}

/** Limits as the settings of the test file have them. */
export function limitsOf(settings: ReadonlyMap<string, string>): SieveLimits {
  const number = (name: string, fallback: number, unlimited = false): number => {
    const value = settings.get(name);
    const parsed = value === undefined ? NaN : Number.parseInt(value, 10);
    if (Number.isNaN(parsed)) return fallback;
    return unlimited && parsed === 0 ? Infinity : parsed;
  };
  const size = settings.get("sieve_variables_max_variable_size") ?? settings.get("sieve_variables_max_value_size");
  return {
    ...DEFAULT_LIMITS,
    instructions: 10_000_000,
    milliseconds: number("sieve_max_cpu_time", 30) * 1000,
    actions: number("sieve_max_actions", 32, true),
    redirects: number("sieve_max_redirects", 4, true),
    outMessages: number("sieve_notify_max_notifications", 10),
    variableSize: size === undefined ? 4000 : sizeOf(size),
    nestedIncludes: number("sieve_include_max_nesting_depth", 10),
    includes: number("sieve_include_max_includes", 255),
  };
}

function sizeOf(text: string): number {
  const [, digits = "0", unit = ""] = /^(\d+)\s*([kmg]?)/i.exec(text) ?? [];
  return Number(digits) * 1024 ** (unit === "" ? 0 : "kmg".indexOf(unit.toLowerCase()) + 1);
}

/**
 * Carries actions out. Where one fails, the message as it came is kept (RFC 5228 §2.10.6).
 *
 * @returns what went wrong; undefined if nothing did
 */
export async function carryOut(
  world: World,
  actions: readonly Action[],
  implicitKeep: KeepAction | undefined,
  envelope: Envelope,
  original: SieveMessage,
): Promise<string | undefined> {
  const file = async (name: string, message: SieveMessage, flags: readonly string[] = []) => {
    world.mailboxes.get(mailboxName(name))?.push({ bytes: await messageBytes(message), flags });
  };
  for (const action of implicitKeep === undefined ? actions : [...actions, implicitKeep]) {
    switch (action.kind) {
      case "keep":
        await file("INBOX", action.message, action.flags);
        break;
      case "store": {
        const name = mailboxName(action.mailbox);
        if (!world.mailboxes.has(name)) {
          const problem = action.create !== true
            ? "it does not exist"
            : name.split("/").includes("")
            ? "this is no name"
            : undefined;
          if (problem !== undefined) {
            await file("INBOX", original);
            return `failed to store into mailbox '${name}': ${problem}`;
          }
          world.mailboxes.set(name, []);
        }
        await file(name, action.message, action.flags);
        break;
      }
      case "redirect": {
        const owner = world.settings.get("sieve_user_email") ?? envelope.to ?? "";
        const message = redirectedMessage(action.message, owner, [envelope.to ?? ""]);
        // A loop: the message stays here.
        if (message === undefined) {
          await file("INBOX", action.message);
          break;
        }
        const from = redirectSender(world.settings.get("sieve_redirect_envelope_from"), envelope, owner);
        world.sent.push({ from, to: [action.address], bytes: await messageBytes(message) });
        break;
      }
      case "vacation":
        if (action.mail !== undefined) world.sent.push(action.mail);
        break;
      case "notify":
        if (action.mail !== undefined) {
          for (const to of action.mail.to) world.sent.push({ ...action.mail, to: [to] });
        }
        break;
      case "reject":
        if ((envelope.from ?? "") !== "") {
          world.sent.push({
            from: "",
            to: [envelope.from ?? ""],
            bytes: new TextEncoder().encode(rejection(action.text, envelope)),
          });
        }
        break;
      case "discard":
        break;
    }
  }
  return undefined;
}

/** Who a redirected message comes from, by the setting that Pigeonhole has for it. */
function redirectSender(setting: string | undefined, envelope: Envelope, owner: string): string {
  const wanted = setting?.trim() ?? "sender";
  const explicit = /^<(.*)>$/.exec(wanted)?.[1];
  // The null sender stays what it is.
  if ((envelope.from ?? "") === "" || wanted === "sender") return envelope.from ?? "";
  if (explicit !== undefined) return explicit;
  if (wanted === "user_email") return owner;
  return (wanted === "orig_recipient" ? envelope.orig_to : undefined) ?? envelope.to ?? "";
}

function rejection(text: string, { from, to }: Envelope): string {
  return `From: Postmaster <postmaster@example.com>\r\nX-Rejected-By: <${to ?? ""}>\r\nTo: <${
    from ?? ""
  }>\r\nSubject: Rejected\r\n\r\n${text}\r\n`;
}
