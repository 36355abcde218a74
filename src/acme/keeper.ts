/** Keeps one certificate: takes it from folder or store, orders it when its time has come, and again before it ends. */

import * as v from "valibot";
import type { Clock, Timer } from "../clock/mod.ts";
import type { AcmeConfig, CertificateConfig } from "../config/config.ts";
import { StatementError, StoreUnavailable } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { type Cache, openCache } from "./cache.ts";
import type { ChallengeSolver } from "./challenge.ts";
import { type AcmeClient, openAuthority, readJson, retryAfter } from "./client.ts";
import type { SendRequest } from "./https.ts";
import { generateKey, readAccountKey } from "./jws.ts";
import { orderCertificate } from "./order.ts";
import { AcmeError, problemName } from "./problem.ts";
import type { AcmeRecords, CertificateRecord } from "./records.ts";
import { LONGEST_PAUSE, longestPause, pauseAfter, renewalTime, type RenewalWindow, spreadOf } from "./schedule.ts";
import {
  certificateRequest,
  type CertificateWithKey,
  checkCertificate,
  digestOf,
  isForOne,
  renewalId,
  selfSigned,
  type Validity,
} from "./x509.ts";

/** What a keeper works with. */
export interface KeeperWorld {
  readonly clock: Clock;
  readonly random: () => number;
  readonly emit: Emit;
  readonly records: AcmeRecords;
  readonly send: SendRequest;
  readonly nodeId: string;
  readonly solver: ChallengeSolver;
}

/** One certificate of the configuration. */
export interface Keeper {
  readonly config: AcmeConfig;
  /** What listeners show: the certificate, or until there is one another that nobody vouches for. */
  readonly current: CertificateConfig;
  /** Begins to look after it. */
  start(world: KeeperWorld, onChange: () => void): void;
  /** Tries again at once what failed, unless the authority wants a pause. */
  retry(): void;
  /** Resolves when nothing is under way any more. */
  close(): Promise<void>;
}

interface Held extends Validity {
  readonly certificate: CertificateWithKey;
}

/** How often a keeper looks whether another node has renewed, in milliseconds. */
const LOOK = 30_000;

/** Limit of an order, without what `propagation-timeout` allows, in milliseconds. */
const ORDER_LIMIT = 600_000;

/** By how much the clocks of nodes may differ, in milliseconds. */
const CLOCKS_APART = 3_600_000;

/** How often an authority is asked when it wants a renewal, if it does not say so itself (RFC 9773 §4.3). */
const USUAL_CHECK = 6 * 3_600_000;
const SHORTEST_CHECK = 3_600_000;
const LONGEST_CHECK = 86_400_000;

/** A certificate is used at least so long, or for half of what is left of its life, in milliseconds. */
const LEAST_USE = 3_600_000;

const RenewalInfo = v.object({ suggestedWindow: v.object({ start: v.string(), end: v.string() }) });

