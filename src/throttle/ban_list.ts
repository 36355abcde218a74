/** Addresses that are shut out: kept in the store, shared by all nodes, held in memory for the accept path. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { Store } from "../store/mod.ts";

/** Why an address was banned (`server.auto-ban.*`). */
export type BanReason = "auth" | "abuse" | "loiter" | "scan";

/** A ban as people see it; times in ISO 8601. */
export interface BanView {
  readonly ip: string;
  readonly reason: string;
  readonly created: string;
  /** `null`: until somebody removes it. */
  readonly expires: string | null;
}

/** The list of banned addresses. */
export interface BanList {
  has(ip: string): boolean;
  /** Puts an address on the list, until somebody removes it. False if it stands there already. */
  add(ip: string, reason: BanReason): boolean;
  /** The latest bans, newest first. Rejects with `StoreUnavailable` if the store is away. */
  list(limit: number): Promise<readonly BanView[]>;
  /** Takes an address off the list; other nodes follow. False if it is not there. Rejects as `list`. */
  remove(ip: string): Promise<boolean>;
  /** Stops looking at the store. */
  close(): void;
}

/** What {@link openBanList} needs. */
export interface BanListOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Called for addresses that come to be banned here or on another node. */
  onBan(ip: string): void;
}

/** Milliseconds after which what other nodes or administrators did is seen here. */
const REFRESH = 15_000;

const ADD = "INSERT INTO bans (ip, reason, created) VALUES (?, ?, ?) ON CONFLICT (ip) DO NOTHING";
// Tells whether anything changed without reading the list.
const STATE = "SELECT count(*), coalesce(max(created), 0), coalesce(min(expires), 0) FROM bans";
const LIST = "SELECT ip FROM bans WHERE expires IS NULL OR expires > ?";

const LATEST = "SELECT ip, reason, created, expires FROM bans ORDER BY created DESC, ip LIMIT ?";
const REMOVE = "DELETE FROM bans WHERE ip = ?";

/** Reads the list and keeps it up to date. @throws {StoreUnavailable} if the store cannot be used */
export async function openBanList({ store, clock, onBan }: BanListOptions): Promise<BanList> {
  let banned: ReadonlySet<string> = new Set<string>();
  /** Bans of this node that the list from the store does not show yet. */
  const own = new Map<string, { readonly reason: BanReason; readonly created: number; saved: boolean }>();
  let state = "";
  let timer: Timer | undefined;
  let closed = false;

  const save = async (ip: string) => {
    const ban = own.get(ip);
    if (ban === undefined || ban.saved) return;
    await store.write([{ sql: ADD, args: [ip, ban.reason, ban.created] }]);
    ban.saved = true;
  };

  const load = async () => {
    for (const ip of [...own.keys()]) await save(ip);
    // What the store has by now, the list that it gives decides about.
    const shown = [...own.keys()];
    const [count, created, expires] = (await store.read(STATE)).rows[0] ?? [];
    const found = `${count} ${created}`;
    const now = clock.now();
    const expired = Number(expires ?? 0) > 0 && Number(expires) <= now;
    if (found !== state || expired) {
      const { rows } = await store.read(LIST, [now]);
      const next = new Set(rows.map(([ip]) => String(ip)));
      const added = [...next].filter((ip) => !banned.has(ip) && !own.has(ip));
      banned = next;
      state = found;
      for (const ip of added) onBan(ip);
    }
    for (const ip of shown) own.delete(ip);
  };

  const arm = () => {
    timer = clock.after(REFRESH, () => {
      // The store says itself when it is away; the list stays as it was.
      load().catch(() => {}).finally(() => {
        if (!closed) arm();
      });
    });
  };

  await load();
  arm();
  return {
    has: (ip) => banned.has(ip) || own.has(ip),
    add(ip, reason) {
      if (banned.has(ip) || own.has(ip)) return false;
      own.set(ip, { reason, created: clock.now(), saved: false });
      save(ip).catch(() => {});
      onBan(ip);
      return true;
    },
    async list(limit) {
      const { rows } = await store.read(LATEST, [limit]);
      return rows.map(([ip, reason, created, expires]) => ({
        ip: String(ip),
        reason: String(reason),
        created: new Date(Number(created)).toISOString(),
        expires: expires === null ? null : new Date(Number(expires)).toISOString(),
      }));
    },
    async remove(ip) {
      const [result] = await store.write([{ sql: REMOVE, args: [ip] }]);
      const known = own.delete(ip);
      await load();
      return known || (result?.changes ?? 0) > 0;
    },
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}
