/**
 * Certificates that are ordered from an authority by ACME (RFC 8555) and renewed before they end.
 *
 * Each certificate of the configuration has a keeper. It begins with what its folder holds, or with a certificate of its
 * own that nobody vouches for, so that a start waits for nobody. Nodes that share a store share certificates, accounts
 * and proofs: one of them orders, the others take what it got within a minute.
 *
 * `client.ts` and `order.ts` speak with authorities, `proofs.ts` and `dns01.ts` prove names, `keeper.ts` knows when.
 *
 * @module
 */

import type { Clock, Timer } from "../clock/mod.ts";
import type { AcmeConfig, CertificateConfig } from "../config/config.ts";
import type { Resolver } from "../dns/mod.ts";
import type { ChallengeCertificates } from "../net/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { ChallengeSolver } from "./challenge.ts";
import { createCloudflare } from "./cloudflare.ts";
import { createDns01 } from "./dns01.ts";
import { createSender, type SendRequest } from "./https.ts";
import { createKeeper, type Keeper } from "./keeper.ts";
import { createProofBoard } from "./proofs.ts";
import { type AcmeRecords, acmeRecords } from "./records.ts";
import { createRfc2136 } from "./rfc2136.ts";

export { cachedCertificate } from "./keeper.ts";

/** What orders take. */
export interface AcmeWorld {
  readonly store: Store;
  readonly resolver: Resolver;
  readonly random: () => number;
  readonly nodeId: string;
  /** Called whenever {@link Acme.certificates} gives something else. */
  onChange(): void;
}

/** The certificates of a configuration, as they will be when it is in force. */
export interface AcmePlan {
  readonly certificates: readonly CertificateConfig[];
  /** Puts it in force. */
  use(): void;
}

/** All ordered certificates of the server. */
export interface Acme {
  /** What listeners show, one for each that is configured. */
  readonly certificates: readonly CertificateConfig[];
  /** Proofs for those who ask by TLS. */
  readonly proofs: ChallengeCertificates;
  /** The answer under `/.well-known/acme-challenge/` to a token. */
  httpAnswer(token: string): Promise<string | undefined>;
  /** Begins to order and to renew. */
  start(world: AcmeWorld): void;
  /** Prepares another configuration. Orders that failed are tried again when it comes into force. */
  plan(configs: readonly AcmeConfig[]): Promise<AcmePlan>;
  /** Gives up orders under way. */
  close(): Promise<void>;
}

/** Options beside the configuration. */
export interface AcmeOptions {
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Milliseconds in which proofs are taken away when the program stops. */
const FAREWELL = 3_000;

/** Reads what the folders hold. */
export async function openAcme(initial: readonly AcmeConfig[], { clock, emit }: AcmeOptions): Promise<Acme> {
  let keepers: readonly Keeper[] = [];
  let world: AcmeWorld | undefined;
  let shared: AcmeRecords | undefined;
  let tlsNames: ReadonlySet<string> = new Set();
  const closing = new Set<Promise<void>>();
  const board = createProofBoard({ clock, emit, records: () => shared, tlsNames: () => tlsNames });

  const solverFor = ({ id, challenge }: AcmeConfig, world: AcmeWorld, send: SendRequest): ChallengeSolver => {
    if (challenge.kind !== "dns-01") return board.solver(challenge.kind);
    const { provider, origin } = challenge;
    const { resolver, random } = world;
    const made = provider.kind === "cloudflare" ? createCloudflare({ ...provider, origin }, send) : createRfc2136({
      ...provider,
      origin,
      key: { name: provider.key, secret: Uint8Array.fromBase64(provider.secret), algorithm: provider.algorithm },
    }, { clock, resolver, random });
    return createDns01(made, { id, ...challenge }, { clock, resolver, random, emit });
  };

  const start = (keeper: Keeper, world: AcmeWorld) => {
    const { resolver, random, nodeId, onChange } = world;
    const send = createSender({ clock, resolver });
    const records = shared ??= acmeRecords(world.store);
    const solver = solverFor(keeper.config, world, send);
    keeper.start({ clock, random, emit, records, send, nodeId, solver }, onChange);
  };

  const use = (next: readonly Keeper[]) => {
    const before = keepers;
    keepers = next;
    tlsNames = new Set(
      next.flatMap(({ config }) => config.challenge.kind === "tls-alpn-01" ? config.domains : []),
    );
    for (const keeper of before) {
      if (next.includes(keeper)) keeper.retry();
      else {
        const closed = keeper.close().finally(() => closing.delete(closed));
        closing.add(closed);
      }
    }
    if (world === undefined) return;
    const here = world;
    const fresh = next.filter((keeper) => !before.includes(keeper));
    // A node has one turn in the store, and shows one proof for a name: who goes must not take them from who comes.
    Promise.all(closing).then(() => {
      for (const keeper of fresh) if (keepers.includes(keeper)) start(keeper, here);
    });
    // What has arrived since the plan was made.
    here.onChange();
  };

  const plan = async (configs: readonly AcmeConfig[]): Promise<AcmePlan> => {
    const next: Keeper[] = [];
    for (const config of configs) {
      const known = keepers.find((keeper) => JSON.stringify(keeper.config) === JSON.stringify(config));
      next.push(known ?? await createKeeper(config, clock, emit));
    }
    return { certificates: next.map(({ current }) => current), use: () => use(next) };
  };

  (await plan(initial)).use();
  return {
    get certificates() {
      return keepers.map(({ current }) => current);
    },
    proofs: board.tls,
    httpAnswer: board.httpAnswer,
    start(started) {
      world = started;
      // A node that orders nothing itself proves what others order.
      shared = acmeRecords(started.store);
      for (const keeper of keepers) start(keeper, started);
    },
    plan,
    async close() {
      let timer: Timer | undefined;
      const late = new Promise<void>((resolve) => timer = clock.after(FAREWELL, resolve));
      await Promise.race([Promise.all([...keepers.map((keeper) => keeper.close()), ...closing]), late]);
      timer?.cancel();
    },
  };
}