/** Makes a keeper, with what the folder has. */
export async function createKeeper(config: AcmeConfig, clock: Clock, emit: Emit): Promise<Keeper> {
  const { id, directory, domains, challenge, renewBefore } = config;
  const digest = certificateDigest(config);
  const accountId = digestOf("account", directory, id, config.eab?.kid ?? "");
  // The key stays when names are added: records such as TLSA tell of it.
  const keyId = digestOf("key", id);
  const keyFile = `${fileName(id, keyId)}.key`;
  const cache = openCache(config.cache);
  const certificateFile = fileName(id, digest);
  const limit = ORDER_LIMIT + (challenge.kind === "dns-01" ? challenge.propagationTimeout : 0);
  const closing = new AbortController();
  const fields = { id, domains };

  let held = holding(cache.certificate(certificateFile), domains);
  const known = held?.certificate ?? formerCertificate(config, cache, clock.now());
  let current = known !== undefined ? configOf(config, known) : {
    // With the key that records such as TLSA tell of, where there is one.
    ...configOf(config, await selfSigned(domains, clock.now(), usableKey(cache.key(keyFile)) ?? generateKey())),
    temporary: true,
  };
  let onChange = () => {};
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let isImpatient = false;

  const intoCache = (write: (cache: Cache) => void) => {
    try {
      write(cache);
    } catch (error) {
      const reason = `the folder ${config.cache} cannot be written: ${reasonOf(error)}`;
      emit("acme.error", { ...fields, reason });
    }
  };

  const hold = (next: Held) => {
    held = next;
    current = configOf(config, next.certificate);
    intoCache((cache) => cache.keepCertificate(certificateFile, next.certificate));
    emit("acme.process-cert", { ...fields, expires: new Date(next.notAfter).toISOString() });
    onChange();
  };

  /** Takes from the store what is newer, and gives it what it lacks. */
  const agree = async (record: CertificateRecord | undefined, records: AcmeRecords): Promise<void> => {
    const shared = holding(record?.certificate, domains);
    if (shared !== undefined && shared.notBefore > (held?.notBefore ?? -Infinity)) hold(shared);
    else if (held !== undefined && held.notBefore > (shared?.notBefore ?? -Infinity)) {
      await records.publish(digest, held.certificate, held.notBefore);
    }
  };

  const ownTime = (one: Held) => renewalTime(one, renewBefore, undefined, spreadOf(one.certificate.cert));

  const dueTime = (record: CertificateRecord | undefined, now: number): number => {
    const { next = 0, barred = 0, failures = 0 } = record ?? {};
    if (isPause(barred, now)) return barred;
    if (failures > 0) return isPause(next, now) && !isImpatient ? next : now;
    return held === undefined ? now : Math.min(next, ownTime(held));
  };

  const look = async (world: KeeperWorld): Promise<void> => {
    const { records, nodeId } = world;
    const before = await records.certificate(digest);
    await agree(before, records);
    const now = clock.now();
    if (now < dueTime(before, now)) return;
    if (!await records.claim(digest, nodeId, now, now + limit + LOOK)) return;
    // Another node may have had its turn between the look and the claim.
    const record = await records.certificate(digest);
    await agree(record, records);
    const { next = 0, barred = 0, failures = 0 } = record ?? {};
    if (now < dueTime(record, now)) return await records.release(digest, nodeId, { next, barred, failures });
    isImpatient = false;
    try {
      const planned = await work(world);
      await records.release(digest, nodeId, { ...planned, failures: 0 });
    } catch (error) {
      if (closing.signal.aborted) {
        return await records.release(digest, nodeId, { next, barred, failures });
      }
      // Not the fault of the authority, and the store cannot be told anyway.
      if (error instanceof StoreUnavailable) throw error;
      const failed = asAcmeError(error);
      report(failed);
      const since = clock.now();
      const longest = longestPause(held?.notAfter, since);
      const pause = pauseAfter(failed, failures + 1, { now: since, random: world.random(), longest });
      const again = since + pause.length;
      emit("acme.renew-backoff", { ...fields, attempts: failures + 1, next: new Date(again).toISOString() });
      const plan = { next: again, barred: since + pause.asked, failures: failures + 1 };
      await records.release(digest, nodeId, plan);
    }
  };

  /** Asks the authority, and orders if the time has come. @returns when to look again, and not before when */
  const work = async (world: KeeperWorld): Promise<{ next: number; barred: number }> => {
    const expired = new AbortController();
    const stop = () => expired.abort(closing.signal.reason);
    closing.signal.addEventListener("abort", stop);
    const timer = clock.after(limit, () => {
      expired.abort(new AcmeError(`the order took longer than ${limit / 60_000} min`, { kind: "network" }));
    });
    try {
      closing.signal.throwIfAborted();
      const key = readAccountKey(await sharedKey(world, accountId, "account"));
      const options = { send: world.send, clock, signal: expired.signal };
      const before = held;
      if (before !== undefined && clock.now() < ownTime(before)) {
        const next = await renewalCheck(before, () => openAuthority(directory, key, options));
        if (next > clock.now()) return { next, barred: 0 };
      }
      const client = await openAuthority(directory, key, options);
      const next = await order(world, client, expired.signal);
      hold(next);
      await world.records.publish(digest, next.certificate, next.notBefore);
      const now = clock.now();
      return {
        next: client.directory.renewalInfo === undefined ? ownTime(next) : Math.min(ownTime(next), now + USUAL_CHECK),
        // One that had most of its life behind it when it came would be due again at once.
        barred: now + Math.min(LEAST_USE, (next.notAfter - now) / 2),
      };
    } finally {
      timer.cancel();
      closing.signal.removeEventListener("abort", stop);
    }
  };

  /** When an authority wants a certificate renewed; one that cannot be asked changes nothing. */
  const renewalCheck = async (one: Held, open: () => Promise<AcmeClient>): Promise<number> => {
    const usual = Math.min(ownTime(one), clock.now() + USUAL_CHECK);
    try {
      const client = await open();
      const { renewalInfo } = client.directory;
      const name = await renewalId(one.certificate.cert);
      if (renewalInfo === undefined || name === undefined) return ownTime(one);
      const answer = await client.get(`${renewalInfo}/${name}`);
      const { suggestedWindow: { start, end } } = readJson(RenewalInfo, answer, renewalInfo);
      const window = readWindow(start, end);
      if (window === undefined) return usual;
      const time = renewalTime(one, renewBefore, window, spreadOf(one.certificate.cert));
      const pause = (retryAfter(answer, clock.now()) ?? clock.now() + USUAL_CHECK) - clock.now();
      return Math.min(time, clock.now() + Math.min(Math.max(pause, SHORTEST_CHECK), LONGEST_CHECK));
    } catch (error) {
      if (closing.signal.aborted) throw error;
      return usual;
    }
  };

  const order = async (world: KeeperWorld, client: AcmeClient, signal: AbortSignal): Promise<Held> => {
    emit("acme.order-start", { ...fields, directory, challenge: challenge.kind });
    await useAccount(world, client);
    const privateKey = held?.certificate.privateKey ?? await sharedKey(world, keyId, "key");
    const replaces = held === undefined || client.directory.renewalInfo === undefined
      ? undefined
      : await renewalId(held.certificate.cert);
    const request = {
      domains,
      csr: await certificateRequest(domains, privateKey),
      solver: world.solver,
      clock,
      signal,
    };
    let cert: string;
    try {
      cert = await orderCertificate(client, { ...request, replaces });
    } catch (error) {
      // RFC 9773 §5: an authority may refuse to have it replaced, as one that never issued it would.
      if (replaces === undefined || !isRefusalOf(error, ["alreadyReplaced", "malformed"])) throw error;
      cert = await orderCertificate(client, { ...request, replaces: undefined });
    }
    const certificate = { cert, privateKey };
    try {
      const arrived = { certificate, ...checkCertificate(certificate, domains) };
      const expires = new Date(arrived.notAfter).toISOString();
      // Ordering another one at once, as for any that ends, would go on for ever where the clock is wrong.
      if (arrived.notAfter <= clock.now()) {
        throw new Error(`it expired on ${expires}; is the clock of this server right?`);
      }
      emit("acme.order-completed", { ...fields, expires });
      return arrived;
    } catch (error) {
      throw new AcmeError(`what the authority sent cannot be used: ${reasonOf(error)}`);
    }
  };

  /** A key by its id: that of the store, else that of the folder, else a new one. */
  const sharedKey = async ({ records }: KeeperWorld, keyId: string, use: "account" | "key"): Promise<string> => {
    const file = `${fileName(id, keyId)}.${use}`;
    const kept = cache.key(file);
    const known = await records.key(keyId) ??
      await records.keepKey(keyId, { privateKey: kept ?? generateKey(), url: "" });
    if (known.privateKey !== kept) intoCache((cache) => cache.keepKey(file, known.privateKey));
    return known.privateKey;
  };

  /** Signs as the account from now on. One that the authority has lost is made again. */
  const useAccount = async ({ records }: KeeperWorld, client: AcmeClient): Promise<void> => {
    const known = await records.key(accountId);
    if (known !== undefined && known.url !== "") {
      client.useAccount(known.url);
      try {
        // RFC 8555 §7.3.2: the addresses may have changed since.
        await client.post(known.url, { contact: config.contacts });
        return;
      } catch (error) {
        if (!isRefusalOf(error, ["accountDoesNotExist"])) throw error;
        await records.forgetAccount(accountId);
      }
    }
    const url = await client.createAccount({ contacts: config.contacts, eab: config.eab });
    client.useAccount(url);
    await records.keepKey(accountId, { privateKey: client.key.pem, url });
  };

  const report = (error: AcmeError) => {
    const name = error.kind === "authorization"
      ? "acme.auth-error"
      : error.kind === "refused"
      ? "acme.order-invalid"
      : "acme.error";
    emit(name, {
      ...fields,
      directory,
      reason: error.message,
      // The problem as the authority sent it, for whoever asks them.
      ...(error.problem === undefined ? {} : { problem: JSON.stringify(error.problem) }),
    });
  };

  /** Looks now, or once more if that is under way. */
  const run = (world: KeeperWorld) => {
    if (closing.signal.aborted) return;
    if (running !== undefined) {
      again = true;
      return;
    }
    timer?.cancel();
    running = look(world).catch((error) => {
      // Mail goes on with the certificate that there is, and so does everything else when the store is back.
      if (!(error instanceof StoreUnavailable || error instanceof StatementError)) {
        emit("acme.error", { ...fields, reason: reasonOf(error) });
      }
    }).finally(() => {
      running = undefined;
      if (closing.signal.aborted) return;
      timer = clock.after(again ? 0 : LOOK, () => run(world));
      again = false;
    });
  };

  let started: KeeperWorld | undefined;
  return {
    config,
    get current() {
      return current;
    },
    start(world, changed) {
      onChange = changed;
      started = world;
      run(world);
    },
    retry() {
      isImpatient = true;
      if (started !== undefined) run(started);
    },
    async close() {
      closing.abort(new Error("the program stops"));
      timer?.cancel();
      await running;
    },
  };
}

