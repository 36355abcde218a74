/**
 * What keeps clients within bounds: rates and numbers at the same time, counted together with all other nodes, and the
 * list of banned addresses.
 *
 * @example
 * ```ts
 * const throttle = await openThrottle(options);
 * const limits = createInboundLimits(config.inboundLimiters, throttle);
 * const admission = await limits.admit("message", session.scope);
 * ```
 *
 * @module
 */

export { type AbuseWatch, createAbuseWatch, WATCHED_EVENTS } from "./abuse_watch.ts";
export { type BanList, type BanReason, openBanList } from "./ban_list.ts";
export { banTarget, type BanView, deleteBan, latestBans, setBan } from "./ban_store.ts";
export { countKey } from "./count_key.ts";
export { type Admission, createInboundLimits, type InboundLimits, NO_LIMITS } from "./inbound_limits.ts";
export { createRateCounter, type RateCounter } from "./rate_counter.ts";
export { openSlotCounter, type Release, type SlotCounter } from "./slot_counter.ts";
export { openThrottle, purgeStatements, type Throttle, type ThrottleOptions } from "./throttle.ts";
