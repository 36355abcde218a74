/** The answer of `godwit explain`: plain values, as JSON has them. */

/** What one setting came to, and by which of its items. */
export interface Decision {
  /** Key path, such as `session.rcpt.relay`. */
  readonly key: string;
  /** The value for people. */
  readonly value: string;
  /** Whose text decided; `program` for a value that is no setting of the file. */
  readonly by: "file" | "default" | "program";
  /** Line in the file, if it sets the key. */
  readonly line?: number;
  /** Position of the item in the list, from 1, if it is one. */
  readonly item?: number;
  /** Text of the condition that held. */
  readonly condition?: string;
  /** Text of what it gives. */
  readonly result?: string;
  /** Conditions that were asked before and did not hold. */
  readonly passed?: readonly string[];
  /** Run-time errors that were absorbed, or why there is no value. */
  readonly errors?: readonly string[];
}

/** A limiter or quota. */
export interface LimitDecision {
  /** Key path, such as `queue.limiter.inbound[0]`. */
  readonly key: string;
  readonly line?: number;
  readonly matches: boolean;
  /** What is allowed, such as `100/1h`. */
  readonly limits: readonly string[];
  /** What is counted by, with the values here: there is one count for each combination. */
  readonly counts: Readonly<Record<string, string>>;
  readonly match: Decision;
}

/** A step of the session. */
export interface Stage {
  /** `connect`, `ehlo`, `mail`, `rcpt ana@example.org`, `data`. */
  readonly name: string;
  readonly said: readonly { readonly from: "client" | "server"; readonly text: string }[];
  readonly decisions: readonly Decision[];
  readonly limits: readonly LimitDecision[];
  /** What else is known, such as whom the directory found. */
  readonly notes: readonly string[];
}

/** A host that would be connected to. */
export interface HostPlan {
  readonly host: string;
  readonly addresses: readonly string[];
  /** What the strategies gave, and what that means. */
  readonly decisions: readonly Decision[];
  readonly limits: readonly LimitDecision[];
  readonly notes: readonly string[];
}

/** How a recipient would be delivered. */
export interface RecipientPlan {
  readonly address: string;
  readonly decisions: readonly Decision[];
  readonly quotas: readonly LimitDecision[];
  readonly notes: readonly string[];
  readonly hosts: readonly HostPlan[];
}

/** All of it. */
export interface Explanation {
  /** Whether every recipient would be accepted. */
  readonly accepted: boolean;
  /** Whether the message would then be dropped, or only sent on by a script. */
  readonly dropped: boolean;
  readonly session: readonly Stage[];
  /** Header fields that would be put on top of the message. */
  readonly addedFields: readonly string[];
  /** Variables of the queue. */
  readonly source: string;
  readonly priority: number;
  readonly recipients: readonly RecipientPlan[];
}
