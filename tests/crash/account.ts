/** What was sent, answered, delivered and when the server was killed; and whether it adds up. */

/** How far a message got with the server. */
export type Answer =
  /** The end of data was not sent. */
  | "unfinished"
  /** The end of data was sent and no reply came: the message may or may not have been committed. */
  | "unanswered"
  | "accepted"
  | "refused";

/** One recipient of one message; ids are unique per recipient, and the message is named in front of their last hyphen. */
export interface Sent {
  readonly id: string;
  readonly answer: Answer;
}

/** The moment right before the peer's 250 for a delivery was written; milliseconds on one monotonic clock. */
export interface Delivered {
  readonly id: string;
  readonly at: number;
  /** Whether the content was what had been sent. */
  readonly whole: boolean;
}

/** What came of a run. Lists hold offending ids. */
export interface Account {
  readonly accepted: number;
  readonly deliveries: number;
  /** Accepted and never delivered. */
  readonly lost: readonly string[];
  /** Delivered although refused, or although the end of data was never sent. */
  readonly uncalled: readonly string[];
  /** Messages of which some recipients were delivered and others never: what is committed together was not. */
  readonly torn: readonly string[];
  /** Delivered with other content than was sent. */
  readonly damaged: readonly string[];
  /** Delivered again although no kill explains it. */
  readonly repeated: readonly string[];
  /** Delivered again because a kill came between the peer's 250 and the commit of it. */
  readonly allowedRepeats: number;
  /** The longest time from a peer's 250 to the kill that made it happen again, in milliseconds. */
  readonly longestWindow: number;
  /** Unanswered and delivered: committed, and the kill took the reply. */
  readonly unansweredDelivered: number;
}

/**
 * Adds up.
 *
 * @param kills when the server was killed, on the clock of the deliveries
 * @param window a repeat is allowed if a kill followed the earlier delivery within so many milliseconds and the later
 * delivery came after that kill
 */
export function account(
  sent: readonly Sent[],
  delivered: readonly Delivered[],
  kills: readonly number[],
  window: number,
): Account {
  const answers = new Map(sent.map(({ id, answer }) => [id, answer]));
  const times = new Map<string, number[]>();
  for (const { id, at } of delivered) times.set(id, [...times.get(id) ?? [], at]);

  const repeated: string[] = [];
  let allowedRepeats = 0;
  let longestWindow = 0;
  for (const [id, moments] of times) {
    moments.sort((a, b) => a - b);
    for (let index = 1; index < moments.length; index++) {
      const earlier = moments[index - 1] ?? 0;
      const later = moments[index] ?? 0;
      const kill = kills.find((moment) => moment >= earlier && moment <= later);
      if (kill === undefined || kill - earlier > window) {
        repeated.push(id);
      } else {
        allowedRepeats++;
        longestWindow = Math.max(longestWindow, kill - earlier);
      }
    }
  }
  const ids = (answer: Answer) => sent.filter((entry) => entry.answer === answer).map((entry) => entry.id);
  return {
    accepted: ids("accepted").length,
    deliveries: delivered.length,
    lost: ids("accepted").filter((id) => !times.has(id)),
    uncalled: [...times.keys()].filter((id) => !["accepted", "unanswered"].includes(answers.get(id) ?? "")),
    torn: tornMessages(sent, times),
    damaged: delivered.filter(({ whole }) => !whole).map(({ id }) => id),
    repeated,
    allowedRepeats,
    longestWindow,
    unansweredDelivered: ids("unanswered").filter((id) => times.has(id)).length,
  };
}

function tornMessages(sent: readonly Sent[], times: ReadonlyMap<string, unknown>): readonly string[] {
  const messages = new Map<string, { delivered: number; all: number }>();
  for (const { id } of sent) {
    const name = id.slice(0, id.lastIndexOf("-"));
    const { delivered, all } = messages.get(name) ?? { delivered: 0, all: 0 };
    messages.set(name, { delivered: delivered + (times.has(id) ? 1 : 0), all: all + 1 });
  }
  return [...messages].flatMap(([name, { delivered, all }]) => delivered > 0 && delivered < all ? [name] : []);
}
