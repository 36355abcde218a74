/** How much of the queue may be in memory: messages that wait for their first attempt without being read back. */

/** The bounds. */
export interface MemoryLimits {
  /** Octets of content. */
  readonly bytes: number;
  readonly messages: number;
}

/** Counts what is taken. */
export interface MemoryBudget {
  /** False, and nothing taken, if it would not fit. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** A budget that starts empty. */
export function createMemoryBudget(limits: MemoryLimits): MemoryBudget {
  let used = 0;
  let messages = 0;
  return {
    take(bytes) {
      if (messages >= limits.messages || used + bytes > limits.bytes) return false;
      messages++;
      used += bytes;
      return true;
    },
    give(bytes) {
      messages--;
      used -= bytes;
    },
  };
}
