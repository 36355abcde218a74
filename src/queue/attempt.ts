/** Hands a job to delivery. */

import type { Content } from "../message/content.ts";
import type { Emit } from "../telemetry/event.ts";
import { type Job, viewMessage } from "./job.ts";
import { formatMessageId } from "./message_id.ts";
import { viewOf } from "./recorder.ts";
import type { Deliver, Outcome } from "./types.ts";

/** What delivery says of a job; nothing if it fails itself. `job.abort` ends it early. Never rejects. */
export async function attempt(
  deliver: Deliver | undefined,
  job: Job,
  content: Content,
  emit: Emit,
): Promise<readonly Outcome[]> {
  if (deliver === undefined) return [];
  try {
    return await deliver({
      message: viewMessage(job.message, content),
      recipients: job.recipients.map(viewOf),
      queueName: job.queue,
      route: job.route,
    }, (job.abort = new AbortController()).signal);
  } catch (error) {
    // Delivery answers with outcomes; an exception is a fault of ours and must not cost the message.
    emit("delivery.failed", { id: formatMessageId(job.message.id), reason: `internal error: ${String(error)}` });
    return [];
  } finally {
    job.abort = undefined;
  }
}
