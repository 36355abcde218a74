/** BDAT (RFC 3030): content in counted chunks. */

import { BareNewlineScanner, type Command, NewlineNormalizer, type Reply, reply } from "../smtp/mod.ts";
import { tooMuch } from "./data.ts";
import { ContentIntake } from "./intake.ts";
import { accept } from "./message.ts";
import { releaseDataBuffer, type Session, takeDataBuffer, type Transaction } from "./session.ts";

type BdatCommand = Extract<Command, { verb: "BDAT" }>;

/**
 * Answers BDAT. The octets of the chunk are read whatever the answer is, so that they are never taken for commands
 * (RFC 3030 §2).
 */
export async function bdat(session: Session, command: BdatCommand): Promise<readonly Reply[]> {
  const transaction = session.transaction;
  const refusal = await refuse(session, transaction);
  if (refusal !== undefined || transaction === undefined) {
    await take(session, command.size, () => {});
    session.transferred += command.size;
    return [refusal ?? reply(503, "5.5.1", "Send MAIL first")];
  }
  const intake = transaction.chunks ??= await begin(session, transaction);
  await take(session, command.size, (slice) => intake.write(slice), intake);
  if (!command.last) {
    return [intake.failure ?? reply(250, "2.0.0", `${command.size} octets received`)];
  }
  const failure = intake.options.scanner?.finish() === true
    ? reply(554, "5.6.0", "The message holds a bare CR or LF, lines must end with CRLF")
    : undefined;
  return await accept(session, transaction, intake, failure);
}

async function refuse(session: Session, transaction: Transaction | undefined): Promise<Reply | undefined> {
  if (!session.extended || !await session.evaluate(session.deps.config.extensions.chunking)) {
    return reply(502, "5.5.1", "CHUNKING is not offered here");
  }
  if (transaction === undefined) return reply(503, "5.5.1", "Send MAIL first");
  if (transaction.recipients.length === 0) return reply(503, "5.5.1", "Send RCPT first, no recipient was accepted");
  return undefined;
}

async function begin(session: Session, transaction: Transaction): Promise<ContentIntake> {
  const { config, queue } = session.deps;
  const binary = transaction.parameters.body === "binarymime";
  const mend = !binary && await session.evaluate(config.data.bareNewline) === "normalize";
  return new ContentIntake(queue.contentWriter(), {
    sizeLimit: await session.evaluate(config.data.limits.size),
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
  if (session.transferred + (intake?.size ?? 0) + left > session.transferLimit) throw tooMuch(session);
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
