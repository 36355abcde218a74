/** MT-PRIORITY (RFC 6710): the levels of the three assignment policies. */

/** A priority assignment policy, as `session.extensions.mt-priority` names it. */
export type PriorityPolicy = "mixer" | "stanag4406" | "nsep";

// RFC 6710, the appendices on military messaging and MIXER (RFC 2156); for NS/EP see docs/decisions.md. Lowest first.
const LEVELS: Readonly<Record<PriorityPolicy, readonly number[]>> = {
  mixer: [-4, 0, 4],
  stanag4406: [-4, -2, 0, 2, 4, 6],
  nsep: [0, 2, 4, 6, 8],
};

/**
 * The level that a requested priority is granted: itself where the policy has it, else the next one below; what lies
 * under all levels gets the lowest. No message is ever handled sooner than its sender asked.
 */
export function grantPriority(policy: PriorityPolicy, requested: number): number {
  const levels = LEVELS[policy];
  return levels.findLast((level) => level <= requested) ?? levels[0] ?? 0;
}
