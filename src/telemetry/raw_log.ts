/** What is said on connections, as events: `smtp.raw-input` and `-output`, `delivery.raw-input` and `-output`. */

import type { Emit, EventName } from "./event.ts";
import type { WireTap } from "./wire.ts";

/** Whoever speaks is told from where this server stands: a client is its input inward, and it is one itself outward. */
const EVENTS_OF = {
  in: { client: "smtp.raw-input", server: "smtp.raw-output" },
  out: { client: "delivery.raw-output", server: "delivery.raw-input" },
} as const satisfies Record<string, Record<string, EventName>>;

/**
 * A tap that makes events of what it hears; undefined while none of them is logged, so that nothing is paid for them.
 *
 * @param isLogged whether an event goes into any log
 */
export function rawLog(emit: Emit, isLogged: (name: EventName) => boolean): WireTap | undefined {
  const names = Object.values(EVENTS_OF).flatMap((ofDirection): EventName[] => Object.values(ofDirection));
  if (!names.some(isLogged)) return undefined;
  return ({ direction, session, peer, host, from, text }) => {
    if (from === "note") return;
    const about = host === "" ? { session, remoteIp: peer } : { session, host, remoteIp: peer };
    emit(EVENTS_OF[direction][from], { ...about, text: text.join("\n") });
  };
}
