/** The `Deliver` of the queue: picks the way of a job's route and answers for every recipient. */

import type { Clock } from "../clock/mod.ts";
import type { QueueConfig } from "../config/config.ts";
import type { Resolver } from "../dns/mod.ts";
import type { FunctionHost } from "../expression/types.ts";
import type { RunUserScript } from "../filter/mod.ts";
import { connect as connectByNet, createTlsMemory } from "../net/mod.ts";
import { type Deliver, type DeliveryJob, formatMessageId, type Outcome, type QueuedRecipient } from "../queue/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { Wire } from "../telemetry/mod.ts";
import { createCaution } from "./caution.ts";
import { createDanePolicy } from "./dane_policy.ts";
import { deliverLocal, type LocalContext } from "./local.ts";
import { createDownHosts } from "./down_hosts.ts";
import { type Connect, createFamilyRaces } from "./family_race.ts";
import { createMaildirWriter } from "./maildir.ts";
import { type Counters, createOutboundLimits } from "./outbound_limits.ts";
import { createPeerCapacity } from "./peer_capacity.ts";
import { createPool } from "./pool.ts";
import { attemptRemote, type RemoteContext, type RemoteRoute } from "./remote.ts";
import { localTlsPolicy, type TlsPolicy } from "./tls_policy.ts";
import type { TlsResults } from "./tls_result.ts";
import { failure, toOutcome, type Verdict } from "./verdict.ts";
import { createWaitingRoom } from "./waiting_room.ts";

/** What delivery is made with. */
export interface DeliveryOptions {
  readonly config: QueueConfig;
  /** `server.hostname`. */
  readonly hostname: string;
  readonly resolver: Resolver;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly emit: Emit;
  readonly functions: FunctionHost;
  /** Whether local copies get Delivered-To (`session.data.add-headers.delivered-to`). */
  readonly deliveredTo: boolean;
  /** Name of the directory account behind an address, for `{account}` in Maildir paths. */
  readonly accountOf: (address: string) => string | undefined | Promise<string | undefined>;
  /** Runs the scripts of recipients of `local` routes; without it nobody has one. */
  readonly runScript?: RunUserScript;
  /** Opens connections; the net room's if not given. */
  readonly connect?: Connect;
  /** Asked about TLS with each host before DANE and the local definitions are. */
  readonly policies?: readonly TlsPolicy[];
  /** MTA-STS, asked behind DANE; without it no domain has it. */
  readonly mtaSts?: TlsPolicy;
  /** Told how TLS went, for reports. */
  readonly tlsResults?: TlsResults;
  /** Counts for `[[queue.limiter.outbound]]`; without them nothing is limited. */
  readonly counters?: Counters;
  /** Where others may listen to what is said. */
  readonly wire?: Wire;
  /** Port of `mx` routes, 25 if not given. */
  readonly mxPort?: number;
}

/** The delivering side. */
export interface Delivery {
  readonly deliver: Deliver;
  /** Ends kept connections with QUIT. Attempts under way end by their signal. */
  close(): Promise<void>;
  /** Uses another configuration from the next attempt on; kept connections are ended. */
  reconfigure(config: QueueConfig): void;
}

// Copies of one message that are written at the same time.
const LOCAL_COPIES = 8;

