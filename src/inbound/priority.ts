/** MT-PRIORITY (RFC 6710): the levels of the three assignment policies. */

/** A priority assignment policy, as `session.extensions.mt-priority` names it. */
export type PriorityPolicy = "mixer" | "stanag4406" | "nsep";

/** RFC 6710 appendices B, A and C. Lowest first. */
const LEVELS: Readonly<Record<PriorityPolicy, readonly number[]>> = {
  mixer: [-4, 0, 4],
  stanag4406: [-4, -2, 0, 2, 4, 6],
  nsep: [-2, 0, 2, 4, 6],
};

/**
 * The level at which a message of this priority is handled: itself where the policy has it, else the next one above;
 * what lies above all levels gets the highest (RFC 6710 §5). The value itself stays what the client said: that is what
 * the next server is told.
 */
export function priorityLevel(policy: PriorityPolicy, priority: number): number {
  const levels = LEVELS[policy];
  return levels.find((level) => level >= priority) ?? levels.at(-1) ?? 0;
}
