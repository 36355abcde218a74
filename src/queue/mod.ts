/**
 * The durable queue: takes messages, keeps them in the store, hands recipients that are due to delivery and records
 * what became of them.
 *
 * A message is in the queue when {@link Queue.enqueue} resolves, and leaves it in the transaction that records its last
 * outcome. Recipients are claimed by lease, so several nodes may work on one store. {@link openQueueOffline} looks at
 * and changes the queue beside or without a running server.
 *
 * @module
 */

export { type AccompanyingRows, openQueue, openQueueOffline, type Queue, type QueueOptions } from "./queue.ts";
export { LAST_ERRORS, SOURCES } from "./record.ts";
export type { Envelope, ExportedMessage } from "./export.ts";
export type { QueueInspection, QueuePage, RecentDelivery } from "./inspect.ts";
export type { QueueAction, QueueOperations, QueuePreview, Stopped } from "./operate.ts";
export type { Arrival, QuotaRefusal } from "./quota.ts";
export type { QueueFilter } from "./search.ts";
export type { QueueStats } from "./statistics.ts";
export type { MemoryLimits } from "./memory_budget.ts";
export { firstIdAt, formatMessageId, parseMessageId } from "./message_id.ts";
export { contentOf } from "./content.ts";
export { domainOf, recordOf } from "./record.ts";
export { createReady, type Ranked, type Ready } from "./ready.ts";
export { queueScope } from "./scope.ts";
export * from "./types.ts";