/** Makes the delivering side. */
export function createDelivery(options: DeliveryOptions): Delivery {
  const { clock, emit, random } = options;
  let { config } = options;
  const pool = createPool(clock);
  const local: LocalContext = {
    writer: createMaildirWriter(options.hostname, clock),
    emit,
    // A reload may change it.
    get deliveredTo() {
      return options.deliveredTo;
    },
    accountOf: options.accountOf,
    ...(options.runScript === undefined ? {} : { runScript: options.runScript }),
  };
  let names = ownNames(config, options.hostname);
  const waiting = createWaitingRoom(clock);
  const limitsOf = ({ outboundLimiters }: QueueConfig) =>
    options.counters === undefined || outboundLimiters.length === 0
      ? undefined
      : createOutboundLimits(outboundLimiters, { ...options.counters, waiting, clock });
  const remote: RemoteContext = {
    connect: options.connect ?? connectByNet,
    clock,
    emit,
    functions: options.functions,
    lookup: { resolver: options.resolver, random, emit, isOwnName: (name) => names.has(name) },
    pool,
    tlsMemory: createTlsMemory(clock),
    down: createDownHosts(clock),
    races: createFamilyRaces(clock),
    caution: createCaution(clock),
    capacity: createPeerCapacity(clock, waiting.wake),
    waiting,
    config,
    limits: limitsOf(config),
    policies: [
      ...(options.policies ?? []),
      createDanePolicy({ resolver: options.resolver, clock, emit }),
      ...(options.mtaSts === undefined ? [] : [options.mtaSts]),
      localTlsPolicy,
    ],
    results: options.tlsResults,
    mxPort: options.mxPort ?? 25,
    wire: options.wire,
  };

  const routeOf = (id: string) => {
    const route = config.route.get(id);
    if (route !== undefined) return route;
    emit("smtp.id-not-found", { key: "queue.strategy.route", id });
    return config.route.get("mx");
  };

  const byNetwork = (job: DeliveryJob, route: RemoteRoute, signal: AbortSignal): Promise<readonly Outcome[]> =>
    new Promise((resolve, reject) => {
      const attempt = attemptRemote(job, route, config, remote, signal);
      const settle = () => resolve(outcomes(job, attempt.verdicts));
      const stop = () => {
        attempt.abort();
        settle();
      };
      signal.addEventListener("abort", stop, { once: true });
      attempt.done.then(settle, reject).finally(() => signal.removeEventListener("abort", stop));
    });

  const byFile = async (
    job: DeliveryJob,
    route: Parameters<typeof deliverLocal>[2],
    signal: AbortSignal,
  ): Promise<readonly Outcome[]> => {
    const { recipients, message } = job;
    const verdicts: (Verdict | undefined)[] = [];
    for (let from = 0; from < recipients.length && !signal.aborted; from += LOCAL_COPIES) {
      const some = recipients.slice(from, from + LOCAL_COPIES);
      verdicts.push(...await Promise.all(some.map((recipient) => deliverLocal(message, recipient, route, local))));
    }
    return outcomes(job, verdicts);
  };

  /** Only local delivery knows mailboxes; for others what a script has filed is kept, and delivered as usual. */
  const notFiled = ({ message, route }: DeliveryJob, { address }: QueuedRecipient) =>
    emit("sieve.not-supported", { id: formatMessageId(message.id), to: address, route, action: "fileinto" });

  return {
    deliver(job, signal) {
      if (signal.aborted) return Promise.resolve(outcomes(job, []));
      const route = routeOf(job.route);
      if (route === undefined) {
        const none = failure("deferred", "io", "4.3.5", `the route ${job.route} is not defined`);
        return Promise.resolve(outcomes(job, job.recipients.map(() => none)));
      }
      if (route.type === "local") return byFile(job, route, signal);
      for (const recipient of job.recipients) {
        if (recipient.parameters.copies !== undefined && recipient.attempts === 0) notFiled(job, recipient);
      }
      return byNetwork(job, route, signal);
    },
    close() {
      waiting.close();
      return pool.close();
    },
    reconfigure(next) {
      config = remote.config = next;
      remote.limits = limitsOf(next);
      names = ownNames(next, options.hostname);
      void pool.drop();
    },
  };
}

// RFC 3463 X.3.2: the system is not taking part in deliveries for now.
const INTERRUPTED = failure("deferred", "none", "4.3.2", "the attempt was interrupted: the program stops");

function outcomes(job: DeliveryJob, verdicts: readonly (Verdict | undefined)[]): Outcome[] {
  return job.recipients.map((recipient, index) => {
    const verdict = verdicts[index];
    if (verdict !== undefined) return toOutcome(recipient, verdict);
    // Nobody refused anything: it is no failed attempt, and the next start tries at once.
    return { kind: "deferred", recipient: recipient.id, detail: INTERRUPTED.detail, retryAfter: 0 };
  });
}

/** The names by which this server may be known in MX records. */
export function ownNames(config: QueueConfig, hostname: string): ReadonlySet<string> {
  const names = [hostname];
  for (const { ehloHostname } of config.connection.values()) names.push(ehloHostname);
  for (const { ehloHostname } of config.sourceIp.values()) if (ehloHostname !== undefined) names.push(ehloHostname);
  return new Set(names.map((name) => name.toLowerCase()));
}
