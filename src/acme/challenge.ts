/** What proves control of names, whatever the way it is shown. */

/** The ways (RFC 8555 §8, RFC 8737). */
export type ChallengeType = "http-01" | "tls-alpn-01" | "dns-01";

/** A proof for one name. */
export interface Proof {
  /** The name in lower case, without `*.`. */
  readonly domain: string;
  readonly token: string;
  readonly keyAuthorization: string;
}

/** Shows proofs where authorities look for them. */
export interface ChallengeSolver {
  readonly type: ChallengeType;
  /**
   * Shows all of them; when this resolves the authority may look.
   *
   * @throws {AcmeError} (rejects) if one cannot be shown
   */
  present(proofs: readonly Proof[], signal: AbortSignal): Promise<void>;
  /** Takes them away again, those too that were never shown. Never rejects. */
  withdraw(proofs: readonly Proof[]): Promise<void>;
}
