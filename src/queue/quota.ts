/**
 * `[[queue.quota]]`: what a message counts for, and the statements that let it into the queue only where
 * there is room.
 *
 * The rows of `quota_uses` are written in the commit that queues the message and go with its recipients; triggers keep
 * the sums. So counts are shared by all nodes, and exact whatever ends a process.
 */

import type { QueueConfig } from "../config/config.ts";
import { type EvaluationError, type FunctionHost, LookupUnavailable, type Scope } from "../expression/types.ts";
import type { Statement, Store } from "../store/mod.ts";
import { countKey } from "../throttle/mod.ts";
import type { MessageRecord, RecipientRecord } from "./record.ts";
import { queueScope } from "./scope.ts";
import type { NewMessage, Source } from "./types.ts";

type QuotaConfig = QueueConfig["quotas"][number];

/** What is known of a message before its content comes. */
export type Arrival =
  & Pick<NewMessage, "envelope" | "recipients" | "source" | "priority" | "receivedFromIp" | "receivedViaPort">
  & {
    /** The size that the client has announced, 0 if it has not. */
    readonly size: number;
  };

/** Why a message was not queued: nothing of it is there. */
export interface QuotaRefusal {
  /** Key paths of the quotas that are used up, such as `queue.quota[0]`. */
  readonly quotas: readonly string[];
  /** Recipients that they concern, by their position in the message. */
  readonly recipients: readonly number[];
}

/** A recipient that counts for a key: its `seq`, and the key in the store. */
export type QuotaUse = readonly [seq: number, key: string];

/** A limit of a key. */
interface KeyLimit {
  readonly quota: QuotaConfig;
  readonly key: string;
}

/** What a message counts for. */
export interface QuotaPlan {
  readonly uses: readonly QuotaUse[];
  /** Limits that may refuse it; none for what is never refused. */
  readonly limits: readonly KeyLimit[];
}

/** The quotas of one configuration. */
export interface Quotas {
  readonly config: readonly QuotaConfig[];
  /** What a message counts for; undefined: for nothing. @throws {LookupUnavailable} (rejects) if `match` cannot be told */
  plan(message: MessageRecord, recipients: readonly RecipientRecord[], now: number): Promise<QuotaPlan | undefined>;
  /** As `plan`, of a message whose size, recipients and queue are not known: without quotas whose `match` asks for them. */
  foresee(message: MessageRecord, recipients: readonly RecipientRecord[], now: number): Promise<QuotaPlan | undefined>;
}

/** Mail that comes in is refused. What the server itself has to tell is counted, but never lost for a quota. */
const REFUSED: readonly Source[] = ["authenticated", "unauthenticated", "dmarc_pass"];

/** Makes the quotas that `config` asks for; undefined if there are none. */
export function createQuotas(
  config: readonly QuotaConfig[],
  functions: FunctionHost,
  onError: (error: EvaluationError) => void,
): Quotas | undefined {
  if (config.length === 0) return undefined;
  const planWith = async (
    message: MessageRecord,
    recipients: readonly RecipientRecord[],
    now: number,
    early: boolean,
  ): Promise<QuotaPlan | undefined> => {
    const refusable = REFUSED.includes(message.source);
    const uses = new Map<string, QuotaUse>();
    const limits = new Map<string, KeyLimit>();
    for (const recipient of recipients) {
      const known = queueScope(message, recipient, now, functions, onError);
      const { scope, guessed } = early ? withUnknowns(known) : { scope: known, guessed: NEVER };
      for (const quota of config) {
        const key = await keyFor(quota, scope, refusable);
        if (guessed() || key === undefined) continue;
        uses.set(`${recipient.seq} ${key}`, [recipient.seq, key]);
        if (refusable) limits.set(`${quota.id} ${key}`, { quota, key });
      }
    }
    return uses.size === 0 ? undefined : { uses: [...uses.values()], limits: [...limits.values()] };
  };
  return {
    config,
    plan: (message, recipients, now) => planWith(message, recipients, now, false),
    foresee: (message, recipients, now) => planWith(message, recipients, now, true),
  };
}

const NEVER = () => false;

/** Variables that are known at the end of data only. */
const UNKNOWN = ["size", "recipients", "queue_name"] as const;

