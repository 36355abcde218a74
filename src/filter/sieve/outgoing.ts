/** Messages that a script sends: redirected ones, notifications and replies. */

import type { SieveConfig } from "../../config/config.ts";
import type { Scope } from "../../expression/mod.ts";
import { type Content, countFields, eightBitClean, memoryContent, parseHeader } from "../../message/mod.ts";
import { formatMessageId, type NewMessage, type NewRecipient } from "../../queue/mod.ts";
import {
  type Action,
  messageBytes,
  type NotifyAction,
  type OutgoingMail,
  type RedirectAction,
  redirectedMessage,
  type SieveMessage,
  type VacationAction,
} from "../../sieve/mod.ts";
import { asAddress, type DeliverBy, type MailParameters, needsSmtpUtf8, type RcptParameters } from "../../smtp/mod.ts";
import type { EventFields } from "../../telemetry/event.ts";
import { readNotify } from "./envelope.ts";
import type { SieveWorld } from "./world.ts";

/** The run that messages come from. */
export interface Sending {
  readonly world: SendingWorld;
  /** For the settings of messages. */
  readonly scope: Scope;
  /** Address of whom the script belongs to; that of the server for those of the administrator. */
  owner(): string | Promise<string>;
  /** What the log is told of the run besides. */
  readonly about: EventFields;
  /** The envelope of the message; undefined before there is one. */
  readonly envelope: SendingEnvelope | undefined;
  /** The message as it arrived, and fields of this server that are to stand on top of copies; undefined before it has. */
  readonly arrived: { readonly content: Content; readonly serverFields: readonly Uint8Array[] } | undefined;
  /** The message before the script. */
  readonly original: SieveMessage;
}

/** The part of a world that messages need. */
export type SendingWorld = Pick<SieveWorld, "outbox" | "sign" | "emit"> & {
  readonly config: Pick<SieveConfig, "returnPath" | "sign" | "receivedHeaders">;
};

/** The envelope that a message came with. */
export interface SendingEnvelope {
  readonly sender: string;
  readonly parameters: MailParameters;
  /** Addresses; the last is the one that redirected mail comes from. */
  readonly recipients: readonly string[];
}

/** Messages that are ready to be queued. */
export interface Sent {
  readonly messages: readonly NewMessage[];
  /** Redirections that would go round in circles, by their addresses. */
  readonly looping: readonly string[];
  /** Drops what is stored of messages that are not queued after all. */
  discard(): void;
}

/**
 * Makes the messages of a run.
 *
 * @throws {StoreUnavailable | LookupUnavailable} (rejects) if something they need cannot be had now
 */
export async function outgoingMessages(sending: Sending, actions: readonly Action[]): Promise<Sent> {
  const messages: NewMessage[] = [];
  const looping: string[] = [];
  const copies: Stored[] = [];
  const discard = () => {
    for (const copy of copies.splice(0)) copy.discard();
  };
  try {
    for (const action of actions) {
      if (action.kind === "redirect") {
        const content = await redirectedContent(sending, action, copies);
        if (content === undefined) looping.push(action.address);
        else messages.push(await redirection(sending, action, content));
      } else if (action.kind === "notify" || action.kind === "vacation") {
        const message = await ownMessage(sending, action);
        if (message !== undefined) messages.push(message);
      }
    }
  } catch (error) {
    discard();
    throw error;
  }
  return { messages, looping, discard };
}

interface Stored {
  discard(): void;
}

/** The content of a redirected message under our trace fields; undefined if it has been here before. */
async function redirectedContent(
  { world, envelope, arrived, original }: Sending,
  { message, address }: RedirectAction,
  copies: Stored[],
): Promise<Content | undefined> {
  if (arrived === undefined) return undefined;
  const { serverFields, content } = arrived;
  const received = countFields(message.header, "received") + (serverFields.length === 0 ? 0 : 1);
  const recipients = envelope?.recipients ?? [];
  const marked = redirectedMessage(message, recipients.at(-1) ?? address, recipients);
  if (marked === undefined || received > world.config.receivedHeaders) return undefined;
  if (content.complete || marked.body !== original.body) {
    return memoryContent(concat([...serverFields, await messageBytes(marked)]));
  }
  // What is spilled belongs to one message: this one gets a copy.
  const writer = world.outbox.contentWriter();
  try {
    for (const part of [...serverFields, marked.head]) await writer.write(part);
    let skip = original.head.length;
    for await (const chunk of content.chunks()) {
      await writer.write(chunk.subarray(Math.min(skip, chunk.length)));
      skip = Math.max(0, skip - chunk.length);
    }
    const copy = await writer.finish();
    copies.push(copy);
    return copy;
  } catch (error) {
    writer.abort();
    throw error;
  }
}

