/** The rows of banned addresses and networks: what a running server, other nodes and the command line share. */

import { parseNetwork } from "../net/mod.ts";
import type { Statement, Store } from "../store/mod.ts";

/** A ban as people see it; times in ISO 8601. */
export interface BanView {
  /** An address, or a network such as `192.0.2.0/24`. */
  readonly ip: string;
  /** `auth`, `abuse`, `loiter`, `scan`, or `manual` for one that an administrator has set. */
  readonly reason: string;
  readonly created: string;
  /** `null`: until somebody removes it. */
  readonly expires: string | null;
}

/** A row; times in milliseconds since the epoch. */
export interface Ban {
  readonly ip: string;
  readonly reason: string;
  readonly created: number;
  readonly expires: number | undefined;
}

/**
 * The one spelling of an address or network that can be banned, bits behind the prefix cleared.
 *
 * @returns `undefined` if `text` is neither
 */
export function banTarget(text: string): string | undefined {
  const network = parseNetwork(text);
  if (network === undefined) return undefined;
  const bits = network.address.includes(":") ? 128 : 32;
  return network.prefix === bits ? network.address : `${network.address}/${network.prefix}`;
}

const COLUMNS = "INSERT INTO bans (ip, reason, created, expires) VALUES (?, ?, ?, ?) ON CONFLICT (ip) DO ";
/** A ban that has run out but still stands there gives way. */
const ADD = COLUMNS + "UPDATE SET reason = excluded.reason, created = excluded.created, expires = excluded.expires " +
  "WHERE bans.expires <= excluded.created";
const SET = COLUMNS + "UPDATE SET reason = excluded.reason, created = excluded.created, expires = excluded.expires";
const IN_FORCE = "WHERE expires IS NULL OR expires > ?";
const LATEST = `SELECT ip, reason, created, expires FROM bans ${IN_FORCE} ORDER BY created DESC, ip LIMIT ?`;

/** Adds a ban, unless the address is banned already. */
export function addStatement({ ip, reason, created, expires }: Ban): Statement {
  return { sql: ADD, args: [ip, reason, created, expires ?? null] };
}

/** Sets a ban, in the place of the one that may be there. Rejects with `StoreUnavailable` if the store is away. */
export async function setBan(store: Store, { ip, reason, created, expires }: Ban): Promise<void> {
  await store.write([{ sql: SET, args: [ip, reason, created, expires ?? null] }]);
}

/** The latest bans in force, newest first. Rejects as {@link setBan}. */
export async function latestBans(store: Store, now: number, limit: number): Promise<readonly BanView[]> {
  const { rows } = await store.read(LATEST, [now, limit]);
  return rows.map(([ip, reason, created, expires]) => ({
    ip: String(ip),
    reason: String(reason),
    created: new Date(Number(created)).toISOString(),
    expires: expires === null || expires === undefined ? null : new Date(Number(expires)).toISOString(),
  }));
}

/** Takes a ban off. @returns false if it was not there, or was over. Rejects as {@link setBan}. */
export async function deleteBan(store: Store, ip: string, now: number): Promise<boolean> {
  const [result] = await store.write([{ sql: "DELETE FROM bans WHERE ip = ? RETURNING expires", args: [ip] }]);
  const [row] = result?.rows ?? [];
  return row !== undefined && (row[0] === null || Number(row[0]) > now);
}
