/** What the HTTP room asks of the rest of the program: narrow views, so that it can be tested with plain objects. */

import type { Clock } from "../clock/mod.ts";
import type { HttpConfig } from "../config/config.ts";
import type { LoginResult } from "../directory/directory.ts";
import type { FunctionHost } from "../expression/types.ts";
import type { Endpoint } from "../net/connection.ts";
import type { ExportedMessage, QueueAction, QueueFilter, QueuePreview, Stopped } from "../queue/mod.ts";
import type { EventView, MessageView, RecipientState } from "../queue/types.ts";
import type { OutgoingReports, ReceivedReports } from "../report/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { DialogueTrace } from "../telemetry/mod.ts";
import type { Explain } from "./explain_route.ts";
import type { Mailboxes } from "./mailbox.ts";

/** Which messages to list. */
export interface MessageFilter extends QueueFilter {
  /** Most messages to give, 1 to 1000. */
  readonly limit: number;
  /** Id of the last message of the page before. */
  readonly after?: string;
}

/** A message with its history, oldest entry first. */
export interface MessageDetail {
  readonly message: MessageView;
  readonly events: readonly EventView[];
}

/** Numbers of the queue. */
export interface QueueStats {
  readonly messages: number;
  /** Recipients by state. */
  readonly recipients: Readonly<Record<RecipientState, number>>;
  /** Recipients by virtual queue and state; only what is not zero. */
  readonly queues: readonly { readonly queue: string; readonly state: RecipientState; readonly count: number }[];
  /** When the oldest message was accepted, ISO 8601, or null if the queue is empty. */
  readonly oldest: string | null;
}

/** Something that was settled lately: a recipient delivered, deferred or failed. */
export interface RecentEvent extends EventView {
  /** Id of the message. */
  readonly message: string;
  readonly sender: string;
}

/** The queue as an administrator handles it. Everything may reject with `StoreUnavailable`. */
export interface QueueAdministration {
  /** Messages in the queue, oldest first. */
  list(filter: MessageFilter): Promise<readonly MessageView[]>;
  /** One message, or nothing if there is none with this id. */
  show(id: string): Promise<MessageDetail | undefined>;
  /**
   * Does something to all recipients that match.
   *
   * @param by who asks, for history
   * @param time milliseconds since the epoch, for `reschedule`
   * @returns number of recipients concerned; for those that shall not be tried any more also how many of them a node
   * has in hand
   */
  change(action: QueueAction, which: QueueFilter, by: string, time: number): Promise<number | Stopped>;
  /** What an action would concern. */
  preview(action: QueueAction, which: QueueFilter): Promise<QueuePreview>;
  /** A message as it was accepted, with its envelope. */
  export(id: string): Promise<ExportedMessage | undefined>;
  stats(): Promise<QueueStats>;
  /** The latest outcomes, newest first. */
  recent(limit: number): Promise<readonly RecentEvent[]>;
}

/** A listener as people see it. */
export interface ListenerView {
  readonly id: string;
  readonly protocol: "smtp" | "lmtp" | "http";
  /** Bound addresses, such as `127.0.0.1:2525`. */
  readonly addresses: readonly string[];
  readonly connections: number;
}

/** Whether mail can be taken, and why not. */
export interface Readiness {
  readonly ready: boolean;
  /** One phrase each, such as `the store cannot be reached`. */
  readonly reasons: readonly string[];
}

/** Answers under `/.well-known/`: MTA-STS policies and ACME challenges. */
export interface WellKnownAnswer {
  readonly contentType: string;
  readonly body: string;
}

/** A banned address or network; times in ISO 8601, `null` for a ban without end. */
export interface BanView {
  readonly ip: string;
  readonly reason: string;
  readonly created: string;
  readonly expires: string | null;
}

/** The list of banned addresses and networks. Everything may reject with `StoreUnavailable`. */
export interface BanAdministration {
  /** The latest bans, newest first. */
  list(limit: number): Promise<readonly BanView[]>;
  /** Bans an address or network for `life` milliseconds, or until it is removed. */
  set(ip: string, life?: number): Promise<BanView>;
  /** Takes an address or network off. False if it is not there. */
  remove(ip: string): Promise<boolean>;
}

/** All that {@link createHttpApp} needs. */
export interface HttpDependencies {
  readonly version: string;
  /** `server.hostname`. */
  readonly hostname: string;
  readonly config: HttpConfig;
  readonly clock: Clock;
  readonly emit: Emit;
  /** For the expressions `http.url` and `http.allowed-endpoint`. */
  readonly functions: FunctionHost;
  readonly queue: QueueAdministration;
  listeners(): readonly ListenerView[];
  ready(): Readiness | Promise<Readiness>;
  /** The Prometheus text. */
  metricsText(): Promise<string>;
  /**
   * Whether `storage.directory` may hold administrators. With none there, no token and no fallback administrator,
   * whoever comes from a loopback address is let in.
   */
  readonly directoryHasAdministrators: boolean;
  /** Checks a login in `storage.directory`. Rejects with `LookupUnavailable` if that cannot be reached. */
  login(user: string, password: string): Promise<LoginResult>;
  /** Whether requests of this address are refused (`server.blocked-ip`, bans); absent: none is. */
  blocked?(ip: string): boolean;
  readonly bans?: BanAdministration;
  /** Reports that others have sent. */
  readonly receivedReports?: ReceivedReports;
  /** Reports for others. */
  readonly outgoingReports?: OutgoingReports;
  /** Says what would become of a message. */
  readonly explain?: Explain;
  /** Dialogues to follow. */
  readonly trace?: DialogueTrace;
  /** Compares a password with a configured secret, which may be a hash. */
  verifySecret(secret: string, password: string): boolean | Promise<boolean>;
  /** Mailboxes that may be looked into; development only. */
  readonly mailboxes?: Mailboxes;
  /** The answer for a path under `/.well-known/` and a host name in lower case, if there is one. */
  wellKnown?(path: string, host: string): WellKnownAnswer | undefined | Promise<WellKnownAnswer | undefined>;
}

/** Where a request came from. */
export interface RequestInfo {
  /** Id of the listener. */
  readonly listener: string;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly tls: boolean;
}
