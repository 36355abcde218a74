/** Keeps the trusted keys of zones current by RFC 5011, and what was seen of them in a file. */

import { Buffer } from "node:buffer";
import type { Clock, Timer } from "../clock/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import {
  afterSeeing,
  type Anchor,
  type FollowedKey,
  isDigestOf,
  isSameKey,
  isTrustedState,
  nextLook,
  nextTry,
  readAnchorFile,
  readKey,
  readSeenKeys,
  writeAnchorFile,
  type ZoneKey,
} from "./dnssec/mod.ts";

/** Where the file is. */
export interface AnchorStorage {
  /** Its text; `undefined` if there is none yet. @throws if it cannot be read */
  read(): string | undefined;
  /** Puts another text in its place, whole or not at all. @throws if it cannot be written */
  write(text: string): Promise<void>;
}

/** What a keeper works with. */
export interface KeeperOptions {
  /** Anchors to begin with. */
  readonly initial: readonly Anchor[];
  readonly storage: AnchorStorage;
  /** Asks for the keys of a zone; gives the response as it came. */
  readonly ask: (zone: string) => Promise<Uint8Array>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Whether zones are looked at and the file is written; otherwise it is only read. */
  readonly follows: boolean;
}

/** Trusted keys that follow those of the zones. */
export interface AnchorKeeper {
  /** What is trusted now; another list whenever that changes. */
  readonly anchors: readonly Anchor[];
  close(): void;
}

/** Milliseconds before the first look, so that a start does not depend on DNS. */
const FIRST_LOOK = 10_000;
/** For zones that have not been seen yet. */
const UNSEEN = { originalTtl: 86_400, left: 86_400 };

/** Reads the file and, if wanted, begins to follow the zones of `initial`. */
export function keepAnchors(options: KeeperOptions): AnchorKeeper {
  const { initial, storage, ask, clock, emit } = options;
  const zones = new Map<string, readonly FollowedKey[]>();
  const timers = new Map<string, Timer>();
  let closed = false;

  const trouble = (details: string) => emit("network.trust-anchor-error", { details });

  try {
    const text = storage.read();
    const found = text === undefined ? undefined : readAnchorFile(text);
    if (found !== undefined && "unreadable" in found) {
      trouble(`the file has a line that is no key: ${found.unreadable}`);
    } else for (const [zone, keys] of found ?? []) if (isFollowed(zone)) zones.set(zone, keys);
  } catch (error) {
    trouble(`the file cannot be read: ${messageOf(error)}`);
  }
  let anchors = trusted();

  function isFollowed(zone: string): boolean {
    return initial.some((anchor) => anchor.zone === zone);
  }

  /** What the configuration names stays trusted until it takes itself back; keys of the file are trusted beside it. */
  function trusted(): readonly Anchor[] {
    return initial.flatMap(({ zone, digests, keys }): Anchor[] => {
      const followed = zones.get(zone) ?? [];
      const gone = followed.filter(({ state }) => state === "revoked" || state === "removed");
      const isGone = (key: ZoneKey) => gone.some(({ data }) => isSameKey(data, key.data));
      const goneKeys = gone.map(({ data }) => readKey(data)).filter((key) => key !== undefined);
      const all = followed.filter(({ state }) => isTrustedState(state)).map(({ data }) => readKey(data));
      const anchor: Anchor = {
        zone,
        digests: digests.filter((digest) => !goneKeys.some((key) => isDigestOf(digest, zone, key))),
        keys: [...keys.filter((key) => !isGone(key)), ...all.filter((key) => key !== undefined)],
      };
      // RFC 5011 §5: a zone whose keys have all been taken back is trusted no more than others.
      return anchor.digests.length + anchor.keys.length === 0 ? [] : [anchor];
    });
  }

  const look = async (zone: string): Promise<number> => {
    const anchor = anchors.find((one) => one.zone === zone);
    if (anchor === undefined) return nextLook(UNSEEN);
    const isTrusted = (key: ZoneKey) =>
      anchor.digests.some((digest) => isDigestOf(digest, zone, key)) ||
      anchor.keys.some(({ data }) => isSameKey(data, key.data));
    const now = clock.now();
    const seen = readSeenKeys(await ask(zone), zone, isTrusted, Math.floor(now / 1000));
    if (typeof seen === "string") {
      trouble(`the keys of ${zone || "."} cannot be believed: ${seen}`);
      return nextTry(UNSEEN);
    }
    const known = zones.get(zone) ?? [];
    // What the configuration vouches for need not wait.
    const vouched = [...seen.present ?? [], ...seen.revoked].filter((data) => {
      const key = readKey(data);
      return key !== undefined && isTrusted(key) && !known.some((one) => isSameKey(one.data, data));
    });
    const counted = vouched.map((data): FollowedKey => ({ data, state: "valid", since: now }));
    const after = afterSeeing([...known, ...counted], seen, now);
    const changed = after.length !== known.length ||
      after.some(({ data, state }) => known.find((one) => isSameKey(one.data, data))?.state !== state);
    zones.set(zone, after);
    if (!changed) return nextLook(seen);
    anchors = trusted();
    for (const { data, state } of after) {
      if (known.find((one) => isSameKey(one.data, data))?.state === state) continue;
      emit("network.trust-anchor", { name: zone || ".", details: `key ${readKey(data)?.tag}: ${state}` });
    }
    try {
      await storage.write(writeAnchorFile(zones));
    } catch (error) {
      trouble(`the file cannot be written: ${messageOf(error)}`);
    }
    return nextLook(seen);
  };

  const plan = (zone: string, delay: number) => {
    if (closed) return;
    timers.set(
      zone,
      clock.after(delay, () => {
        look(zone).catch((error) => {
          trouble(`the keys of ${zone || "."} cannot be looked up: ${messageOf(error)}`);
          return nextTry(UNSEEN);
        }).then((next) => plan(zone, next));
      }),
    );
  };
  if (options.follows) { for (const { zone } of initial) plan(zone, FIRST_LOOK); }

  return {
    get anchors() {
      return anchors;
    },
    close() {
      closed = true;
      for (const timer of timers.values()) timer.cancel();
    },
  };
}

/** A file of the file system. */
export function anchorFile(path: string): AnchorStorage {
  return {
    read() {
      try {
        return Deno.readTextFileSync(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    async write(text) {
      const temporary = `${path}.new`;
      const file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o644 });
      try {
        await file.write(Buffer.from(text));
        await file.sync();
      } finally {
        file.close();
      }
      await Deno.rename(temporary, path);
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
