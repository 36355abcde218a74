/** From recipients in the store to jobs of this node. */

import type { Clock } from "../clock/mod.ts";
import type { Content } from "../message/content.ts";
import type { Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { claim } from "./claim.ts";
import type { Lease } from "./intake.ts";
import type { ActiveJobs, Lane, Supply } from "./job.ts";
import type { Leases } from "./leases.ts";
import { formatMessageId } from "./message_id.ts";
import type { Peers } from "./peers.ts";
import { FLAG, type MessageRecord, type RecipientRecord } from "./record.ts";
import { type Settlement, triage } from "./settle.ts";
import type { Strategy } from "./strategy.ts";
import type { MessageId } from "./types.ts";

/** What {@link createClaimJobs} needs. */
export interface ClaimJobsContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly active: ActiveJobs;
  readonly leases: Leases;
  readonly peers: Peers;
  readonly leaseFrom: (now: number) => Lease;
  readonly isHalted: () => boolean;
  readonly strategy: () => Strategy;
  /** Records what needs no attempt. */
  readonly settle: (
    message: MessageRecord,
    settlements: readonly Settlement[],
    lease: Lease,
    content: Content | undefined,
  ) => void;
  /** Makes jobs of recipients that are to be tried now. */
  readonly admit: (
    message: MessageRecord,
    recipients: readonly RecipientRecord[],
    lease: Lease,
    content: Content | undefined,
  ) => void;
}

/** Makes up to `limit` recipients of the store jobs of the lane, of these messages or any; how many messages it found. */
export type ClaimJobs = (
  lane: Lane,
  from: Supply | readonly MessageId[],
  limit: number,
) => Promise<number>;

/** Makes the {@link ClaimJobs} of a node, which rejects with `StoreUnavailable` if the store is unavailable. */
export function createClaimJobs(context: ClaimJobsContext): ClaimJobs {
  const { store, clock, emit, active, leases, peers } = context;
  return async (lane, from, limit) => {
    const supply = "due" in from ? from : undefined;
    const urgent = supply === lane.urgent;
    const orphans = supply === lane.backlog && lane.orphans;
    const now = clock.now();
    const lease = context.leaseFrom(now);
    // What is queued meanwhile may be too late for this claim.
    if (orphans) lane.orphans = false;
    else if (supply !== undefined) supply.due = false;
    const { claimed, more } = await claim(store, {
      queue: lane.name,
      orphansBeside: orphans ? peers : undefined,
      urgent,
      messages: "due" in from ? undefined : from,
      limit,
      now,
      lease,
      onLost: (id) => emit("queue.blob-not-found", { id: formatMessageId(id) }),
    });
    if (more && orphans) lane.orphans = true;
    else if (more && supply !== undefined) supply.due = true;
    for (const { message, recipients, content } of claimed) {
      // A lease of our own may have ended while the store was away; its job is still in memory.
      const own = [...active.of(message.id)].flatMap((job) => job.recipients.map(({ seq }) => seq));
      const fresh = own.length === 0 ? recipients : recipients.filter(({ seq }) => !own.includes(seq));
      if (fresh.length === 0) continue;
      if (orphans) {
        emit("queue.lease-taken-over", { id: formatMessageId(message.id), total: fresh.length });
        // By the clock of their owner they were due, whatever ours says; but not by the time that somebody has set since.
        for (const recipient of fresh) {
          if ((recipient.flags & FLAG.moved) === 0) recipient.attemptAt = Math.min(recipient.attemptAt, now);
        }
      }
      if (context.isHalted()) {
        await leases.release([{ message: message.id, recipients: fresh }]);
        continue;
      }
      const { attempts, settled } = await triage(message, fresh, context.strategy(), now);
      context.settle(message, settled, lease, content);
      if (attempts.length > 0) context.admit(message, attempts, lease, content);
    }
    return claimed.length;
  };
}
