/**
 * Keeps what TLS came to, by day and domain, until reports are made of it (RFC 8460).
 *
 * Results are counted in memory and written once a minute, so that they cost a delivery next to nothing. A process that is
 * killed loses the last minute of them: reports are statistics, mail is not concerned.
 */

import { createHash } from "node:crypto";
import type { Clock, Timer } from "../clock/mod.ts";
import { type Statement, StatementError, type Store, StoreUnavailable } from "../store/mod.ts";
import type { ReportedPolicy, TlsResult, TlsResults, TlsResultType } from "./tls_result.ts";

/** Takes results and writes them to a store. */
export interface TlsResultRecorder extends TlsResults {
  /** Writes what has been counted. What cannot be written is kept for the next time. Does not reject. */
  flush(): Promise<void>;
  /** Writes what is left and stops. */
  close(): Promise<void>;
}

const DAY = 86_400_000;
/** Milliseconds between two writes. */
const PAUSE = 60_000;
/** Different results that are counted in memory at the same time; beyond them failures lose their details. */
const MOST_COUNTED = 10_000;
/** Rows for one domain and day; what fails beyond that in new ways is counted without details. */
const MOST_ROWS = 500;
const STATEMENTS = 200;
const LONGEST_DETAILS = 300;
/** Days that results are kept: reports are made of the day before, and may have to wait for a server to come back. */
const KEPT = 14;

const COUNT = `INSERT INTO tls_results (day, domain, policy, result, detail, sessions)
  SELECT ?, ?, ?, ?, CASE WHEN (SELECT count(*) FROM tls_results WHERE day = ? AND domain = ?) < ${MOST_ROWS}
    OR EXISTS (SELECT 1 FROM tls_results WHERE day = ? AND domain = ? AND policy = ? AND result = ? AND detail = ?)
    THEN ? ELSE '' END, ? WHERE true
  ON CONFLICT (day, domain, policy, result, detail) DO UPDATE SET sessions = sessions + excluded.sessions`;
const POLICY = "INSERT INTO tls_result_policies (policy, content, day) VALUES (?, ?, ?) " +
  "ON CONFLICT (policy) DO UPDATE SET day = max(day, excluded.day)";

/** What deletes results that no report will be made of, for the store's regular purge. */
export function purgeTlsResults(now: number): readonly Statement[] {
  const oldest = dayOf(now) - KEPT;
  return [
    { sql: "DELETE FROM tls_results WHERE day < ?", args: [oldest] },
    { sql: "DELETE FROM tls_result_policies WHERE day < ?", args: [oldest] },
  ];
}

function dayOf(time: number): number {
  return Math.floor(time / DAY);
}

interface Count {
  readonly day: number;
  readonly domain: string;
  readonly policy: KeyedPolicy;
  readonly result: TlsResultType | "";
  readonly detail: string;
  sessions: number;
}

interface KeyedPolicy {
  readonly key: string;
  /** JSON of what the key stands for; absent if the key says all. */
  readonly content?: string;
}

