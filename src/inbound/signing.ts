/** Signatures on messages that have been accepted, as the last thing before the queue. */

import { authenticationResults } from "../authentication/mod.ts";
import type { EditableContent } from "../filter/mod.ts";
import { isSigned, parseHeader, planSevenBit, writeSevenBit } from "../message/mod.ts";
import { formatMessageId, type MessageId, type SpooledContent } from "../queue/mod.ts";
import type { MailParameters } from "../smtp/mod.ts";
import type { MessageSigning } from "./dependencies.ts";
import type { Session } from "./session.ts";
import { concat } from "./trace_fields.ts";

/** A message that was signed, or left as it was. */
export interface SignedMessage {
  readonly content: EditableContent;
  readonly parameters: MailParameters;
  /** Drops what was written anew; for a message that is not queued after all. */
  discard(): void;
}

/**
 * Signs and seals a message as the settings say. One without a signature stays as it is.
 *
 * What gets its first signature here is brought into a form that passes wherever mail goes: a relay that has to turn 8
 * bits into 7 would break the signature (RFC 6376 §5.3).
 *
 * @throws {LookupUnavailable | StoreUnavailable} (rejects) if a setting or the content cannot be read
 */
export async function signMessage(
  session: Session,
  signing: MessageSigning,
  message: {
    readonly id: MessageId;
    readonly content: EditableContent & { discard?(): void };
    readonly parameters: MailParameters;
    /** Octets of fields that stay above the signatures. */
    readonly above: number;
  },
): Promise<SignedMessage> {
  const { id, content, parameters, above } = message;
  const signatures = await session.evaluate(signing.sign);
  const sealer = await session.evaluate(signing.seal);
  const unchanged = { content, parameters, discard() {} };
  if (signatures.length === 0 && sealer === false) return unchanged;
  const seal = sealer === false ? {} : { seal: await sealOf(session, signing, sealer, content) };
  const rewritten = signatures.length === 0 ? undefined : await rewrite(session, content, parameters);
  if (rewritten !== undefined) content.discard?.();
  const { content: whole, parameters: next, discard } = rewritten ?? unchanged;
  try {
    const about = { session: session.id, id: formatMessageId(id) };
    const fields = await signing.signer.sign({ content: whole, signatures, ...seal, about });
    if (fields.length === 0) return { content: whole, parameters: next, discard };
    const { head } = whole;
    const signed = concat([head.subarray(0, above), fields, head.subarray(above)]);
    return { content: whole.withHead(signed), parameters: next, discard };
  } catch (error) {
    discard();
    throw error;
  }
}

async function sealOf(session: Session, signing: MessageSigning, signature: string, content: EditableContent) {
  const known = session.authentication ?? {};
  const arc = known.arc ?? await signing.verifyChain({ content, header: parseHeader(content.head) });
  const hostname = await session.evaluate(session.deps.config.connect.hostname);
  const results = arc === undefined ? known : { ...known, arc };
  return {
    signature,
    chain: arc?.result ?? "none",
    results: authenticationResults(hostname, results, session.connection.remote.ip),
  } as const;
}

async function rewrite(
  session: Session,
  content: EditableContent,
  parameters: MailParameters,
): Promise<{ content: SpooledContent; parameters: MailParameters; discard(): void } | undefined> {
  // RFC 6531 §3.1: whoever takes SMTPUTF8 takes 8 bits. And what has been signed before must stay as it is.
  if (parameters.smtputf8 === true || isSigned(parseHeader(content.head))) return undefined;
  const plan = await planSevenBit(content, { binary: parameters.body === "binarymime" });
  if (plan === undefined) return undefined;
  const writer = session.deps.queue.contentWriter();
  try {
    await writeSevenBit(content, plan, (bytes) => writer.write(bytes));
    const written = await writer.finish();
    const { body: _, ...rest } = parameters;
    const next = plan.left === "7bit" ? rest : { ...rest, body: plan.left };
    return { content: written, parameters: next, discard: () => written.discard() };
  } catch (error) {
    writer.abort();
    throw error;
  }
}