/** Names and authority make the certificate: nodes with the same ones share it, whatever they call it. */
function certificateDigest({ directory, domains }: AcmeConfig): string {
  return digestOf(directory, ...domains.toSorted());
}

/** An id may hold what leads elsewhere in a path; the digest tells two apart that look alike then. */
function fileName(id: string, digest: string): string {
  return `${id.replaceAll(/[^\w.-]/g, "_")}-${digest}`;
}

/** The certificate that the folder of a configuration holds, if there is one for its names, or for some of them. */
export function cachedCertificate(config: AcmeConfig, now: number): CertificateConfig | undefined {
  const cache = openCache(config.cache);
  const cached = cache.certificate(fileName(config.id, certificateDigest(config)));
  const found = holding(cached, config.domains)?.certificate ?? formerCertificate(config, cache, now);
  return found === undefined ? undefined : configOf(config, found);
}

/**
 * What serves after names were added or the authority was changed, until a certificate for these names arrives: the
 * latest one of before that is for some of them.
 */
function formerCertificate({ id, domains }: AcmeConfig, cache: Cache, now: number): CertificateWithKey | undefined {
  const prefix = fileName(id, "");
  return cache.certificates()
    .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes("-"))
    .flatMap((name) => holding(cache.certificate(name), []) ?? [])
    .filter(({ certificate, notBefore, notAfter }) =>
      notBefore <= now && now < notAfter && isForOne(certificate, domains)
    )
    .toSorted((one, other) => other.notBefore - one.notBefore)[0]?.certificate;
}

