/**
 * The rows that aggregate reports are made of. A report gathers results from the first one on, falls due some time after
 * its period, is claimed by one node, and stays as a note once it is sent, so that nothing is sent twice.
 */

import type { Row, SqlValue, Statement, Store } from "../../store/mod.ts";

/** What is reported on. */
export type AggregateKind = "dmarc" | "tls";

/** `aggregate_reports.state` as numbers. */
export const STATE = { pending: 0, sent: 1, cancelled: 2, givenUp: 3 } as const;
/** The names of {@link STATE}. */
export const REPORT_STATES = ["pending", "sent", "cancelled", "given-up"] as const;

/** What became of a report: `given-up` if nobody wants it or it could not be handed over in time. */
export type ReportState = typeof REPORT_STATES[number];

/** A report with the first results that it is to have. */
export interface GatheredReport {
  readonly domain: string;
  readonly begins: number;
  readonly ends: number;
  readonly due: number;
  /** JSON object. What several nodes and times say of one report is merged, the last one wins. */
  readonly about: string;
}

/** A result, and how often. */
export interface GatheredResult {
  readonly domain: string;
  readonly begins: number;
  readonly ends: number;
  /** JSON list. */
  readonly result: string;
  /** What it is counted as once the report has as many different results as it may have. */
  readonly less: string;
  readonly count: number;
}

/** Different results in one report. */
const MOST_RESULTS: Readonly<Record<AggregateKind, number>> = { dmarc: 200_000, tls: 500 };
/** Different results in all reports; what comes beyond them is counted without details. */
const MOST_IN_ALL = 10_000_000;
/** Reports that are known at the same time, about. Domains beyond them are not told. */
const MOST_REPORTS = 2_000_000;
/** Octets of `about`; what would make it longer is left out. */
const LONGEST_ABOUT = 100_000;

// `about` grows only where several policies are noted in one report.
const OPEN = "INSERT INTO aggregate_reports (kind, domain, begins, ends, due, about) " +
  "SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?2) " +
  "WHERE coalesce((SELECT max(id) FROM aggregate_reports) - (SELECT min(id) FROM aggregate_reports), 0) < " +
  `${MOST_REPORTS} ON CONFLICT (kind, domain, begins, ends) DO UPDATE SET ` +
  "about = json_patch(about, excluded.about) WHERE state = 0 AND about <> excluded.about " +
  `AND length(about) < ${LONGEST_ABOUT}`;
const COUNT = "INSERT INTO aggregate_results (report, result, count) " +
  `SELECT r.id, CASE WHEN (r.results < ?3 AND (SELECT results FROM aggregate_size) < ${MOST_IN_ALL}) OR EXISTS ` +
  "(SELECT 1 FROM aggregate_results e WHERE e.report = r.id AND e.result = v.value ->> 3) " +
  "THEN v.value ->> 3 ELSE v.value ->> 4 END, v.value ->> 5 " +
  "FROM json_each(?2) v CROSS JOIN aggregate_reports r ON r.kind = ?1 AND r.domain = v.value ->> 0 AND " +
  "r.begins = v.value ->> 1 AND r.ends = v.value ->> 2 AND r.state = 0 WHERE true " +
  "ON CONFLICT (report, result) DO UPDATE SET count = count + excluded.count";

/** The statements that add results to reports. */
export function gatherStatements(
  kind: AggregateKind,
  reports: readonly GatheredReport[],
  results: readonly GatheredResult[],
): readonly Statement[] {
  const opened = reports.map(({ domain, begins, ends, due, about }) => [domain, begins, ends, due, about]);
  const counted = results.map(({ domain, begins, ends, result, less, count }) => [
    domain,
    begins,
    ends,
    result,
    less,
    count,
  ]);
  return [
    { sql: OPEN, args: [kind, JSON.stringify(opened)] },
    { sql: COUNT, args: [kind, JSON.stringify(counted), MOST_RESULTS[kind]] },
  ];
}

/** A report that this node has claimed. */
export interface DueReport {
  readonly id: number;
  readonly kind: AggregateKind;
  readonly domain: string;
  readonly begins: number;
  readonly ends: number;
  /** JSON object. */
  readonly about: string;
  /** Different results. */
  readonly results: number;
  /** Attempts that have failed so far. */
  readonly attempts: number;
  /** When the first attempt was made; undefined before. */
  readonly firstAttempt: number | undefined;
  /** URIs that have got it already. */
  readonly handed: readonly string[];
}