/** The same scope, which notices when a variable is asked for that is not known yet. */
function withUnknowns(known: Scope): { readonly scope: Scope; readonly guessed: () => boolean } {
  let asked = false;
  const variables = { ...known.variables };
  for (const name of UNKNOWN) {
    const value = variables[name];
    Object.defineProperty(variables, name, {
      get: () => {
        asked = true;
        return value;
      },
    });
  }
  const guessed = () => {
    const was = asked;
    asked = false;
    return was;
  };
  return { scope: { ...known, variables }, guessed };
}

async function keyFor(quota: QuotaConfig, scope: Scope, refusable: boolean): Promise<string | undefined> {
  try {
    const matches = quota.match.evaluate(scope);
    if (!(matches instanceof Promise ? await matches : matches)) return undefined;
  } catch (error) {
    // What may not be refused goes uncounted rather than lost.
    if (refusable || !(error instanceof LookupUnavailable)) throw error;
    return undefined;
  }
  const values = quota.key.flatMap((name) => [name, String(scope.variables[name] ?? "").toLowerCase()]);
  return countKey(quota.counts, ...values);
}

// ?1: JSON list of [key, messages, size]. ?2: size of the message. A limit that is not set is null, and never over.
const OVER = "SELECT l.value ->> 0 FROM json_each(?1) l LEFT JOIN quota_totals t ON t.quota = l.value ->> 0 WHERE " +
  "coalesce(t.messages, 0) >= l.value ->> 1 OR coalesce(t.size, 0) + ?2 > l.value ->> 2";
const COUNT_WITHIN =
  "INSERT INTO quota_uses (message, seq, quota, size) SELECT ?3, value ->> 0, value ->> 1, ?2 FROM " +
  `json_each(?4) WHERE NOT EXISTS (${OVER})`;
const COUNT = "INSERT INTO quota_uses (message, seq, quota, size) SELECT ?1, value ->> 0, value ->> 1, ?2 FROM " +
  "json_each(?3) WHERE TRUE";

/** The keys of `limits` without room for one more message of `size` octets. */
export async function fullOf(store: Store, limits: QuotaPlan["limits"], size: number): Promise<ReadonlySet<string>> {
  return new Set((await store.read(OVER, [limitsArgument(limits), size])).rows.map(([key]) => String(key)));
}

function limitsArgument(limits: QuotaPlan["limits"]): string {
  return JSON.stringify(limits.map(({ quota, key }) => [key, quota.messages ?? null, quota.size ?? null]));
}

/**
 * Puts `statements`, which queue a message, behind its quotas: all of them do what they do, or none does anything and the
 * first result names the keys that are full.
 */
export function withinQuotas(message: MessageRecord, plan: QuotaPlan, statements: readonly Statement[]): Statement[] {
  const { id, size } = message;
  const uses = JSON.stringify(plan.uses);
  if (plan.limits.length === 0) return [{ sql: COUNT, args: [id, size, uses] }, ...statements];
  const limits = limitsArgument(plan.limits);
  return [
    { sql: OVER, args: [limits, size] },
    { sql: COUNT_WITHIN, args: [limits, size, id, uses] },
    ...statements.map(({ sql, args }) => ({ sql: ifCounted(sql), args: [...args, id] })),
  ];
}

const IF_COUNTED = "EXISTS (SELECT 1 FROM quota_uses WHERE message = ?)";
const VALUES = /^(INSERT INTO \w+ \([\w, ]+\)) VALUES \((.*)\)$/;

/** A statement that inserts or deletes rows, made to do so only for a message that was counted. */
function ifCounted(sql: string): string {
  const insert = VALUES.exec(sql);
  return insert === null ? `${sql} AND ${IF_COUNTED}` : `${insert[1]} SELECT ${insert[2]} WHERE ${IF_COUNTED}`;
}

/** Who was refused and why, from the keys that are full; undefined if there is room for all. */
export function refusalOf(plan: QuotaPlan, full: ReadonlySet<string>): QuotaRefusal | undefined {
  if (full.size === 0) return undefined;
  const over = plan.limits.filter(({ key }) => full.has(key));
  const recipients = new Set(plan.uses.filter(([, key]) => full.has(key)).map(([seq]) => seq));
  return { quotas: [...new Set(over.map(({ quota }) => quota.id))], recipients: [...recipients] };
}
