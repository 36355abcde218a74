/** Keeps lanes supplied with claimed jobs, as many as can soon be used, without wearing out the store. */

import type { Clock } from "../clock/mod.ts";
import type { Job, Lane, Supply } from "./job.ts";

/** What {@link createRefill} needs. */
export interface RefillContext {
  readonly clock: Clock;
  /** Makes up to `limit` recipients jobs of the lane; how many messages it found. May reject. */
  readonly claim: (lane: Lane, supply: Supply, limit: number) => Promise<number>;
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
  const fill = async (lane: Lane, supply: Supply, room: number): Promise<number> => {
    const began = clock.now();
    const { claims } = supply;
    claims.rows += await context.claim(lane, supply, Math.min(room, MOST_CLAIMED));
    const returned = await putBack(lane);
    claims.time += clock.now() - began;
    if (returned === 0) return 0;
    const { rows, time } = claims;
    supply.claims = { rows: 0, time: 0 };
    return Math.min(REST * time * Math.min(1, returned / Math.max(1, rows)), LONGEST_REST);
  };

  const draw = (lane: Lane, supply: Supply, claimed: number, ahead: number) => {
    const room = ahead - claimed;
    if (room < ahead / 2) return;
    supply.claiming = true;
    const end = () => {
      supply.claiming = false;
      context.onFilled(lane);
    };
    context.track((async () => {
      try {
        const rest = await fill(lane, supply, room);
        if (rest === 0) end();
        else supply.rest = clock.after(rest, end);
      } catch (error) {
        supply.claiming = false;
        context.onError(error);
      }
    })());
  };

  return (lane) => {
    if (context.isHalted()) return;
    const { share, urgent, backlog } = lane;
    const ahead = Math.max(share.limit, LEAST_AHEAD);
    // What is less urgent takes no room from what is more: it may wait in memory for as long as places are taken.
    if (urgent.due && !urgent.claiming) draw(lane, urgent, share.urgent, ahead);
    if ((backlog.due || lane.orphans) && !backlog.claiming) draw(lane, backlog, share.claimed, ahead);
  };
}