const NEXT_DUE = "SELECT min(due) FROM aggregate_reports WHERE state = 0";

/** When the next report falls due, milliseconds since the epoch; undefined if none waits. @throws {StoreUnavailable} */
export async function nextDue(store: Store): Promise<number | undefined> {
  const due = (await store.read(NEXT_DUE)).rows[0]?.[0];
  return due === null || due === undefined ? undefined : Number(due);
}

const COLUMNS = "id, kind, domain, begins, ends, about, results, attempts, first_attempt, handed";
const CLAIM = "UPDATE aggregate_reports SET owner = ?1, due = ?3 WHERE id IN " +
  "(SELECT id FROM aggregate_reports WHERE state = 0 AND due <= ?2 ORDER BY due LIMIT ?4) " +
  `RETURNING ${COLUMNS}`;

/**
 * Claims reports that are due, or whose node has not finished them in time.
 *
 * @param until when others may take them
 * @throws {StoreUnavailable}
 */
export async function claimDue(
  store: Store,
  { owner, now, until, limit }: {
    readonly owner: string;
    readonly now: number;
    readonly until: number;
    readonly limit: number;
  },
): Promise<readonly DueReport[]> {
  const [claimed] = await store.write([{ sql: CLAIM, args: [owner, now, until, limit] }]);
  return claimed?.rows.map(dueReport) ?? [];
}

function dueReport(row: Row): DueReport {
  const [id, kind, domain, begins, ends, about, results, attempts, first, handed] = row;
  return {
    id: Number(id),
    kind: kind === "tls" ? "tls" : "dmarc",
    domain: String(domain),
    begins: Number(begins),
    ends: Number(ends),
    about: String(about),
    results: Number(results),
    attempts: Number(attempts),
    firstAttempt: first === null || first === undefined ? undefined : Number(first),
    handed: textList(handed),
  };
}

function textList(value: SqlValue | undefined): readonly string[] {
  const list: unknown = JSON.parse(String(value ?? "[]"));
  return Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
}

// A report that was cancelled, or that another node has taken over, makes the whole commit fail: `state` is not null.
const HAND_OVER = "UPDATE aggregate_reports SET state = CASE WHEN state = 0 AND owner = ?2 THEN ?3 END, handed = ?4, " +
  "problem = '' WHERE id = ?1";
const TAKE_BACK = "UPDATE aggregate_reports SET state = 0, handed = ?3 WHERE id = ?1 AND owner = ?2";

/**
 * What is written with the mails of a report: that it was handed over to some URIs, and maybe that it is done. The commit
 * fails if the report is no longer this node's to send.
 */
export function handOver(
  { id, handed }: DueReport,
  owner: string,
  uris: readonly string[],
  done: boolean,
): { readonly statements: readonly Statement[]; readonly undo: readonly Statement[] } {
  const all = JSON.stringify([...handed, ...uris]);
  return {
    statements: [{ sql: HAND_OVER, args: [id, owner, done ? STATE.sent : STATE.pending, all] }],
    undo: [{ sql: TAKE_BACK, args: [id, owner, JSON.stringify(handed)] }],
  };
}

const POSTPONE = "UPDATE aggregate_reports SET due = ?3, owner = NULL, attempts = attempts + 1, problem = ?4, " +
  "first_attempt = coalesce(first_attempt, ?5) WHERE id = ?1 AND owner = ?2 AND state = 0";

/** Plans another attempt. */
export function postponement(
  { id }: DueReport,
  owner: string,
  { due, problem, now }: { readonly due: number; readonly problem: string; readonly now: number },
): Statement {
  return { sql: POSTPONE, args: [id, owner, due, problem, now] };
}

const GIVE_UP = "UPDATE aggregate_reports SET state = ?3, problem = ?4 WHERE id = ?1 AND owner = ?2 AND state = 0";

/** Ends a report that nobody gets, or no further place. */
export function givingUp({ id, handed }: DueReport, owner: string, problem: string): Statement {
  return { sql: GIVE_UP, args: [id, owner, handed.length > 0 ? STATE.sent : STATE.givenUp, problem] };
}

