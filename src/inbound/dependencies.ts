/** What a session needs from the rest of the program. */

import type { Clock } from "../clock/mod.ts";
import type { FailureReportConfig, SessionConfig } from "../config/config.ts";
import type { Directory } from "../directory/directory.ts";
import type {
  ArcResult,
  CheckContext,
  DmarcObserver,
  EvaluateDmarc,
  ReceivedMessage,
  Signer,
  VerifySignatures,
} from "../authentication/mod.ts";
import type { FunctionHost, Setting } from "../expression/types.ts";
import type { FilterChain } from "../filter/mod.ts";
import type { BuildNotice } from "../queue/types.ts";
import type { FailureKind, FailureReports, ReportAnalysis } from "../report/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { Wire } from "../telemetry/mod.ts";
import type { InboundLimits } from "../throttle/mod.ts";
import type { Arrival, ContentWriter, MessageId, NewMessage, QuotaRefusal } from "../queue/mod.ts";

/** The part of the queue that a session uses. */
export interface Intake {
  nextId(): MessageId;
  contentWriter(): ContentWriter;
  /**
   * Resolves once the message is durable; only then may 250 be answered. Or with the quotas that leave
   * no room for it: then nothing was queued, and the content may be used again.
   *
   * @param others messages that come with it, in the same commit
   */
  enqueue(message: NewMessage, others?: readonly NewMessage[]): Promise<QuotaRefusal | undefined>;
  /**
   * Whether quotas leave room for a message with these recipients, as far as that can be told before its content; absent
   * while there are no quotas.
   */
  readonly hasRoom?: ((arrival: Arrival) => Promise<boolean>) | undefined;
}

/** What checks of who sends are carried out with (`auth.*`). */
export interface Checks {
  readonly context: CheckContext;
  readonly verifySignatures: VerifySignatures;
  readonly evaluateDmarc: EvaluateDmarc;
  /** Told of DMARC where a domain may want reports; absent if nobody gets any. */
  readonly dmarcObserver?: DmarcObserver;
}

/** Which signatures messages get, and who makes them. */
export interface MessageSigning {
  readonly sign: Setting<readonly string[]>;
  readonly seal: Setting<string | false>;
  readonly signer: Signer;
  /** Verifies the ARC chain of a message that is to be sealed, where no check has done so (`auth.arc.verify`). */
  verifyChain(message: ReceivedMessage): Promise<ArcResult | undefined>;
}

/** Who tells domains of their mail that failed, and by which settings. */
export interface FailureReporting {
  readonly reports: FailureReports;
  readonly settings: Readonly<Record<FailureKind, FailureReportConfig>>;
  /** `report.domain`, for senders that are no address. */
  readonly domain: string;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** Everything a session is given. Replaced as a whole by a reload; running sessions keep what they started with. */
export interface InboundDependencies {
  readonly config: SessionConfig;
  /** `server.hostname`: right side of Message-ID fields made here. */
  readonly hostname: string;
  /** Text after the host name in the greeting, by listener id, where the listener sets one. */
  readonly listenerGreetings: ReadonlyMap<string, string>;
  readonly directories: ReadonlyMap<string, Directory>;
  readonly functions: FunctionHost;
  /** Milters, scripts and hooks; absent if there are none, which costs sessions nothing. */
  readonly filters?: FilterChain;
  /** How checks of who sends are carried out; absent if none is configured, which costs sessions nothing. */
  readonly checks?: Checks;
  /** Signatures on accepted messages; absent if there are none, which costs sessions nothing. */
  readonly signing?: MessageSigning;
  /** Who tells domains of their mail that failed; absent if nobody is told, which costs sessions nothing. */
  readonly failureReporting?: FailureReporting;
  /** Who examines the reports of others; absent if no address is for them, which costs sessions nothing. */
  readonly analysis?: ReportAnalysis;
  /** `[[queue.limiter.inbound]]`; absent: nothing is limited. */
  readonly limits?: InboundLimits;
  /** Whether an address is in `server.allowed-ip`; absent: every one counts as if it were. */
  readonly isTrusted?: (ip: string) => boolean;
  /**
   * Whether a login name had too many failures lately, and is refused whatever its password.
   *
   * @throws {LookupUnavailable} (rejects) if that cannot be found out
   */
  readonly loginRefused?: (account: string) => boolean | Promise<boolean>;
  readonly queue: Intake;
  /** Builds the notification about an address that was expanded; absent: none is sent. */
  readonly buildNotice?: BuildNotice;
  /** Where others may listen to what is said. */
  readonly wire?: Wire;
  readonly clock: Clock;
  readonly emit: Emit;
}
