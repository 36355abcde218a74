/** A directory held in the configuration file (type `memory`). */

import type { MemoryDirectoryConfig, Principal } from "../config/config.ts";
import { lowerDomain } from "./address.ts";
import type { Account, Directory } from "./directory.ts";
import type { PasswordPool } from "./password/password_pool.ts";
import { createPasswordCheck, plainTexts } from "./password/password_check.ts";

/** Makes a memory directory whose passwords `pool` checks. */
export function createMemoryDirectory(config: MemoryDirectoryConfig, pool: Pick<PasswordPool, "verify">): Directory {
  const principals = new Map(config.principals.map((principal) => [principal.name, principal]));
  const accounts = new Map(config.principals.map((principal) => [principal.name, toAccount(principal)]));
  const domains = localDomains(config);
  const recipients = accountsByAddress(config.principals);
  const secrets = config.principals.flatMap((principal) => principal.secret);
  const check = createPasswordCheck(pool, secrets);
  const plain = plainTexts(secrets).length === 0 ? {} : {
    plainSecrets: (name: string) => Promise.resolve(plainTexts(principals.get(name)?.secret ?? [])),
  };

  return {
    id: config.id,
    isLocalDomain: (domain) => domains.has(domain.toLowerCase()),
    localDomains: () => [...domains],
    recipients: (address) => recipients.get(address.toLowerCase()) ?? [],
    account: (name) => accounts.get(name),
    async login(name, password) {
      const accepted = await check(principals.get(name)?.secret ?? [], password);
      const account = accounts.get(name);
      return accepted && account !== undefined ? { kind: "accepted", account } : { kind: "refused" };
    },
    ...plain,
  };
}

function toAccount(principal: Principal): Account {
  const { name, class: kind, description, email } = principal;
  const account: Account = { name, class: kind, emails: email.map(lowerDomain) };
  return description === undefined ? account : { ...account, description };
}

/** A domain is local if it is listed, or if an address of any principal is in it. */
function localDomains(config: MemoryDirectoryConfig): ReadonlySet<string> {
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
