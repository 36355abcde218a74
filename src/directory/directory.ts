/** Who exists: the interface that every kind of directory implements. */

/** An account. */
export interface Account {
  /** Login name, unique in its directory. */
  readonly name: string;
  readonly class: "individual" | "admin" | "group";
  readonly description?: string;
  /** Addresses, primary first. */
  readonly emails: readonly string[];
}

/** The result of checking credentials. */
export type LoginResult =
  | { readonly kind: "accepted"; readonly account: Account }
  | { readonly kind: "refused" };

/**
 * A directory. Addresses come with a lower-case domain. Methods may answer at once.
 *
 * Every method throws or rejects with `LookupUnavailable` (expression room) when the directory cannot be reached:
 * callers answer 451, never 550.
 */
export interface Directory {
  readonly id: string;
  isLocalDomain(domain: string): boolean | Promise<boolean>;
  /** The local domains that are known without asking anybody, in lower case. */
  localDomains(): readonly string[];
  /** Names of the accounts that get mail for this exact address; empty if unknown. `@domain` asks for its catch-all. */
  recipients(address: string): readonly string[] | Promise<readonly string[]>;
  /** An account by login name. */
  account(name: string): Account | undefined | Promise<Account | undefined>;
  /** Checks a plain-text password. Takes the same time whether or not the account exists. */
  login(name: string, password: string): Promise<LoginResult>;
  /**
   * The secrets of an account that are kept in plain text, for mechanisms that never send the password. A directory
   * without this method can tell none; one that has it may still give an empty list.
   */
  plainSecrets?(name: string): Promise<readonly string[]>;
  /**
   * Checks an OAuth 2 bearer token (RFC 6750). A directory with this method takes tokens instead of passwords.
   *
   * @param name whom the client says it is, `""` if it does not say; the token must be that account's
   */
  token?(token: string, name: string): Promise<LoginResult>;
  /** Closes connections that are kept, now and as those in use come back. It works on, but keeps none. */
  close?(): void;
}