/** A key that certificates can be made with; nothing if it is spoiled. */
function usableKey(pem: string | undefined): string | undefined {
  try {
    return pem === undefined ? undefined : readAccountKey(pem).pem;
  } catch {
    return undefined;
  }
}

function configOf(
  { id, default: isDefault }: AcmeConfig,
  certificate: CertificateWithKey | undefined,
): CertificateConfig {
  const { cert = "", privateKey = "" } = certificate ?? {};
  return { id, cert, privateKey, subjects: [], default: isDefault };
}

/** A certificate that can be used for the names; nothing if it cannot. */
function holding(certificate: CertificateWithKey | undefined, domains: readonly string[]): Held | undefined {
  if (certificate === undefined) return undefined;
  try {
    return { certificate, ...checkCertificate(certificate, domains) };
  } catch {
    // For other names, or spoiled: as good as none.
    return undefined;
  }
}

/** Whether a time is still to come. One beyond all pauses was written by a clock that was wrong. */
function isPause(time: number, now: number): boolean {
  return now < time && time <= now + LONGEST_PAUSE + CLOCKS_APART;
}

function readWindow(start: string, end: string): RenewalWindow | undefined {
  const window = { start: Date.parse(start), end: Date.parse(end) };
  return window.start < window.end ? window : undefined;
}

function isRefusalOf(error: unknown, names: readonly string[]): boolean {
  return error instanceof AcmeError && error.problem !== undefined && names.includes(problemName(error.problem));
}

function asAcmeError(error: unknown): AcmeError {
  return error instanceof AcmeError ? error : new AcmeError(reasonOf(error), { cause: error });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
