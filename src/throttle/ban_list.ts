/** Addresses that are shut out: kept in the store, shared by all nodes, held in memory for the accept path. */

import type { Clock, Timer } from "../clock/mod.ts";
import { networkSet, parseNetwork } from "../net/mod.ts";
import type { Store } from "../store/mod.ts";
import { addStatement, type Ban, type BanView, deleteBan, latestBans, setBan } from "./ban_store.ts";

/** Why an address was banned (`server.auto-ban.*`). */
export type BanReason = "auth" | "abuse" | "loiter" | "scan";

/** The list of banned addresses and networks. */
export interface BanList {
  has(ip: string): boolean;
  /** Bans an address for `life` milliseconds, or until somebody removes it. False if it is banned already. */
  add(ip: string, reason: BanReason, life?: number): boolean;
  /**
   * Sets a ban that an administrator wants, in the place of one that may be there; other nodes follow.
   *
   * @param target as `banTarget` gives it
   */
  set(target: string, life?: number): Promise<BanView>;
  /** The latest bans, newest first, which count from now on. Rejects with `StoreUnavailable` if the store is away. */
  list(limit: number): Promise<readonly BanView[]>;
  /** Takes an address or network off the list; other nodes follow. False if it is not there. Rejects as `list`. */
  remove(target: string): Promise<boolean>;
  /** Stops looking at the store. */
  close(): void;
}

/** What {@link openBanList} needs. */
export interface BanListOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Called when addresses have come to be banned here or on another node. */
  onBan(isBanned: (ip: string) => boolean): void;
}

/** Milliseconds after which what other nodes or administrators did is seen here. */
const REFRESH = 15_000;

// Tells whether anything changed without reading the list.
const STATE = "SELECT count(*), coalesce(max(created), 0), total(expires) FROM bans";
const LIST = "SELECT ip, expires FROM bans WHERE expires IS NULL OR expires > ?";

/** What the store has: the end of each ban, `Infinity` for one without. */
interface Known {
  readonly addresses: ReadonlyMap<string, number>;
  readonly networks: readonly {
    readonly text: string;
    readonly contains: (ip: string) => boolean;
    readonly until: number;
  }[];
}

/** Reads the list and keeps it up to date. @throws {StoreUnavailable} if the store cannot be used */
export async function openBanList({ store, clock, onBan }: BanListOptions): Promise<BanList> {
  let known: Known = { addresses: new Map(), networks: [] };
  /** Bans of this node that the list from the store does not show yet. */
  const own = new Map<string, Ban & { saved: boolean }>();
  let state = "";
  let timer: Timer | undefined;
  let closed = false;

  const isOwn = (ip: string) => {
    const ban = own.get(ip);
    return ban !== undefined && (ban.expires ?? Infinity) > clock.now();
  };
  const has = (ip: string): boolean => {
    const { addresses, networks } = known;
    if (addresses.size > 0 && (addresses.get(ip) ?? 0) > clock.now()) return true;
    if (own.size > 0 && isOwn(ip)) return true;
    return networks.length > 0 && networks.some(({ contains, until }) => until > clock.now() && contains(ip));
  };

  const save = async (ip: string) => {
    const ban = own.get(ip);
    if (ban === undefined || ban.saved) return;
    await store.write([addStatement(ban)]);
    ban.saved = true;
  };

  const load = async () => {
    for (const ip of [...own.keys()]) await save(ip);
    // What the store has by now, the list that it gives decides about.
    const shown = [...own.keys()];
    const [count, created, expires] = (await store.read(STATE)).rows[0] ?? [];
    const found = `${count} ${created} ${expires}`;
    if (found !== state) {
      const { rows } = await store.read(LIST, [clock.now()]);
      const before = known;
      known = toKnown(rows.map(([ip, until]) => [String(ip), until === null ? Infinity : Number(until)]));
      state = found;
      const isNew = [...known.addresses.keys()].some((ip) => !before.addresses.has(ip) && !own.has(ip)) ||
        known.networks.some(({ text }) => !before.networks.some((other) => other.text === text));
      if (isNew) onBan(has);
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
    has,
    add(ip, reason, life) {
      if (has(ip)) return false;
      const created = clock.now();
      own.set(ip, { ip, reason, created, expires: endOf(created, life), saved: false });
      save(ip).catch(() => {});
      onBan((other) => other === ip);
      return true;
    },
    async set(target, life) {
      const created = clock.now();
      const expires = endOf(created, life);
      await setBan(store, { ip: target, reason: "manual", created, expires });
      own.delete(target);
      await load();
      return {
        ip: target,
        reason: "manual",
        created: new Date(created).toISOString(),
        expires: expires === undefined ? null : new Date(expires).toISOString(),
      };
    },
    async list(limit) {
      await load();
      return await latestBans(store, clock.now(), limit);
    },
    async remove(target) {
      const stored = await deleteBan(store, target, clock.now());
      const mine = isOwn(target);
      own.delete(target);
      await load();
      return stored || mine;
    },
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}

function endOf(created: number, life: number | undefined): number | undefined {
  return life === undefined ? undefined : created + life;
}

function toKnown(entries: readonly (readonly [ip: string, until: number])[]): Known {
  const networks = entries.filter(([ip]) => ip.includes("/")).flatMap(([text, until]) => {
    const network = parseNetwork(text);
    return network === undefined ? [] : [{ text, contains: networkSet([network]), until }];
  });
  return { addresses: new Map(entries.filter(([ip]) => !ip.includes("/"))), networks };
}
