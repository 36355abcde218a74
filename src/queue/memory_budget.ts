/** How much of the queue may be in memory: messages that wait for their first attempt without being read back. */

/** The bounds. */
export interface MemoryLimits {
  /** Octets of content. */
  readonly bytes: number;
  readonly messages: number;
}

/** A message in memory. */
export interface MemoryShare {
  readonly bytes: number;
  readonly sender: string;
}

/** Counts what is taken. */
export interface MemoryBudget {
  /** False, and nothing taken, if it would not fit. */
  take(share: MemoryShare): boolean;
  give(share: MemoryShare): void;
}

/**
 * One sender may have so many times the messages that it leaves room for. The mail of others then never waits in the
 * store behind thousands of its messages.
 */
const GREED = 4;

/** A budget that starts empty. */
export function createMemoryBudget(limits: MemoryLimits): MemoryBudget {
  let used = 0;
  let messages = 0;
  const bySender = new Map<string, number>();
  return {
    take({ bytes, sender }) {
      const own = bySender.get(sender) ?? 0;
      const free = limits.messages - messages;
      if (own >= GREED * free || used + bytes > limits.bytes) return false;
      messages++;
      used += bytes;
      bySender.set(sender, own + 1);
      return true;
    },
    give({ bytes, sender }) {
      messages--;
      used -= bytes;
      const own = (bySender.get(sender) ?? 0) - 1;
      if (own > 0) bySender.set(sender, own);
      else bySender.delete(sender);
    },
  };
}