async function redirection(sending: Sending, action: RedirectAction, content: Content): Promise<NewMessage> {
  const { world, envelope } = sending;
  const { body, smtputf8, requiretls } = envelope?.parameters ?? {};
  const ret = action.ret?.toLowerCase();
  const notify = readNotify(action.notify ?? "");
  const parameters: MailParameters = {
    ...(body === undefined ? {} : { body }),
    ...(smtputf8 === undefined ? {} : { smtputf8 }),
    // RFC 8689 §5: what must not go in the clear must not for whoever it is sent on to.
    ...(requiretls === undefined ? {} : { requiretls }),
    ...(ret === "full" || ret === "hdrs" ? { ret } : {}),
    ...(action.by === undefined ? {} : { by: deadline(action.by) }),
  };
  return newMessage(world, await redirectSender(sending, action), parameters, [{
    address: action.address,
    parameters: notify === undefined ? {} : { notify },
  }], content);
}

/** Who hears of what becomes of redirected mail. */
async function redirectSender({ world, scope, envelope, owner }: Sending, action: RedirectAction): Promise<string> {
  const sender = envelope?.sender ?? "";
  // RFC 5228 §4.2: what nobody is to be told of stays so, or reports would go round in circles.
  if (sender === "") return "";
  const returnPath = asAddress(await world.config.returnPath.evaluate(scope));
  if (returnPath !== undefined) return returnPath;
  // RFC 6009 §6.1 and §7.1: whoever asks for reports gets them.
  const asked = action.notify !== undefined || action.ret !== undefined || action.by !== undefined;
  return asked ? asAddress(await owner()) ?? sender : sender;
}

function deadline({ seconds, mode, trace }: NonNullable<RedirectAction["by"]>): DeliverBy {
  return { seconds, mode, trace };
}

const NEVER: RcptParameters = { notify: { never: true, success: false, failure: false, delay: false } };

/**
 * A message that a script sends on its own account: a notification, a reply, or the news of a refusal.
 *
 * @throws {StoreUnavailable | LookupUnavailable} (rejects) if something it needs cannot be had now
 */
export async function ownMessage(
  { world, scope }: Sending,
  { kind, mail }: Pick<NotifyAction | VacationAction, "mail"> & { readonly kind: "notify" | "vacation" | "reject" },
): Promise<NewMessage | undefined> {
  if (mail === undefined) return undefined;
  const recipients = recipientsOf(mail, kind === "notify" ? {} : NEVER);
  if (recipients.length === 0) return undefined;
  const { config, sign } = world;
  // RFC 5230 §5.1: nobody shall answer a reply. RFC 5436 §2.7: nor is there an answer to a notification of a report.
  const silent = kind !== "notify" || mail.from === "";
  const returnPath = silent ? "" : asAddress(await config.returnPath.evaluate(scope)) ?? "";
  const head = mail.bytes.subarray(0, parseHeader(mail.bytes).bodyOffset);
  const parameters: MailParameters = {
    ...(eightBitClean(mail.bytes) ? {} : { body: "8bitmime" }),
    // Text in a header is encoded; addresses beyond ASCII cannot be.
    ...(eightBitClean(head) && !mail.to.some(needsSmtpUtf8) ? {} : { smtputf8: true }),
  };
  const message = newMessage(world, returnPath, parameters, recipients, memoryContent(mail.bytes));
  const signatures = sign === undefined ? [] : await config.sign.evaluate(scope);
  return sign === undefined || signatures.length === 0 ? message : await sign(message, signatures);
}

function recipientsOf({ to }: OutgoingMail, parameters: RcptParameters): readonly NewRecipient[] {
  const addresses = new Set(to.flatMap((text) => asAddress(text) ?? []));
  return [...addresses].map((address) => ({ address, parameters }));
}

function newMessage(
  { outbox }: SendingWorld,
  sender: string,
  parameters: MailParameters,
  recipients: readonly NewRecipient[],
  content: Content,
): NewMessage {
  return {
    id: outbox.nextId(),
    envelope: { sender, parameters },
    recipients,
    content,
    source: "autogenerated",
    priority: 0,
    receivedFromIp: "",
    receivedViaPort: 0,
    authenticatedAs: "",
    heloDomain: "",
  };
}

/** Tells the log what was sent. */
export function noteSent({ world, about }: Sending, messages: readonly NewMessage[]): void {
  for (const { id, envelope, recipients } of messages) {
    world.emit("sieve.send-message", {
      ...about,
      id: formatMessageId(id),
      from: envelope.sender,
      to: recipients.map(({ address }) => address),
    });
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
