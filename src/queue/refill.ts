/** Keeps lanes supplied with claimed jobs, as many as can soon be used, without wearing out the store. */

import type { Clock } from "../clock/mod.ts";
import type { Job, Lane } from "./job.ts";

/** What {@link createRefill} needs. */
export interface RefillContext {
  readonly clock: Clock;
  /** Makes up to `limit` recipients jobs of the lane; how many messages it found. May reject. */
  readonly claim: (lane: Lane, limit: number) => Promise<number>;
  /** Gives jobs back to the store until a time each. May reject. */
  readonly postpone: (jobs: readonly Job[], timeOf: (job: Job) => number) => Promise<void>;
  readonly isHalted: () => boolean;
  readonly onError: (error: unknown) => void;
  /** Called when there may be more to do in a lane. */
  readonly onFilled: (lane: Lane) => void;
  readonly track: (work: Promise<void>) => void;
}

// Claimed recipients wait in memory for a free place, so that a lane never idles between two claims.
const LEAST_AHEAD = 64;
const MOST_CLAIMED = 500;
/** Time that the store has for others, as a multiple of what goes into claims in vain; milliseconds at most. */
const REST = 19;
const LONGEST_REST = 2000;

/** Makes what claims more for a lane that has room. */
export function createRefill(context: RefillContext): (lane: Lane) => void {
  const { clock } = context;

  /** Jobs that would fill the memory while their destination has no place for them make room for others. */
  const putBack = async (lane: Lane): Promise<number> => {
    const jobs = lane.share.surplus();
    if (jobs.length === 0) return 0;
    const now = clock.now();
    await context.postpone(jobs, (job) => now + lane.share.turn(job));
    return jobs.length;
  };

  /** Milliseconds until the lane claims again. */
  const fill = async (lane: Lane, room: number): Promise<number> => {
    const began = clock.now();
    const { claims } = lane;
    claims.rows += await context.claim(lane, Math.min(room, MOST_CLAIMED));
    const returned = await putBack(lane);
    claims.time += clock.now() - began;
    if (returned === 0) return 0;
    const { rows, time } = claims;
    lane.claims = { rows: 0, time: 0 };
    return Math.min(REST * time * Math.min(1, returned / Math.max(1, rows)), LONGEST_REST);
  };

  return (lane) => {
    const ahead = Math.max(lane.share.limit, LEAST_AHEAD);
    const room = ahead - lane.share.claimed;
    if (lane.claiming || context.isHalted() || room < ahead / 2) return;
    lane.claiming = true;
    const end = () => {
      lane.claiming = false;
      context.onFilled(lane);
    };
    context.track((async () => {
      try {
        const rest = await fill(lane, room);
        if (rest === 0) end();
        else lane.rest = clock.after(rest, end);
      } catch (error) {
        lane.claiming = false;
        context.onError(error);
      }
    })());
  };
}
