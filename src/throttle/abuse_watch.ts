/**
 * Counts what clients do wrong and bans those that overdo it (`server.auto-ban.*`). It listens to events, so that a
 * failed login counts on whatever service it happens.
 */

import type { AutoBanConfig, Rate } from "../config/config.ts";
import { compileGlob } from "../directory/mod.ts";
import { LookupUnavailable } from "../expression/types.ts";
import type { Emit, EventFields, EventName } from "../telemetry/event.ts";
import type { BanList, BanReason } from "./ban_list.ts";
import { countKey } from "./count_key.ts";
import type { RateCounter } from "./rate_counter.ts";

/** Events that {@link AbuseWatch.observe} wants to hear of. */
export const WATCHED_EVENTS = [
  "auth.failed",
  "smtp.relay-not-allowed",
  "smtp.mailbox-does-not-exist",
  "smtp.connection-end",
  "tls.handshake-error",
  "http.request-url",
] as const satisfies readonly EventName[];

/** Watches clients. */
export interface AbuseWatch {
  observe(event: { readonly name: EventName; readonly fields: EventFields }): void;
  /**
   * Whether a login name had more failures than the rate allows, from wherever they came. Such a login is refused
   * whatever its password.
   *
   * @throws {LookupUnavailable} (rejects) if the counters cannot be reached
   */
  loginRefused(account: string): boolean | Promise<boolean>;
  /** Uses other limits from now on. */
  reconfigure(config: AutoBanConfig): void;
}

/** What {@link createAbuseWatch} needs. */
export interface AbuseOptions {
  readonly config: AutoBanConfig;
  readonly rates: RateCounter;
  readonly bans: BanList;
  readonly emit: Emit;
  /** Whether an address is never banned (`server.allowed-ip`). */
  allowed(ip: string): boolean;
}

const BAN_EVENTS: Readonly<Record<BanReason, EventName>> = {
  auth: "security.authentication-ban",
  abuse: "security.abuse-ban",
  loiter: "security.loiter-ban",
  scan: "security.scan-ban",
};

/** Starts watching; {@link WATCHED_EVENTS} must be brought to it. */
export function createAbuseWatch({ config: initial, rates, bans, emit, allowed }: AbuseOptions): AbuseWatch {
  let config = initial;
  let scanned = scanTest(initial);

  const count = async (reason: BanReason, ip: string) => {
    const rate = config[reason];
    if (rate === undefined || ip === "" || allowed(ip) || bans.has(ip)) return;
    const key = countKey("ban", reason, limitOf(rate), ip);
    if (await rates.take(key, rate) || !bans.add(ip, reason, config.expire)) return;
    emit(BAN_EVENTS[reason], { remoteIp: ip });
    // Whoever is taken off the list starts anew.
    await rates.forget(key);
  };

  // One more than allowed: the count is full with the failure that goes over the rate.
  const loginRate = () => config.auth === undefined ? undefined : { ...config.auth, count: config.auth.count + 1 };
  const loginKey = (account: string, rate: Rate) => countKey("login", limitOf(rate), account.toLowerCase());

  const countLogin = async (account: string) => {
    const rate = loginRate();
    if (rate !== undefined && account !== "") await rates.take(loginKey(account, rate), rate);
  };

  const reasonOf = (name: EventName, fields: EventFields): BanReason | undefined => {
    switch (name) {
      case "auth.failed":
        return "auth";
      case "smtp.relay-not-allowed":
      case "smtp.mailbox-does-not-exist":
        return "abuse";
      case "smtp.connection-end":
        if (fields.reason === "timeout") return "loiter";
        // A port scanner opens a connection and leaves without a word.
        return (fields.reason === "closed" || fields.reason === "broken") && fields.commands === 0 ? "scan" : undefined;
      case "tls.handshake-error":
        // Where TLS comes first, there is no session yet that could end.
        return fields.idle === "timeout" ? "loiter" : fields.idle === "left" ? "scan" : undefined;
      case "http.request-url":
        return typeof fields.path === "string" && scanned(fields.path) ? "scan" : undefined;
      default:
        return undefined;
    }
  };

  return {
    observe({ name, fields }) {
      const reason = reasonOf(name, fields);
      if (reason === undefined) return;
      const ip = typeof fields.remoteIp === "string" ? fields.remoteIp : "";
      count(reason, ip).catch(absorb(emit));
      if (name === "auth.failed" && typeof fields.account === "string") {
        countLogin(fields.account).catch(absorb(emit));
      }
    },
    loginRefused(account) {
      const rate = loginRate();
      return rate === undefined || account === "" ? false : rates.isUsedUp(loginKey(account, rate), rate);
    },
    reconfigure(next) {
      config = next;
      scanned = scanTest(next);
    },
  };
}

/** Without its counters the watch sleeps; the store says itself that it is away. */
function absorb(emit: Emit): (error: unknown) => void {
  return (error) => {
    if (error instanceof LookupUnavailable) return;
    emit("server.unexpected-error", { reason: error instanceof Error ? error.message : String(error) });
  };
}

function scanTest({ scanPaths }: AutoBanConfig): (path: string) => boolean {
  const globs = scanPaths.map((glob) => compileGlob(glob.toLowerCase()));
  return (path) => globs.some((matches) => matches(path.toLowerCase()));
}

/** Part of each key, so that another rate begins another count. */
function limitOf({ count, period }: Rate): string {
  return `${count}/${period}`;
}
