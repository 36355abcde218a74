/** Answers of a directory that are kept for a while, and questions that several ask at the same time. */

import type { Clock } from "../clock/mod.ts";
import type { DirectoryCacheConfig } from "../config/config.ts";
import type { Account, Directory } from "./directory.ts";

interface Entry {
  readonly value: unknown;
  readonly expires: number;
  readonly bytes: number;
}

/** What an entry takes beside its text, in octets. */
const ENTRY_BYTES = 128;

/**
 * Puts a cache before a directory that asks somebody else: which domains and addresses there are, and who an account
 * is. Passwords and tokens are checked anew each time, so that a changed one counts at once. Failures are not kept.
 * The same question asked again while the first is under way is asked once.
 */
export function withAnswers(directory: Directory, config: DirectoryCacheConfig, clock: Clock): Directory {
  // A map gives its entries in the order they were put in: what was not used for longest stands first.
  const kept = new Map<string, Entry>();
  const asked = new Map<string, Promise<unknown>>();
  let bytes = 0;

  const drop = (key: string) => {
    bytes -= kept.get(key)?.bytes ?? 0;
    kept.delete(key);
  };

  const keep = (key: string, value: unknown, ttl: number) => {
    const size = (key.length + (JSON.stringify(value) ?? "").length) * 2 + ENTRY_BYTES;
    if (size > config.size || ttl <= 0) return;
    drop(key);
    kept.set(key, { value, expires: clock.now() + ttl, bytes: size });
    bytes += size;
    for (const oldest of kept.keys()) {
      if (bytes <= config.size) break;
      drop(oldest);
    }
  };

  const answer = <T>(key: string, isYes: (value: T) => boolean, ask: () => T | Promise<T>): T | Promise<T> => {
    const entry = kept.get(key);
    if (entry !== undefined) {
      kept.delete(key);
      if (clock.now() < entry.expires) {
        kept.set(key, entry);
        // Each key is only ever used for one kind of question.
        return entry.value as T;
      }
      bytes -= entry.bytes;
    }
    const pending = asked.get(key);
    if (pending !== undefined) return pending as Promise<T>;
    const value = ask();
    if (!(value instanceof Promise)) return value;
    const settled = value.then((found) => {
      keep(key, found, isYes(found) ? config.positive : config.negative);
      return found;
    }).finally(() => asked.delete(key));
    asked.set(key, settled);
    return settled;
  };

  return {
    ...directory,
    isLocalDomain: (domain) =>
      answer<boolean>(`d ${domain.toLowerCase()}`, (found) => found, () => directory.isLocalDomain(domain)),
    recipients: (address) =>
      answer<readonly string[]>(`r ${address}`, (found) => found.length > 0, () => directory.recipients(address)),
    account: (name) =>
      answer<Account | undefined>(`a ${name}`, (found) => found !== undefined, () => directory.account(name)),
  };
}
