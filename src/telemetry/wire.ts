/** Where sessions let others listen to what is said on their connections. */

/** One thing that was said, or that happened to a connection. Credentials and content are never in it. */
export interface WireLine {
  /** `in`: a client speaks to us; `out`: we are the client. */
  readonly direction: "in" | "out";
  /** Unique among the sessions of this process. */
  readonly session: string;
  /** Address of the other side. */
  readonly peer: string;
  /** Name of the host that mail is delivered to, `""` inward. */
  readonly host: string;
  /** Id of the listener, `""` outward. */
  readonly listener: string;
  readonly from: "client" | "server" | "note";
  /** Lines without CRLF; several of one reply. Untrusted text, not yet encoded. */
  readonly text: readonly string[];
  /** Set on the last line of a session. */
  readonly end?: true;
}

/** Takes one line. Must not throw and must not wait. */
export type WireTap = (line: WireLine) => void;

/** Shared by all sessions; `tap` is there only while somebody listens, so that nobody builds lines for nothing. */
export interface Wire {
  tap: WireTap | undefined;
}