/** Results that are deleted in one commit, so that others need not wait for long. */
const DROPPED_AT_ONCE = 5000;
const DROP = "DELETE FROM aggregate_results WHERE report = ?1 AND " +
  "(SELECT state FROM aggregate_reports WHERE id = ?1) IS NOT 0 AND result IN " +
  `(SELECT result FROM aggregate_results WHERE report = ?1 LIMIT ${DROPPED_AT_ONCE})`;

/** Deletes the results of a report that is done; they are no longer needed. @throws {StoreUnavailable} */
export async function dropResults(store: Store, { id }: Pick<DueReport, "id">): Promise<number> {
  let dropped = 0;
  while (true) {
    const changes = (await store.write([{ sql: DROP, args: [id] }]))[0]?.changes ?? 0;
    dropped += changes;
    if (changes < DROPPED_AT_ONCE) return dropped;
  }
}

/** A result of a report. */
export interface StoredResult {
  /** JSON list, as it was gathered. */
  readonly result: string;
  readonly count: number;
}

const PAGE = 1000;
const SELECT_PAGE = "SELECT result, count FROM aggregate_results WHERE report = ? AND result > ? AND count >= ? " +
  `ORDER BY result LIMIT ${PAGE}`;

/**
 * The results of a report in the order of their text, a page at a time, so that memory does not grow with them.
 *
 * @param least only those that were counted so many times
 * @throws {StoreUnavailable}
 */
export async function* readResults(store: Store, report: number, least = 1): AsyncGenerator<readonly StoredResult[]> {
  let last = "";
  while (true) {
    const { rows } = await store.read(SELECT_PAGE, [report, last, least]);
    if (rows.length === 0) return;
    yield rows.map(([result, count]) => ({ result: String(result), count: Number(count) }));
    if (rows.length < PAGE) return;
    last = String(rows.at(-1)?.[0]);
  }
}

const SELECT_LEAST =
  "SELECT count FROM aggregate_results WHERE report = ? AND result > '' ORDER BY count DESC LIMIT 1 " +
  "OFFSET ?";

/**
 * How often a result must have been counted to be among the `most` most frequent ones.
 *
 * @throws {StoreUnavailable}
 */
export async function leastCount(store: Store, report: number, most: number): Promise<number> {
  const { rows } = await store.read(SELECT_LEAST, [report, Math.max(0, most - 1)]);
  return Number(rows[0]?.[0] ?? 1);
}

const OVERFLOW = "SELECT coalesce(sum(count), 0) FROM aggregate_results WHERE report = ? AND result = ''";

/** Counts that the report has no room for in detail. @throws {StoreUnavailable} */
export async function overflowOf(store: Store, report: number): Promise<number> {
  return Number((await store.read(OVERFLOW, [report])).rows[0]?.[0] ?? 0);
}

/** How long a report is remembered once its period is over and it is done, in milliseconds. */
const REMEMBERED = 7 * 86_400_000;
/** A report that nobody has made by then never will be: it is of no use. */
const OLDEST = 14 * 86_400_000;

const PURGED_AT_ONCE = 1000;
const FORGET = "DELETE FROM aggregate_reports WHERE id IN (SELECT id FROM aggregate_reports WHERE " +
  `CASE WHEN state = 0 THEN ends < ? ELSE ends < ? END LIMIT ${PURGED_AT_ONCE})`;
// Goes from one report to the next, not from one result to the next.
const LEFT_BEHIND = "WITH RECURSIVE r (id) AS (SELECT min(report) FROM aggregate_results UNION ALL " +
  "SELECT (SELECT min(report) FROM aggregate_results WHERE report > r.id) FROM r WHERE r.id IS NOT NULL) " +
  "SELECT id FROM r WHERE id IS NOT NULL AND " +
  `NOT EXISTS (SELECT 1 FROM aggregate_reports a WHERE a.id = r.id AND a.state = 0) LIMIT ${PURGED_AT_ONCE}`;

/**
 * Deletes reports that are done or too old, and results that nobody needs any more.
 *
 * @returns the number of rows
 * @throws {StoreUnavailable}
 */
