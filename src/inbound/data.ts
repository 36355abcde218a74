/** DATA (RFC 5321 §4.1.1.4): takes the content and hands the message over. */

import { DotDecoder, NewlineNormalizer, type Reply, reply } from "../smtp/mod.ts";
import { BARE_NEWLINE, ContentIntake, SEND_MAIL, SEND_RCPT } from "./intake.ts";
import { accept } from "./message.ts";
import { releaseDataBuffer, type Session, SessionEnded, takeDataBuffer } from "./session.ts";

/** Answers DATA. Gives one reply, or in LMTP one for each recipient once the content has been read (RFC 2033 §4.2). */
export async function data(session: Session): Promise<readonly Reply[]> {
  const { config, queue } = session.deps;
  const transaction = session.transaction;
  if (transaction === undefined) return [session.refuse("smtp.mail-from-missing", SEND_MAIL)];
  if (transaction.chunks !== undefined || transaction.failure !== undefined) {
    return [reply(503, "5.5.1", "DATA is not permitted after BDAT")];
  }
  if (transaction.recipients.length === 0) return [session.refuse("smtp.rcpt-to-missing", SEND_RCPT)];
  // RFC 3030 §3: binary content cannot be sent by DATA.
  if (transaction.parameters.body === "binarymime") return [reply(503, "5.5.1", "BODY=BINARYMIME needs BDAT")];

  const sizeLimit = await session.evaluate(config.data.limits.size);
  const mend = await session.evaluate(config.data.bareNewline) === "normalize";
  const intake = new ContentIntake(queue.contentWriter(), {
    sizeLimit,
    normalizer: mend ? new NewlineNormalizer() : undefined,
    scanner: undefined,
  });
  session.send(reply(354, "", "Start mail input; end with <CRLF>.<CRLF>"));
  const decoder = new DotDecoder();
  try {
    if (session.transferred > session.transferLimit) throw tooMuch(session);
    await session.flush();
    await receive(session, intake, decoder);
  } catch (error) {
    intake.abort();
    throw error;
  }
  const failure = decoder.bareNewline && !intake.normalizes ? BARE_NEWLINE : undefined;
  return await accept(session, transaction, intake, failure);
}

async function receive(session: Session, intake: ContentIntake, decoder: DotDecoder): Promise<void> {
  const take = (slice: Uint8Array) => intake.write(slice);
  // What a pipelining client has sent already comes first.
  session.input.consume(decoder.push(session.input.view(), take));
  if (decoder.done) return;
  const buffer = takeDataBuffer();
  let ended = false;
  try {
    while (!decoder.done) {
      const waiting = intake.backpressure();
      if (waiting !== undefined) await waiting;
      if (session.transferred + intake.size > session.transferLimit) throw tooMuch(session);
      const bytes = await session.readContent(buffer);
      const used = decoder.push(bytes, take);
      if (used < bytes.length) session.input.append(bytes.subarray(used));
    }
    ended = true;
    if (session.transferred + intake.size > session.transferLimit) throw tooMuch(session);
  } finally {
    // After a failed read the runtime may still own the buffer.
    if (ended) releaseDataBuffer(buffer);
  }
}

/** Ends a session that has sent more than `session.transfer-limit`. */
export function tooMuch(session: Session): SessionEnded {
  session.deps.emit("smtp.transfer-limit-exceeded", {
    session: session.id,
    remoteIp: session.connection.remote.ip,
    limit: session.transferLimit,
  });
  session.expire("refused", reply(421, "4.7.0", "Transfer limit of this session is exceeded, closing"));
  return new SessionEnded("refused");
}