/** Makes a recorder. */
export function createTlsResultRecorder({ store, clock }: {
  readonly store: Store;
  readonly clock: Clock;
}): TlsResultRecorder {
  const keys = new WeakMap<ReportedPolicy, KeyedPolicy>();
  let counts = new Map<string, Count>();
  let timer: Timer | undefined;
  let flushing: Promise<void> | undefined;
  let closed = false;

  const keyOf = (policy: ReportedPolicy): KeyedPolicy => {
    if (policy.strings === undefined) return BARE[policy.type];
    let keyed = keys.get(policy);
    if (keyed === undefined) keys.set(policy, keyed = digested(policy));
    return keyed;
  };

  const add = (count: Count) => {
    const key = `${count.day} ${count.domain} ${count.policy.key} ${count.result} ${count.detail}`;
    const known = counts.get(key);
    if (known !== undefined) known.sessions += count.sessions;
    else if (counts.size < MOST_COUNTED) counts.set(key, count);
    else if (count.detail !== "") add({ ...count, detail: "" });
  };

  const arm = () => {
    timer ??= clock.after(PAUSE, () => {
      timer = undefined;
      void flush();
    });
  };

  const write = async () => {
    const taken = [...counts.values()];
    counts = new Map();
    for (let from = 0; from < taken.length; from += STATEMENTS) {
      const some = taken.slice(from, from + STATEMENTS);
      try {
        await store.write(statementsFor(some));
      } catch (error) {
        // Nobody asked for what cannot be stored at all, such as text that is no UTF-8.
        if (error instanceof StatementError) continue;
        if (!(error instanceof StoreUnavailable)) throw error;
        for (const count of taken.slice(from)) add(count);
        break;
      }
    }
    if (counts.size > 0 && !closed) arm();
  };

  const flush = (): Promise<void> => flushing ??= write().finally(() => flushing = undefined);

  return {
    record({ policy, failure }: TlsResult) {
      if (closed) return;
      add({
        day: dayOf(clock.now()),
        domain: policy.domain,
        policy: keyOf(policy),
        result: failure?.type ?? "",
        detail: failure === undefined ? "" : JSON.stringify([
          failure.localIp,
          failure.host,
          failure.remoteIp,
          failure.details.slice(0, LONGEST_DETAILS),
        ]),
        sessions: 1,
      });
      arm();
    },
    flush,
    async close() {
      timer?.cancel();
      await flushing;
      closed = true;
      await flush();
    },
  };
}

const BARE: Readonly<Record<ReportedPolicy["type"], KeyedPolicy>> = {
  "tlsa": { key: "tlsa" },
  "sts": { key: "sts" },
  "no-policy-found": { key: "no-policy-found" },
};

function digested({ type, strings, mxHosts }: ReportedPolicy): KeyedPolicy {
  const content = JSON.stringify({ type, strings, mxHosts });
  return { key: `${type} ${createHash("sha256").update(content).digest("base64url").slice(0, 22)}`, content };
}

function statementsFor(counts: readonly Count[]): Statement[] {
  const policies = new Map<string, Statement>();
  const statements = counts.map(({ day, domain, policy: { key, content }, result, detail, sessions }): Statement => {
    if (content !== undefined) policies.set(key, { sql: POLICY, args: [key, content, day] });
    const args = [day, domain, key, result, day, domain, day, domain, key, result, detail, detail, sessions];
    return { sql: COUNT, args };
  });
  return [...policies.values(), ...statements];
}

/** What was counted for one domain, policy and result. */
export interface StoredTlsResult {
  readonly domain: string;
  readonly policy: Pick<ReportedPolicy, "type" | "strings" | "mxHosts">;
  /** `""` where all was well. */
  readonly result: TlsResultType | "";
  readonly localIp: string;
  readonly host: string;
  readonly remoteIp: string;
  readonly details: string;
  readonly sessions: number;
}

/**
 * The results of one day, ordered by domain and policy.
 *
 * @param time any time of that day, UTC
 */
export async function readTlsResults(store: Store, time: number): Promise<readonly StoredTlsResult[]> {
  const { rows } = await store.read(
    "SELECT r.domain, r.policy, p.content, r.result, r.detail, r.sessions FROM tls_results r " +
      "LEFT JOIN tls_result_policies p ON p.policy = r.policy WHERE r.day = ? " +
      "ORDER BY r.domain, r.policy, r.result, r.detail",
    [dayOf(time)],
  );
  return rows.map(([domain, key, content, result, detail, sessions]) => {
    const [localIp = "", host = "", remoteIp = "", details = ""]: string[] = detail === ""
      ? []
      : JSON.parse(String(detail));
    const policy: StoredTlsResult["policy"] = content === null
      ? { type: String(key).split(" ")[0] as ReportedPolicy["type"] }
      : JSON.parse(String(content));
    return {
      domain: String(domain),
      policy,
      result: String(result) as StoredTlsResult["result"],
      localIp,
      host,
      remoteIp,
      details,
      sessions: Number(sessions),
    };
  });
}