export async function purgeAggregates(store: Store, now: number): Promise<number> {
  let deleted = 0;
  while (true) {
    const forgotten = await store.write([{ sql: FORGET, args: [now - OLDEST, now - REMEMBERED] }]);
    const changes = forgotten[0]?.changes ?? 0;
    deleted += changes;
    if (changes < PURGED_AT_ONCE) break;
  }
  while (true) {
    const { rows } = await store.read(LEFT_BEHIND);
    for (const [id] of rows) deleted += await dropResults(store, { id: Number(id) });
    if (rows.length < PURGED_AT_ONCE) return deleted;
  }
}

/** A report as people see it; times in ISO 8601. */
export interface LedgerView {
  readonly id: number;
  readonly kind: AggregateKind;
  readonly domain: string;
  readonly begins: string;
  readonly ends: string;
  readonly state: ReportState;
  /** When it is made, or tried again; `null` when it is done. */
  readonly due: string | null;
  /** Different results in it. */
  readonly results: number;
  readonly attempts: number;
  /** Where it has gone. */
  readonly handedTo: readonly string[];
  /** Why the last attempt failed, `""` if it did not. */
  readonly problem: string;
}

/** Which reports are wanted; all if nothing is said. */
export interface LedgerFilter {
  readonly kind?: AggregateKind;
  /** In lower case. */
  readonly domain?: string;
  readonly state?: ReportState;
  readonly limit: number;
  /** Only reports with greater ids. */
  readonly after?: number;
}

const VIEW = "id, kind, domain, begins, ends, state, due, results, attempts, handed, problem";
const SELECT_LIST = `SELECT ${VIEW} FROM aggregate_reports WHERE (?1 IS NULL OR kind = ?1) AND ` +
  "(?2 IS NULL OR domain = ?2) AND (?3 IS NULL OR state = ?3) AND id > ?4 ORDER BY id LIMIT ?5";

/** Reports in the order in which they were begun. @throws {StoreUnavailable} */
export async function listOutgoing(store: Store, filter: LedgerFilter): Promise<readonly LedgerView[]> {
  const { kind, domain, state, after = 0, limit } = filter;
  const number = state === undefined ? null : REPORT_STATES.indexOf(state);
  const { rows } = await store.read(SELECT_LIST, [kind ?? null, domain ?? null, number, after, limit]);
  return rows.map(view);
}

/** One report, with what it is about; undefined if there is none of this id. @throws {StoreUnavailable} */
export async function showOutgoing(
  store: Store,
  id: number,
): Promise<(LedgerView & { readonly about: string }) | undefined> {
  const [row] = (await store.read(`SELECT ${VIEW}, about FROM aggregate_reports WHERE id = ?`, [id])).rows;
  return row === undefined ? undefined : { ...view(row), about: String(row.at(-1)) };
}

/** The results of a report that were counted most often. @throws {StoreUnavailable} */
export async function mostFrequent(store: Store, id: number, limit: number): Promise<readonly StoredResult[]> {
  const { rows } = await store.read(
    "SELECT result, count FROM aggregate_results WHERE report = ? AND result > '' ORDER BY count DESC, result LIMIT ?",
    [id, limit],
  );
  return rows.map(([result, count]) => ({ result: String(result), count: Number(count) }));
}

function view(row: Row): LedgerView {
  const [id, kind, domain, begins, ends, state, due, results, attempts, handed, problem] = row;
  const time = (value: SqlValue | undefined) => new Date(Number(value)).toISOString();
  return {
    id: Number(id),
    kind: kind === "tls" ? "tls" : "dmarc",
    domain: String(domain),
    begins: time(begins),
    ends: time(ends),
    state: REPORT_STATES[Number(state)] ?? "pending",
    due: Number(state) === STATE.pending ? time(due) : null,
    results: Number(results),
    attempts: Number(attempts),
    handedTo: textList(handed),
    problem: String(problem),
  };
}

const CANCEL = `UPDATE aggregate_reports SET state = ${STATE.cancelled} WHERE id = ? AND state = 0`;

/**
 * Cancels a report: it is not sent, and nothing more is counted for it.
 *
 * @returns false if there is no such report that still waits
 * @throws {StoreUnavailable}
 */
export async function cancelOutgoing(store: Store, id: number): Promise<boolean> {
  const [cancelled] = await store.write([{ sql: CANCEL, args: [id] }]);
  if ((cancelled?.changes ?? 0) === 0) return false;
  await dropResults(store, { id });
  return true;
}
