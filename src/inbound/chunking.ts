/** BDAT (RFC 3030): content in counted chunks. */

import { LookupUnavailable } from "../expression/mod.ts";
import { BareNewlineScanner, type Command, NewlineNormalizer, type Reply, reply } from "../smtp/mod.ts";
import { tooMuch } from "./data.ts";
import { BARE_NEWLINE, ContentIntake, SEND_MAIL, SEND_RCPT } from "./intake.ts";
import { accept } from "./message.ts";
import { releaseDataBuffer, type Session, takeDataBuffer, type Transaction } from "./session.ts";

type BdatCommand = Extract<Command, { verb: "BDAT" }>;

/**
 * Answers BDAT. The octets of the chunk are read whatever the answer is, so that they are never taken for commands
 * (RFC 3030 §2). Once a chunk is lost no later one can make the message whole: each gets the same answer.
 */
export async function bdat(session: Session, command: BdatCommand): Promise<readonly Reply[]> {
  const transaction = session.transaction;
  const prepared = await prepare(session, transaction);
  if ("code" in prepared || transaction === undefined) {
    const refusal = "code" in prepared ? prepared : SEND_MAIL;
    if (transaction !== undefined) transaction.failure = refusal;
    await take(session, command.size, () => {});
    session.transferred += command.size;
    if (transaction === undefined || !command.last) return [refusal];
    session.resetTransaction();
    // RFC 2033 §4.2: the end of the message has one answer for each recipient.
    const replies = session.lmtp ? Math.max(1, transaction.accepted.length) : 1;
    return Array.from({ length: replies }, () => refusal);
  }
  const intake = transaction.chunks ??= prepared;
  await take(session, command.size, (slice) => intake.write(slice), intake);
  if (!command.last) {
    return [intake.failure ?? reply(250, "2.0.0", `${command.size} octets received`)];
  }
  const failure = intake.options.scanner?.finish() === true ? BARE_NEWLINE : undefined;
  return await accept(session, transaction, intake, failure);
}

/** Where the chunk goes, or why it is refused. Never rejects: the octets must be read first in any case. */
async function prepare(session: Session, transaction: Transaction | undefined): Promise<ContentIntake | Reply> {
  try {
    if (!session.extended || !await session.evaluate(session.deps.config.extensions.chunking)) {
      return reply(502, "5.5.1", "CHUNKING is not offered here");
    }
    if (transaction === undefined) return session.refuse("smtp.mail-from-missing", SEND_MAIL);
    if (transaction.failure !== undefined) return transaction.failure;
    if (transaction.recipients.length === 0) return session.refuse("smtp.rcpt-to-missing", SEND_RCPT);
    return transaction.chunks ?? await begin(session, transaction);
  } catch (error) {
    if (!(error instanceof LookupUnavailable)) throw error;
    session.deps.emit("eval.lookup-unavailable", { session: session.id, reason: error.message });
    return reply(451, "4.3.0", "A lookup failed for now, try again later");
  }
}

async function begin(session: Session, transaction: Transaction): Promise<ContentIntake> {
  const { config, queue } = session.deps;
  const binary = transaction.parameters.body === "binarymime";
  const mend = !binary && await session.evaluate(config.data.bareNewline) === "normalize";
  const sizeLimit = await session.evaluate(config.data.limits.size);
  return new ContentIntake(queue.contentWriter(), {
    sizeLimit,
    normalizer: mend ? new NewlineNormalizer() : undefined,
    scanner: binary || mend ? undefined : new BareNewlineScanner(),
  });
}

/** Reads exactly `size` octets and gives them to `write`. */
async function take(
  session: Session,
  size: number,
  write: (slice: Uint8Array) => void,
  intake?: ContentIntake,
): Promise<void> {
  if (session.transferred + (intake?.size ?? 0) + size > session.transferLimit) throw tooMuch(session);
  let left = size;
  const there = session.input.view();
  const first = there.subarray(0, Math.min(left, there.length));
  write(first);
  left -= first.length;
  session.input.consume(first.length);
  if (left === 0) {
    await intake?.backpressure();
    return;
  }
  await session.flush();
  const buffer = takeDataBuffer();
  let ended = false;
  try {
    while (left > 0) {
      await intake?.backpressure();
      const bytes = await session.readContent(buffer.subarray(0, Math.min(left, buffer.length)));
      write(bytes);
      left -= bytes.length;
    }
    await intake?.backpressure();
    ended = true;
  } finally {
    if (ended) releaseDataBuffer(buffer);
  }
}
