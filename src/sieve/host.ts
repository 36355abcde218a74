/** What scripts may ask of the world. Everything is optional: what is missing answers as if there were nothing. */

import type { FunctionHost } from "../expression/mod.ts";

/** An answer at once, or later where I/O is needed. */
export type Answer<T> = T | Promise<T>;

/** The surroundings of a run. Answers that come later make only that run wait. */
export interface SieveHost {
  /** Milliseconds since the epoch; for dates, and with `limits.milliseconds`. */
  now(): number;
  /** Minutes east of Greenwich of the local time zone at that moment; UTC if missing. */
  zoneOffset?(time: number): number;
  /** Items of RFC 5183 and others, by name in lower case. */
  environment?(item: string): string | undefined;
  /** RFC 6134: whether `value` is in the list. */
  inList?(list: string, value: string): Answer<boolean>;
  /** RFC 6134: whether the list exists and may be used. */
  listExists?(list: string): boolean;
  /** RFC 6134 §2.3: the addresses in a list, for `redirect :list`; undefined if they cannot be told. */
  listMembers?(list: string): Answer<readonly string[] | undefined>;
  /**
   * RFC 7352 and RFC 5230 §4.2: whether `key` was seen within `seconds`; remembers it from now on, or, if `renew` is
   * false, only if it is new. Keys of different uses begin with different words.
   */
  seen?(key: string, seconds: number, renew: boolean): Answer<boolean>;
  /** RFC 5490 §3.1, RFC 9042: whether mail can be filed there. */
  mailboxExists?(mailbox: string): Answer<boolean>;
  mailboxIdExists?(id: string): Answer<boolean>;
  /** RFC 8579 §3: whether a mailbox (any, if undefined) has the attribute. */
  specialUseExists?(mailbox: string | undefined, attribute: string): Answer<boolean>;
  /** RFC 5490 §3.3 (a mailbox) and §4 (the server, mailbox undefined); undefined if there is no such entry. */
  metadata?(mailbox: string | undefined, entry: string): Answer<string | undefined>;
  /** The user's own addresses, the first is the one to send from. Empty for scripts without a user. */
  readonly addresses?: readonly string[];
  /** Whether the script may write in the name of an address (RFC 5435 §3.3); every one if missing. */
  maySendFrom?(address: string): boolean;
  /** A new right side included: `id@host`, for Message-ID. */
  messageId?(): string;
  /** Functions of expressions that reach outside. */
  readonly functions?: FunctionHost;
  /** `exec`: true on exit status 0. Programs that are not allowed throw. */
  execute?(program: string, args: readonly string[]): Answer<boolean>;
  /** Asked now and then by a run that goes on and on: a promise makes it wait while others have their turn. */
  pause?(): Promise<void> | undefined;
  /** What a script logs. */
  log?(text: string): void;
}

/** How far a script may go. */
export interface SieveLimits {
  /** Commands and tests; long values cost more. */
  readonly instructions: number;
  /** Time on the host's clock. */
  readonly milliseconds: number;
  readonly actions: number;
  readonly redirects: number;
  /** Messages sent: notifications and replies. */
  readonly outMessages: number;
  readonly nestedIncludes: number;
  readonly includes: number;
  /** Characters in a variable; more is cut off (RFC 5229 §3). */
  readonly variableSize: number;
  /** Parts of a message that are told apart, and how deep they are nested. */
  readonly mimeParts: number;
  readonly mimeDepth: number;
}

/** The defaults of `sieve.trusted.limits`. */
export const DEFAULT_LIMITS: SieveLimits = {
  instructions: 10_000,
  milliseconds: 10_000,
  actions: 32,
  redirects: 3,
  outMessages: 5,
  nestedIncludes: 5,
  includes: 255,
  variableSize: 1_048_576,
  mimeParts: 1000,
  mimeDepth: 50,
};
