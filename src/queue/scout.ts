/**
 * Looks past the mail of a sender who has so much due that nobody else is claimed. The store cannot tell senders apart
 * by index, which all mail would pay for; so what is due is read in its order, a window at a time.
 */

import type { Clock } from "../clock/mod.ts";
import type { Store } from "../store/mod.ts";
import { type Lane, senderKey } from "./job.ts";
import type { MessageId } from "./types.ts";

/** One window of what is due; also a query whose plan must use the index. */
export const SELECT_WINDOW = "SELECT r.due, r.message, r.seq, m.sender, m.meta ->> 3 " +
  "FROM recipients AS r CROSS JOIN messages AS m ON m.id = r.message WHERE r.queue = ? AND r.state = 0 AND " +
  "r.due <= ? AND (r.due, r.message, r.seq) > (?, ?, ?) ORDER BY r.due, r.message, r.seq LIMIT ?";

const WINDOW = 2000;
/** Milliseconds from one window of a lane to the next. */
const PAUSE = 1000;
/** A sender that has this part of what is claimed has others looked for. */
const GREEDY = 0.25;
/** Messages of a sender that wait in memory for its turns. */
const FEW = 8;

type Place = readonly [due: number, message: number, seq: number];
const START: Place = [-1, 0, 0];

/** Finds messages of senders that have few in memory; empty where nobody has too many. May reject. */
export type Scout = (lane: Lane) => Promise<readonly MessageId[]>;

/** Makes a {@link Scout} that goes on in each lane where it was the last time. */
export function createScout(store: Store, clock: Clock): Scout {
  const places = new Map<string, { readonly place: Place; readonly time: number }>();
  return async (lane) => {
    const { share, name } = lane;
    const now = clock.now();
    const { place: from, time } = places.get(name) ?? { place: START, time: -Infinity };
    if (now - time < PAUSE) return [];
    const senders = share.senders();
    const most = Math.max(share.limit, FEW * FEW);
    if (share.claimed > 2 * most || Math.max(0, ...senders.values()) < GREEDY * most) return [];
    const { rows } = await store.read(SELECT_WINDOW, [name, now, ...from, WINDOW]);
    const found = new Set<MessageId>();
    let place = START;
    for (const [due, message, seq, sender, account] of rows) {
      if (found.size >= most) break;
      place = [Number(due), Number(message), Number(seq)];
      if (found.has(Number(message))) continue;
      const key = senderKey(String(account ?? ""), String(sender));
      const waiting = senders.get(key) ?? 0;
      if (waiting >= FEW) continue;
      senders.set(key, waiting + 1);
      found.add(Number(message));
    }
    places.set(name, { place: rows.length < WINDOW && found.size < most ? START : place, time: now });
    return [...found];
  };
}
