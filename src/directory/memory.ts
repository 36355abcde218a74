/** A directory held in the configuration file (reference §11.2, `memory`). */

import type { DirectoryConfig, Principal } from "../config/config.ts";
import type { Account, Directory } from "./directory.ts";
import type { PasswordPool } from "./password/password_pool.ts";
import { readSecret } from "./password/secret.ts";

/** Makes a memory directory whose passwords `pool` checks. */
export function createMemoryDirectory(config: DirectoryConfig, pool: Pick<PasswordPool, "verify">): Directory {
  const principals = new Map(config.principals.map((principal) => [principal.name, principal]));
  const accounts = new Map(config.principals.map((principal) => [principal.name, toAccount(principal)]));
  const domains = localDomains(config);
  const recipients = accountsByAddress(config.principals);
  const stand = standIn(config.principals);

  return {
    id: config.id,
    isLocalDomain: (domain) => domains.has(domain.toLowerCase()),
    localDomains: () => [...domains],
    recipients: (address) => recipients.get(address.toLowerCase()) ?? [],
    account: (name) => accounts.get(name),
    async login(name, password) {
      let accepted = false;
      let spent = false;
      for (const secret of principals.get(name)?.secret ?? []) {
        spent ||= schemeOf(secret) === stand?.scheme;
        accepted = await pool.verify(secret, password);
        if (accepted) break;
      }
      // Who has no account, or only a cheap secret, waits as long as everybody else: time must not tell names apart.
      if (stand !== undefined && !spent) await pool.verify(stand.secret, password);
      const account = accounts.get(name);
      return accepted && account !== undefined ? { kind: "accepted", account } : { kind: "refused" };
    },
  };
}

function toAccount(principal: Principal): Account {
  const { name, class: kind, description, email } = principal;
  const account: Account = { name, class: kind, emails: email.map(lowerDomain) };
  return description === undefined ? account : { ...account, description };
}

/** Addresses come with their domain in lower case. */
function lowerDomain(address: string): string {
  const at = address.lastIndexOf("@");
  return address.slice(0, at + 1) + address.slice(at + 1).toLowerCase();
}

/** A domain is local if it is listed, or if an address of any principal is in it. */
function localDomains(config: DirectoryConfig): ReadonlySet<string> {
  const domains = new Set(config.domains.map((domain) => domain.toLowerCase()));
  for (const { email, emailList } of config.principals) {
    for (const address of [...email, ...emailList]) {
      const domain = address.slice(address.lastIndexOf("@") + 1).toLowerCase();
      if (address.includes("@") && domain !== "") domains.add(domain);
    }
  }
  return domains;
}

/**
 * Names of accounts by address in lower case: RFC 5321 §2.4 lets the receiving host decide whether case counts in a
 * local part, and here it does not. `@domain` is an address like any other.
 */
function accountsByAddress(principals: readonly Principal[]): ReadonlyMap<string, readonly string[]> {
  const members = new Map<string, string[]>();
  for (const { name, memberOf } of principals) {
    for (const group of memberOf) append(members, group, [name]);
  }
  const kinds = new Map(principals.map((principal) => [principal.name, principal.class]));
  const found = new Map<string, string[]>();
  for (const { name, email, emailList } of principals) {
    const accounts = expand(name, (name) => kinds.get(name) === "group" ? members.get(name) ?? [] : []);
    for (const address of [...email, ...emailList]) append(found, address.toLowerCase(), accounts);
  }
  return found;
}

/** The accounts behind a name: those of a group's members, groups in groups included; itself if it has none. */
function expand(name: string, membersOf: (name: string) => readonly string[]): string[] {
  const seen = new Set([name]);
  const accounts: string[] = [];
  // The set grows while it is walked; that it never holds a name twice ends groups that hold each other.
  for (const current of seen) {
    const members = membersOf(current);
    if (members.length === 0) accounts.push(current);
    for (const member of members) seen.add(member);
  }
  return accounts.length > 0 ? accounts : [name];
}

function append(map: Map<string, string[]>, key: string, values: readonly string[]): void {
  const present = map.get(key);
  if (present === undefined) map.set(key, [...new Set(values)]);
  else for (const value of values) if (!present.includes(value)) present.push(value);
}

interface StandIn {
  readonly scheme: string;
  readonly secret: string;
}

/** A secret of the slow kind that most accounts have, to be checked for those that have none. */
function standIn(principals: readonly Principal[]): StandIn | undefined {
  const counts = new Map<string, number>();
  let most: StandIn | undefined;
  for (const secret of principals.flatMap((principal) => principal.secret)) {
    const scheme = schemeOf(secret);
    if (scheme === undefined) continue;
    const count = (counts.get(scheme) ?? 0) + 1;
    counts.set(scheme, count);
    if (most === undefined || count > (counts.get(most.scheme) ?? 0)) most = { scheme, secret };
  }
  return most;
}

function schemeOf(secret: string): string | undefined {
  const read = readSecret(secret);
  return read.kind === "slow" ? read.scheme : undefined;
}
