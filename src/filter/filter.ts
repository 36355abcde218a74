/** What a filter is: something outside the session that judges it at its stages, and may change what passes. */

import type { AuthResults } from "../authentication/types.ts";
import type { Scope } from "../expression/types.ts";
import type { Content } from "../message/content.ts";
import type { Endpoint, TlsInfo } from "../net/connection.ts";
import type { NewMessage } from "../queue/types.ts";
import type { FiledCopy, MailParameters, RcptParameters } from "../smtp/envelope.ts";
import type { Reply } from "../smtp/reply.ts";

/** Where in a session filters are asked. */
export type Stage = "connect" | "ehlo" | "mail" | "rcpt" | "data";

/** The kinds of filters, in the order in which they are asked at each stage. */
export const FILTER_KINDS = ["milter", "script", "hook"] as const;

/** One of {@link FILTER_KINDS}. */
export type FilterKind = typeof FILTER_KINDS[number];

/** The session as filters see it. Its values change as the session goes on: read them when they are needed. */
export interface FilteredSession {
  readonly id: string;
  readonly listener: string;
  readonly protocol: "smtp" | "lmtp" | "http";
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Name of this server. */
  readonly hostname: string;
  /** Set once TLS is up. */
  readonly tls: TlsInfo | undefined;
  /** Name given in EHLO, HELO or LHLO, `""` before that. */
  readonly heloDomain: string;
  /** Account name after AUTH, else `""`. */
  readonly authenticatedAs: string;
  /** SASL mechanism of the login in lower case, else `""`. */
  readonly authMechanism: string;
  /** What is known about who sends; waits for lookups that are under way. Absent where nothing is checked. */
  readonly authResults?: () => Promise<AuthResults>;
  /** For expressions of filters, such as `enable`. */
  readonly scope: Scope;
}

/** A recipient as filters see it. */
export interface FilteredRecipient {
  readonly address: string;
  readonly parameters: RcptParameters;
}

/** Content whose first part can be exchanged. */
export interface EditableContent extends Content {
  withHead(head: Uint8Array): EditableContent;
}

/** A message that has arrived whole; `content.head` holds at least the whole header. */
export interface FilteredMessage {
  /** The id under which it will be queued, as people see it. */
  readonly id: string;
  readonly content: EditableContent;
  /** Complete fields that this server is about to put on top; not part of `content`. */
  readonly serverFields: readonly Uint8Array[];
  /** Fields at the top that filters have put above the Received field of this server; absent for none. */
  readonly above?: number;
}

/** The mail transaction as filters see it, with what the filters before have changed. */
export interface FilteredTransaction {
  /** Reverse-path, `""` for `<>`. */
  readonly sender: string;
  readonly parameters: MailParameters;
  /** Those accepted before the one in `recipient`. */
  readonly recipients: readonly FilteredRecipient[];
  /** Stage `rcpt`: the one under question. */
  readonly recipient?: FilteredRecipient;
  /** Stage `data`. */
  readonly message?: FilteredMessage;
}

/** What a filter wants changed, in this order. */
export type Modification =
  | { readonly kind: "sender"; readonly address: string; readonly parameters?: MailParameters }
  /** Stage `rcpt`: another address in the place of the one under question. */
  | { readonly kind: "recipient"; readonly address: string; readonly parameters?: RcptParameters }
  | { readonly kind: "add-recipient"; readonly address: string; readonly parameters?: RcptParameters }
  | { readonly kind: "delete-recipient"; readonly address: string }
  /**
   * A new header field before the field at `index` (from 0), at the end of the header if there is no `index`. A
   * `position` counts from 0 too, but with the Received field of this server as one: Sendmail and Postfix count so where
   * milters insert. A value in octets is written as it is, with what stands behind the colon; text is folded.
   */
  | {
    readonly kind: "add-field";
    readonly name: string;
    readonly value: string | Uint8Array;
    readonly index?: number;
    readonly position?: number;
  }
  /**
   * Another value for the `nth` field of that name (from 0, negative from the last); none takes the field out. If there
   * is none to be changed, it is added.
   */
  | { readonly kind: "change-field"; readonly name: string; readonly nth: number; readonly value?: string | Uint8Array }
  /** Stage `rcpt`: what local delivery files for the recipient under question; stage `data`: for all. */
  | { readonly kind: "file"; readonly copies: readonly FiledCopy[] }
  /** The header with its empty line; the body stays octet for octet. */
  | { readonly kind: "replace-header"; readonly head: Uint8Array }
  /** Bare CR and LF in it become CRLF. */
  | { readonly kind: "replace-body"; readonly body: Uint8Array }
  /** Header and body; bare CR and LF become CRLF, unless the message is BINARYMIME (RFC 3030). */
  | { readonly kind: "replace-message"; readonly bytes: Uint8Array };

