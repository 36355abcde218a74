/** Whose mail an address is: sub-addressing and catch-all over any directory. */

import type { Directory } from "./directory.ts";

/** Outcome of {@link resolveRecipient}. */
export type ResolvedRecipient =
  | {
    readonly kind: "local";
    /** Names of the accounts that get the mail, at least one. */
    readonly accounts: readonly string[];
    /**
     * The recipient to accept: the address as given, tag included, if it belongs to its one account or leads to
     * several; else the account's primary address.
     */
    readonly address: string;
  }
  /** The domain is local, nobody there has the address. */
  | { readonly kind: "unknown" }
  | { readonly kind: "not-local" };

/** How addresses are looked up. */
export interface ResolveOptions {
  /** `session.rcpt.sub-addressing`: true drops `+tag`, an address is looked up instead. */
  readonly subAddressing: boolean | string;
  /** `session.rcpt.catch-all`: true asks for the owner of `@domain`, an address is used instead. */
  readonly catchAll: boolean | string;
  /** Name of this host, for `postmaster` without a domain. */
  readonly hostname?: string;
}

/**
 * Finds out whose mail `address` is.
 *
 * `postmaster` without a domain is that of the host, of the host's domain or of a local domain, whichever exists
 * (RFC 5321 §4.5.1).
 *
 * @param address with the domain in lower case
 * @throws {LookupUnavailable} (rejects) if the directory cannot be reached
 */
export async function resolveRecipient(
  directory: Directory,
  address: string,
  options: ResolveOptions,
): Promise<ResolvedRecipient> {
  const at = address.lastIndexOf("@");
  if (at < 0) return await resolvePostmaster(directory, address, options);
  const domain = address.slice(at + 1);
  if (!await directory.isLocalDomain(domain)) return { kind: "not-local" };
  const sought = soughtAddress(address, options.subAddressing);
  const accounts = await directory.recipients(sought);
  // An address that an expression gives is the recipient; of a tag the account shall still hear.
  const given = typeof options.subAddressing === "string" ? sought : address;
  if (accounts.length > 0) return await accept(directory, accounts, sought, given);
  if (options.catchAll === false || options.catchAll === "") return { kind: "unknown" };
  const caught = options.catchAll === true ? `@${domain}` : options.catchAll;
  const owners = await directory.recipients(caught);
  if (owners.length === 0) return { kind: "unknown" };
  return await accept(directory, owners, caught, options.catchAll === true ? address : caught);
}

/**
 * The address that is looked up for another one: without its tag, or the one that `session.rcpt.sub-addressing` gives.
 * A tag starts at the first `+` that is not the first character.
 */
export function soughtAddress(address: string, subAddressing: boolean | string): string {
  if (typeof subAddressing === "string") return subAddressing.includes("@") ? subAddressing : address;
  const plus = address.indexOf("+");
  const at = address.lastIndexOf("@");
  if (!subAddressing || plus < 1 || plus > at || address.startsWith('"')) return address;
  return address.slice(0, plus) + address.slice(at);
}

async function accept(
  directory: Directory,
  accounts: readonly string[],
  sought: string,
  given: string,
): Promise<ResolvedRecipient> {
  const [only, another] = accounts;
  if (only === undefined || another !== undefined) return { kind: "local", accounts, address: given };
  const emails = (await directory.account(only))?.emails.filter((email) => !email.startsWith("@")) ?? [];
  const owns = emails.some((email) => email.toLowerCase() === sought.toLowerCase());
  return { kind: "local", accounts, address: owns ? given : emails[0] ?? given };
}

async function resolvePostmaster(
  directory: Directory,
  name: string,
  { hostname = "" }: ResolveOptions,
): Promise<ResolvedRecipient> {
  if (name.toLowerCase() !== "postmaster") return { kind: "not-local" };
  const parent = hostname.slice(hostname.indexOf(".") + 1);
  for (const domain of [hostname.toLowerCase(), parent.toLowerCase(), ...directory.localDomains()]) {
    const address = `postmaster@${domain}`;
    const accounts = domain === "" ? [] : await directory.recipients(address);
    if (accounts.length > 0) return await accept(directory, accounts, address, address);
  }
  return { kind: "unknown" };
}
