/** Puts reports into the queue, signed. */

import type { Signer } from "../authentication/mod.ts";
import type { Clock } from "../clock/mod.ts";
import { type AccompanyingRows, formatMessageId, type NewMessage, type Queue } from "../queue/mod.ts";
import { type ReportMail, reportMessage } from "../report/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { signOwn } from "./signing.ts";

/** A report and who signs it. */
export interface SignedReport {
  readonly mail: ReportMail;
  /** Ids of signatures. */
  readonly sign: readonly string[];
}

/** Sends reports. */
export interface ReportSender {
  /**
   * Queues reports in one commit.
   *
   * @param rows what is written in the same commit, such as that they were sent; if that fails they are not
   * @returns the ids that the queue knows them by
   * @throws {StoreUnavailable} if they could not be stored; nothing of them stays
   */
  send(reports: readonly [SignedReport, ...SignedReport[]], rows?: AccompanyingRows): Promise<readonly string[]>;
}

/** What {@link createReportSender} needs. */
export interface ReportSenderOptions {
  readonly queue: Pick<Queue, "nextId" | "enqueue">;
  /** The signer in force; absent if there are no signatures. */
  readonly signer: () => Signer | undefined;
  /** `report.domain` */
  readonly domain: string;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly emit: Emit;
}

/** Makes a {@link ReportSender}. */
export function createReportSender(options: ReportSenderOptions): ReportSender {
  const { queue, domain, clock, random, emit } = options;

  const write = async ({ mail, sign }: SignedReport): Promise<NewMessage> => {
    const message = reportMessage(mail, { id: queue.nextId(), now: clock.now(), random, domain });
    const signer = options.signer();
    if (signer === undefined || sign.length === 0) return message;
    try {
      // RFC 8460 §3 and §5.3: all of the body, and the fields that say what it is about.
      const fields = ["Auto-Submitted", ...(mail.fields ?? []).map(([name]) => name)];
      return await signOwn(message, signer, sign, { fields, wholeBody: true });
    } catch (error) {
      // Better a report without a signature than none.
      const reason = error instanceof Error ? error.message : String(error);
      emit("dkim.sign-error", { id: formatMessageId(message.id), reason });
      return message;
    }
  };

  return {
    async send(reports, rows) {
      const [first, ...others] = reports;
      const message = await write(first);
      const companions = await Promise.all(others.map(write));
      // Quotas never refuse what this server writes itself.
      await queue.enqueue(message, companions, rows);
      return [message, ...companions].map(({ id }) => formatMessageId(id));
    },
  };
}
