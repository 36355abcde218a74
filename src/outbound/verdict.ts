/** What became of a recipient, in codes for the queue and in words for people. */

import type { FailureDetail, LastError, LocalWait, Outcome, QueuedRecipient } from "../queue/types.ts";
import type { DialogueLine, Reply } from "../smtp/mod.ts";

/** What went wrong with TLS, in the words of RFC 8460 §4.3 as far as those have one for it. */
export type TlsFaultType =
  | "starttls-not-supported"
  | "certificate-host-mismatch"
  | "certificate-expired"
  | "certificate-not-trusted"
  | "validation-failure"
  | "tlsa-invalid"
  | "dnssec-invalid"
  | "dane-required";

/** A delivery that did not happen. */
export interface Failure {
  readonly kind: "deferred" | "failed";
  readonly detail: FailureDetail;
  /** Whether another host of the route may do better; a final answer or a risk of duplicates says no. */
  readonly elsewhere: boolean;
  /** Set when no attempt was made, and there may be one in so many milliseconds. */
  readonly retryAfter?: number;
  /** Set when no attempt was made, as a limit of ours stands in the way. */
  readonly waits?: LocalWait;
  /** Milliseconds before which the next attempt would be in vain. */
  readonly notBefore?: number;
  /** Set when nothing was tried, because the address is known to be down. */
  readonly untried?: true;
  /** Set when the address did not answer at all: what it did, such as `refused a connection`. */
  readonly silent?: string;
  /** Set when another address of the host answered before this one: which. */
  readonly overtakenBy?: string;
  /** Set when TLS, or the lack of it, is what failed. */
  readonly tlsFault?: TlsFaultType;
  /** Set when it may be what earlier sessions have left that failed: a session without that shows. */
  readonly stale?: true;
}

/** What one attempt came to for one recipient. */
export type Verdict =
  | {
    readonly kind: "delivered";
    readonly host: string;
    readonly status: number;
    readonly enhanced: string;
    readonly text: string;
    readonly dsnRelayed: boolean;
    /** Whether the sender hears that the message was relayed although it did not ask. */
    readonly tellRelayed?: true;
  }
  | Failure;

/** The remote side: its name, and how texts show it. */
export interface Peer {
  readonly host: string;
  /** `mx1.example.net[192.0.2.1]` */
  readonly label: string;
  /** What was said so far. */
  readonly dialogue?: { lines(end?: string): readonly DialogueLine[] };
}

// Peers may send 64 KB in one reply; people and the database want less.
const LONGEST_TEXT = 1000;

/** A reply in one line: `550 5.1.1 No such user`. */
export function replyText(reply: Reply): string {
  const { code, enhanced, text } = reply;
  const line = `${code} ${enhanced === undefined ? "" : `${enhanced} `}${text.join(" ")}`.trimEnd();
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}...` : line;
}

/** Makes a {@link Failure}. */
export function failure(
  kind: Failure["kind"],
  lastError: LastError,
  enhanced: string,
  text: string,
  more: {
    readonly status?: number;
    readonly host?: string;
    readonly reply?: string;
    readonly dialogue?: readonly DialogueLine[] | undefined;
    readonly elsewhere?: boolean;
    readonly retryAfter?: number;
    readonly waits?: LocalWait;
    readonly notBefore?: number;
    readonly untried?: true;
    readonly silent?: string;
    readonly overtakenBy?: string;
    readonly tlsFault?: TlsFaultType;
    readonly stale?: true;
  } = {},
): Failure {
  const { status = 0, host = "", reply, dialogue, elsewhere = false, ...rest } = more;
  const detail: FailureDetail = {
    lastError,
    status,
    enhanced,
    text,
    host,
    ...(reply === undefined ? {} : { reply }),
    ...(dialogue === undefined ? {} : { dialogue }),
  };
  return { kind, detail, elsewhere, ...rest };
}

/**
 * What a reply other than the hoped-for one means: 4yz try again, 5yz never; anything else is a protocol error and
 * worth another try (RFC 5321 §4.2.1, §4.3.2).
 */
export function refusal(peer: Peer, command: string, reply: Reply, elsewhere: boolean): Failure {
  const permanent = reply.code >= 500;
  const understood = reply.code >= 400;
  // A peer without enhanced codes gets the undefined status of its class (RFC 3463 §3.1).
  const enhanced = !understood ? "4.5.0" : reply.enhanced ?? (permanent ? "5.0.0" : "4.0.0");
  const said = replyText(reply);
  const text = `${peer.label} said: ${said} (in reply to ${command})`;
  return failure(permanent ? "failed" : "deferred", "unexpected-reply", enhanced, text, {
    status: reply.code,
    host: peer.host,
    reply: said,
    dialogue: peer.dialogue?.lines(),
    elsewhere,
  });
}

/** The outcome for the queue. */
export function toOutcome(recipient: QueuedRecipient, verdict: Verdict): Outcome {
  if (verdict.kind === "delivered") {
    return { ...verdict, recipient: recipient.id };
  }
  const { kind, detail, retryAfter, waits, notBefore, untried } = verdict;
  if (kind === "failed") return { kind, recipient: recipient.id, detail };
  return {
    kind,
    recipient: recipient.id,
    detail,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(waits === undefined ? {} : { waits }),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(untried === undefined ? {} : { untried }),
  };
}