/**
 * What a filter decides.
 *
 * - `accept`: nothing against it; the next filter is asked.
 * - `discard`: the client hears success, the message is dropped; no other filter is asked. At `connect` and `ehlo` this
 *   holds for every message of the session, at `mail` and `rcpt` for the whole message.
 * - `quarantine`: as `accept`, but the message will be held in the queue until it is released by hand.
 * - `reply`: the command is refused with this reply (4yz or 5yz); with `disconnect` the session ends.
 */
export type Verdict =
  | { readonly kind: "accept" }
  | { readonly kind: "discard" }
  | { readonly kind: "quarantine" }
  | { readonly kind: "reply"; readonly reply: Reply; readonly disconnect?: boolean };

/** Messages that a filter sends on its own account. */
export interface Outgoing {
  /** Ready to be queued: together with the message under way if that is queued too. */
  readonly messages: readonly NewMessage[];
  /** Called once, when it is known what came of them. Must not throw or reject. */
  settled(fate: OutgoingFate): void | Promise<void>;
}

/** What came of what a filter sent, and of the command that it was about. */
export interface OutgoingFate {
  /** Whether the messages are in the queue. */
  readonly queued: boolean;
  /** Whether the client has no reason to try the same again: the command was accepted, or refused for good. */
  readonly final: boolean;
}

/** The answer of a filter. Modifications count only if the verdict lets the message live. */
export interface FilterAnswer {
  readonly verdict: Verdict;
  readonly modifications?: readonly Modification[];
  readonly outgoing?: Outgoing;
}

/** A filter at work in one session; it may keep a connection for all the stages. */
export interface FilterInstance {
  /**
   * Judges a stage. Waits are bounded by the filter's own timeouts. An exception counts as a failed filter: the client
   * gets 451, so a filter that may be passed over when it fails answers `accept` itself.
   *
   * @param transaction from stage `mail` on
   */
  judge(stage: Stage, transaction: FilteredTransaction | undefined): Promise<FilterAnswer>;
  /** Hears a command that is none of SMTP, without its line end. A reply takes the place of `500`. */
  unknown?(line: Uint8Array): Promise<FilterAnswer>;
  /**
   * Hears of a recipient that this server has refused. It stays refused; only `discard`, and a reply that ends the
   * session, have a meaning.
   *
   * @param transaction with the recipient in `recipient`
   */
  refused?(transaction: FilteredTransaction, refusal: Reply): Promise<FilterAnswer>;
  /** The transaction is over, whatever came of it (RSET, end of data, EHLO). Must not throw. */
  reset?(): void;
  /** The session is over. Must not throw. */
  close?(): void;
}

/** A filter of the configuration. */
export interface Filter {
  /** As the configuration names it. */
  readonly id: string;
  readonly kind: FilterKind;
  /** The stages it wants to be asked at. */
  readonly stages: ReadonlySet<Stage>;
  /** Whether it is to be asked now; asked at each stage. Without it: always. */
  enabled?(session: FilteredSession): boolean | Promise<boolean>;
  /**
   * Called once in a session, when the filter is to be asked for the first time.
   *
   * @param connections how many sessions the client address has at the moment, this one included
   */
  open(session: FilteredSession, connections: () => number): FilterInstance;
}

/** A filter that keeps connections. */
export interface RetirableFilter extends Filter {
  /** Closes connections as soon as nobody uses them. */
  retire(): void;
}
