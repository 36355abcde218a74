/** Proofs as TXT records (`dns-01`, RFC 8555 §8.4). */

import type { Clock } from "../clock/mod.ts";
import { canonicalName, type Resolver } from "../dns/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { ChallengeSolver, Proof } from "./challenge.ts";
import type { AddedRecord, DnsProvider } from "./dns_provider.ts";
import { authorizationDigest, base64url } from "./jws.ts";
import { AcmeError } from "./problem.ts";
import { createPropagation, type PropagationWorld } from "./propagation.ts";
import { wait } from "./wait.ts";

/** Settings of the records. Times in milliseconds. */
export interface Dns01Settings {
  /** Id of the certificate, for events. */
  readonly id: string;
  readonly ttl: number;
  readonly pollingInterval: number;
  readonly propagationTimeout: number;
}

/** What the solver works with. */
export interface Dns01World extends PropagationWorld {
  readonly clock: Clock;
  readonly resolver: Resolver;
  readonly emit: Emit;
}

/** Steps of a chain of CNAME records that are followed. */
const MOST_ALIASES = 8;

/** Milliseconds in which a record is taken away, whatever else ends. */
const REMOVAL_TIMEOUT = 30_000;

/** Makes the solver. */
export function createDns01(provider: DnsProvider, settings: Dns01Settings, world: Dns01World): ChallengeSolver {
  const { id, ttl, pollingInterval, propagationTimeout } = settings;
  const { clock, resolver, emit } = world;
  const added = new Map<Proof, AddedRecord & { readonly name: string; readonly value: string }>();

  const addOne = async (proof: Proof, signal: AbortSignal): Promise<void> => {
    const name = await recordName(proof.domain, resolver);
    const value = base64url(authorizationDigest(proof.keyAuthorization));
    try {
      const record = await provider.add({ name, value, ttl: Math.ceil(ttl / 1000) }, signal);
      added.set(proof, { ...record, name, value });
      emit("acme.dns-record-created", { id, domain: proof.domain, name });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const reason = error instanceof Error ? error.message : String(error);
      emit("acme.dns-record-creation-failed", { id, domain: proof.domain, name, reason });
      throw new AcmeError(`${proof.domain}: the record ${name} could not be made: ${reason}`, {
        kind: "authorization",
        cause: error,
      });
    }
  };

  const waitFor = async (proof: Proof, until: number, signal: AbortSignal): Promise<void> => {
    const record = added.get(proof);
    if (record === undefined) return;
    const { name, value } = record;
    const look = await createPropagation(record, world);
    for (;;) {
      const { seen, missing } = await look(name, value);
      if (seen) {
        emit("acme.dns-record-propagated", { id, domain: proof.domain, name });
        return;
      }
      const left = until - clock.now();
      if (left <= 0) {
        emit("acme.dns-record-propagation-timeout", { id, domain: proof.domain, name, reason: missing });
        throw new AcmeError(
          `${proof.domain}: the record ${name} was not visible within ${propagationTimeout / 1000} s: ${missing}`,
          { kind: "authorization" },
        );
      }
      emit("acme.dns-record-not-propagated", { id, domain: proof.domain, name, reason: missing });
      // The last look is when the time is over, however long the intervals are.
      await wait(clock, Math.min(pollingInterval, left), signal);
    }
  };

  return {
    type: "dns-01",
    async present(proofs, signal) {
      for (const proof of proofs) await addOne(proof, signal);
      const until = clock.now() + propagationTimeout;
      await Promise.all(proofs.map((proof) => waitFor(proof, until, signal)));
    },
    async withdraw(proofs) {
      for (const proof of proofs) {
        const record = added.get(proof);
        if (record === undefined) continue;
        added.delete(proof);
        // The order may have been given up, and this is still to be done.
        const limit = new AbortController();
        const timer = clock.after(REMOVAL_TIMEOUT, () => limit.abort(new Error("it took too long")));
        try {
          await record.remove(limit.signal);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          emit("acme.dns-record-deletion-failed", { id, domain: proof.domain, name: record.name, reason });
        } finally {
          timer.cancel();
        }
      }
    },
  };
}

/** Where the record of a name goes: an alias leads to a zone that may be changed more freely. */
async function recordName(domain: string, resolver: Pick<Resolver, "cname">): Promise<string> {
  let name = canonicalName(`_acme-challenge.${domain}`);
  if (name === undefined) throw new AcmeError(`${domain} is no name that DNS can hold`);
  for (let step = 0; step < MOST_ALIASES; step++) {
    let target: string | undefined;
    try {
      const { records: [first] } = await resolver.cname(name);
      target = first === undefined ? undefined : canonicalName(first);
    } catch {
      // Whoever cannot look finds out when the record is looked for.
    }
    if (target === undefined) break;
    name = target;
  }
  return name;
}
