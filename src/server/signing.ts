/** Signatures on what this server accepts and on what it writes itself. */

import { Buffer } from "node:buffer";
import {
  type CheckContext,
  createSigner,
  type Signer,
  type SignRequest,
  verifySignatures,
} from "../authentication/mod.ts";
import type { Clock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import type { FunctionHost } from "../expression/mod.ts";
import type { MessageSigning } from "../inbound/mod.ts";
import { memoryContent, planSevenBit, writeSevenBit } from "../message/mod.ts";
import { type BuildNotice, formatMessageId, type NewMessage, type QueuedMessage } from "../queue/mod.ts";
import type { NoticeRecipient } from "../queue/types.ts";
import type { Emit } from "../telemetry/event.ts";
import { noticeScope, type NoticeWorld } from "./notices.ts";

/** What {@link createSigning} needs beside a configuration. */
export interface SigningWorld {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly functions: FunctionHost;
  readonly checks: CheckContext;
}

/** The signatures of one configuration; absent where there are none. */
export interface Signing {
  readonly signer?: Signer;
  /** For accepted messages. */
  readonly accepted?: MessageSigning;
}

/** Prepares the keys of a configuration. */
export function createSigning(config: Config, { clock, emit, functions, checks }: SigningWorld): Signing {
  const { signatures, sign, seal } = config.signing;
  if (signatures.size === 0) return {};
  const signer = createSigner(signatures, { threads: config.server.threadPool, now: () => clock.now(), emit });
  const scope = { variables: {}, functions };
  const never = sign.isConstant && seal.isConstant && isEmpty(sign.evaluate(scope)) && seal.evaluate(scope) === false;
  if (never) return { signer };
  const { dkimStrict } = config.session.checks;
  return {
    signer,
    accepted: {
      sign,
      seal,
      signer,
      verifyChain: async (message) =>
        (await verifySignatures(message, { dkim: false, arc: true, strict: dkimStrict }, checks)).arc,
    },
  };
}

function isEmpty(ids: readonly string[] | Promise<readonly string[]>): boolean {
  return !(ids instanceof Promise) && ids.length === 0;
}

/** What {@link signedNotices} asks when a notification is built: a reload may have changed it. */
export interface NoticeSigning {
  readonly config: Config;
  readonly signer: Signer | undefined;
}

/** Builds notifications as `build` does, and signs them (`report.dsn.sign`). */
export function signedNotices(
  build: BuildNotice,
  current: () => NoticeSigning,
  world: NoticeWorld,
): BuildNotice {
  return (message, recipients, id) => {
    const notice = build(message, recipients, id);
    const { config, signer } = current();
    if (signer === undefined || notice === undefined) return notice;
    return sign(notice, message, recipients, config, signer);
  };

  async function sign(
    built: NewMessage | Promise<NewMessage | undefined>,
    about: QueuedMessage,
    recipients: readonly NoticeRecipient[],
    config: Config,
    signer: Signer,
  ): Promise<NewMessage | undefined> {
    const notice = await built;
    if (notice === undefined) return undefined;
    try {
      const signatures = await config.report.dsn.sign.evaluate(noticeScope(about, recipients, world));
      return signatures.length === 0 ? notice : await signOwn(notice, signer, signatures);
    } catch (error) {
      // Better a notification without a signature than none.
      const reason = error instanceof Error ? error.message : String(error);
      world.emit("dkim.sign-error", { id: formatMessageId(notice.id), reason });
      return notice;
    }
  }
}

/**
 * Signs a message that this server has written itself, in a form that passes wherever mail goes; the content has to be in
 * memory. It comes back as it was if none of the signatures can be made.
 *
 * @param more what is signed beside what the signatures say
 */
export async function signOwn(
  message: NewMessage,
  signer: Signer,
  signatures: readonly string[],
  more: Pick<SignRequest, "fields" | "wholeBody"> = {},
): Promise<NewMessage> {
  const { smtputf8, ...parameters } = message.envelope.parameters;
  let { content, envelope } = message;
  // RFC 6531 §3.1: whoever takes SMTPUTF8 takes 8 bits.
  const plan = smtputf8 === true ? undefined : await planSevenBit(content, { binary: false });
  if (plan !== undefined) {
    const parts: Uint8Array[] = [];
    await writeSevenBit(content, plan, (bytes) => void parts.push(bytes.slice()));
    content = memoryContent(new Uint8Array(Buffer.concat(parts)));
    const { body: _, ...rest } = parameters;
    envelope = { ...envelope, parameters: plan.left === "7bit" ? rest : { ...rest, body: plan.left } };
  }
  const fields = await signer.sign({ content, signatures, ...more, about: { id: formatMessageId(message.id) } });
  if (fields.length === 0) return message;
  return { ...message, envelope, content: memoryContent(new Uint8Array(Buffer.concat([fields, content.head]))) };
}
