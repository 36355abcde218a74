/** Addresses that are shut out: kept in the store, shared by all nodes, held in memory for the accept path. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { Store } from "../store/mod.ts";

/** Why an address was banned (`server.auto-ban.*`). */
export type BanReason = "auth" | "abuse" | "loiter" | "scan";

/** The list of banned addresses. */
export interface BanList {
  has(ip: string): boolean;
  /** Puts an address on the list, until somebody removes it. False if it stands there already. */
  add(ip: string, reason: BanReason): boolean;
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

/** Reads the list and keeps it up to date. @throws {StoreUnavailable} if the store cannot be used */
export async function openBanList({ store, clock, onBan }: BanListOptions): Promise<BanList> {
  let banned: ReadonlySet<string> = new Set<string>();
  /** Bans that the store does not have yet. */
  const unsaved = new Map<string, { readonly reason: BanReason; readonly created: number }>();
  let state = "";
  let timer: Timer | undefined;
  let closed = false;

  const save = async (ip: string) => {
    const ban = unsaved.get(ip);
    if (ban === undefined) return;
    await store.write([{ sql: ADD, args: [ip, ban.reason, ban.created] }]);
    unsaved.delete(ip);
    banned = new Set([...banned, ip]);
  };

  const load = async () => {
    for (const ip of [...unsaved.keys()]) await save(ip);
    const [count, created, expires] = (await store.read(STATE)).rows[0] ?? [];
    const found = `${count} ${created}`;
    const now = clock.now();
    const expired = Number(expires ?? 0) > 0 && Number(expires) <= now;
    if (found === state && !expired) return;
    const { rows } = await store.read(LIST, [now]);
    const next = new Set(rows.map(([ip]) => String(ip)));
    const added = [...next].filter((ip) => !banned.has(ip));
    banned = next;
    state = found;
    for (const ip of added) onBan(ip);
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
    has: (ip) => banned.has(ip) || unsaved.has(ip),
    add(ip, reason) {
      if (banned.has(ip) || unsaved.has(ip)) return false;
      unsaved.set(ip, { reason, created: clock.now() });
      save(ip).catch(() => {});
      onBan(ip);
      return true;
    },
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}
