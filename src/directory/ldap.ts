/** A directory that is an LDAP server (type `ldap`). */

import type { Clock } from "../clock/mod.ts";
import type { LdapDirectoryConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import { lowerDomain } from "./address.ts";
import { createConnectionPool } from "./connection_pool.ts";
import type { Account, Directory } from "./directory.ts";
import { type LdapEntry, type LdapLink, openLdapLink } from "./ldap_link.ts";
import { escapeFilterValue, fillDn, fillFilter } from "./ldap_text.ts";
import { createPasswordCheck, plainTexts } from "./password/password_check.ts";
import type { PasswordPool } from "./password/password_pool.ts";

/** What an LDAP directory works with. */
export interface LdapDirectoryOptions {
  readonly pool: Pick<PasswordPool, "verify">;
  readonly clock: Clock;
}

/** Most accounts that one address may lead to, groups in groups included. */
const MOST_MEMBERS = 10_000;

/** Makes an LDAP directory. It connects when it is first asked. */
export function createLdapDirectory(config: LdapDirectoryConfig, options: LdapDirectoryOptions): Directory {
  const { filter, auth } = config;
  const domains = new Set(config.domains);
  const check = createPasswordCheck(options.pool);
  const links = createConnectionPool<LdapLink>({
    label: `directory ${config.id}: ${config.url}`,
    config: config.pool,
    clock: options.clock,
    limit: config.timeout,
    open: () => openLdapLink(config, options.clock),
    recycle: (link) => link.beSearcher(),
  });

  /** The one entry of a login name. Two would be a guess whose password counts. */
  const entryOf = async (link: LdapLink, name: string): Promise<LdapEntry | undefined> => {
    const [entry, another] = await link.search(fillFilter(filter.name, name), { most: 2 });
    if (another === undefined) return entry;
    throw new LookupUnavailable(`directory ${config.id}: 'filter.name' finds more than one entry for one login name`);
  };
  const find = async (name: string): Promise<LdapEntry | undefined> =>
    name === "" ? undefined : await links.use((link) => entryOf(link, name));
  const values = (entry: LdapEntry | undefined, names: readonly string[]): readonly string[] =>
    names.flatMap((name) => entry?.attributes.get(name.toLowerCase()) ?? []);

  const accountOf = (entry: LdapEntry, name: string): Account => {
    const { attributes } = config;
    const emails = [...values(entry, attributes.email), ...values(entry, attributes.emailAlias)].map(lowerDomain);
    const account: Account = {
      name: values(entry, attributes.name)[0] ?? name,
      class: isGroup(values(entry, attributes.class)) ? "group" : "individual",
      emails: [...new Set(emails)],
    };
    const [description] = values(entry, attributes.description);
    return description === undefined ? account : { ...account, description };
  };

  /** Names of the accounts behind entries: groups stand for their members, groups in groups included. */
  const expand = async (link: LdapLink, found: readonly LdapEntry[]): Promise<readonly string[]> => {
    const seen = new Map(found.map((entry) => [entry.dn, entry]));
    const names = new Set<string>();
    // The map grows while it is walked; that it never holds an entry twice ends groups that hold each other.
    for (const entry of seen.values()) {
      const { name, class: kind } = accountOf(entry, entry.dn);
      const members = kind === "group" ? await membersOf(link, entry.dn, name) : [];
      for (const member of members) seen.set(member.dn, seen.get(member.dn) ?? member);
      if (members.length === 0) names.add(name);
      if (seen.size > MOST_MEMBERS) {
        throw new LookupUnavailable(`directory ${config.id}: a group has more than ${MOST_MEMBERS} members`);
      }
    }
    return [...names];
  };
  const membersOf = async (link: LdapLink, dn: string, name: string): Promise<readonly LdapEntry[]> => {
    const tests = config.attributes.groups.flatMap((attribute) =>
      [dn, name].map((group) => `(${attribute}=${escapeFilterValue(group)})`)
    );
    return tests.length === 0 ? [] : await link.search(`(|${tests.join("")})`);
  };

  /** The entry of a user whose password was right, nothing if it was wrong. */
  const prove = async (name: string, password: string): Promise<LdapEntry | undefined> => {
    if (name === "" || password === "") return undefined;
    if (auth.method === "default") {
      const entry = await find(name);
      return await check(values(entry, config.attributes.secret), password) ? entry : undefined;
    }
    if (auth.method === "lookup") {
      return await links.use(async (link) => {
        const entry = await entryOf(link, name);
        return entry !== undefined && await link.beUser(entry.dn, password) ? entry : undefined;
      });
    }
    const { template, search } = auth;
    const own = await links.use(async (link) => {
      if (!await link.beUser(fillDn(template, name), password)) return "refused";
      return search ? await entryOf(link, name) : "accepted";
    });
    if (own === "refused") return undefined;
    return own === "accepted" ? await find(name) : own;
  };

  return {
    id: config.id,
    isLocalDomain(domain) {
      const wanted = domain.toLowerCase();
      if (domains.has(wanted)) return true;
      const { domains: test } = filter;
      if (test === undefined || wanted === "") return false;
      return links.use(async (link) => (await link.search(fillFilter(test, wanted), { most: 1 })).length > 0);
    },
    localDomains: () => config.domains,
    recipients: (address) =>
      links.use(async (link) => await expand(link, await link.search(fillFilter(filter.email, address)))),
    async account(name) {
      const entry = await find(name);
      return entry === undefined ? undefined : accountOf(entry, name);
    },
    async login(name, password) {
      const entry = await prove(name, password);
      return entry === undefined ? { kind: "refused" } : { kind: "accepted", account: accountOf(entry, name) };
    },
    ...(auth.method === "default"
      ? { plainSecrets: async (name: string) => plainTexts(values(await find(name), config.attributes.secret)) }
      : {}),
    close: () => links.close(),
  };
}

/** Whether classes say that an entry is a group; everything else is a person. */
function isGroup(classes: readonly string[]): boolean {
  return classes.some((word) => word.toLowerCase() === "group" || word.toLowerCase() === "posixgroup");
}
