/** Builds `directory.*`. */

import { suggestion } from "../../expression/mod.ts";
import type { DirectoryConfig, MemoryDirectoryConfig, Principal, SqlDirectoryConfig, StoreConfig } from "../config.ts";
import { isSecret } from "../toml/node.ts";
import type { BuildContext } from "./context.ts";
import { buildLdapDirectory, buildOidcDirectory, buildRemoteDirectory } from "./directory_server.ts";

type Stores = ReadonlyMap<string, StoreConfig>;

export function buildDirectories(context: BuildContext, stores: Stores): ReadonlyMap<string, DirectoryConfig> {
  const directories = new Map<string, DirectoryConfig>();
  for (const id of context.reader.names("directory")) {
    const directory = buildDirectory(context, id, stores);
    if (directory !== undefined) directories.set(id, directory);
  }
  return directories;
}

function buildDirectory(context: BuildContext, id: string, stores: Stores): DirectoryConfig | undefined {
  const { reader } = context;
  if (!reader.isSet("directory.<id>.type", id)) {
    reader.get("directory.<id>.type", id);
    return undefined;
  }
  const type = reader.get("directory.<id>.type", id);
  switch (type) {
    case "memory":
      return buildMemory(context, id);
    case "sql":
      return buildSql(context, id, stores);
    case "ldap":
      return buildLdapDirectory(context, id);
    case "smtp":
    case "lmtp":
    case "imap":
      return buildRemoteDirectory(context, id, type);
    case "oidc":
      return buildOidcDirectory(context, id);
    case "internal":
      reader.error(
        "directory.<id>.type",
        [id],
        'directories of the type "internal" are not part of godwit; list the accounts in one of the type "memory", ' +
          "or ask another server by sql, ldap, smtp, lmtp, imap or oidc",
      );
      return undefined;
  }
}

function buildMemory(context: BuildContext, id: string): MemoryDirectoryConfig {
  const { reader } = context;
  const count = reader.count("directory.<id>.principals", id);
  const principals = Array.from({ length: count }, (_, index) => buildPrincipal(context, id, index));
  checkNames(context, id, principals);
  checkGroups(context, id, principals);
  checkAddresses(context, id, principals);
  return { id, type: "memory", domains: reader.get("directory.<id>.lookup.domains", id), principals };
}

function buildSql(context: BuildContext, id: string, stores: Stores): SqlDirectoryConfig {
  const { reader } = context;
  const store = reader.get("directory.<id>.store", id);
  const queries = checkStore(context, id, store, stores);
  const domains = reader.get("directory.<id>.lookup.domains", id);
  if (queries !== undefined && queries.domains === undefined && domains.length === 0) {
    reader.warning(
      "directory.<id>.store",
      [id],
      `no domain is local: there is neither 'lookup.domains' here nor 'query.domains' in store '${store}'`,
    );
  }
  if (queries?.members !== undefined) {
    reader.warning(
      "directory.<id>.store",
      [id],
      `'query.members' of store '${store}' is not asked: it gives the groups of an account, and mail goes the other ` +
        "way; let 'query.recipients' give the members of groups and lists",
    );
  }
  return {
    id,
    type: "sql",
    domains,
    cache: {
      size: reader.get("directory.<id>.cache.size", id),
      positive: reader.get("directory.<id>.cache.ttl.positive", id),
      negative: reader.get("directory.<id>.cache.ttl.negative", id),
    },
    store,
    queries: {
      name: queries?.name ?? "",
      recipients: queries?.recipients ?? "",
      emails: queries?.emails,
      secrets: queries?.secrets,
      domains: queries?.domains,
    },
    columns: {
      name: reader.get("directory.<id>.columns.name", id),
      class: reader.get("directory.<id>.columns.class", id),
      description: reader.get("directory.<id>.columns.description", id),
      secret: reader.get("directory.<id>.columns.secret", id),
      email: reader.get("directory.<id>.columns.email", id),
    },
  };
}

/** The statements of a store that a directory uses; nothing after a report that it cannot use it. */
function checkStore(
  { reader }: BuildContext,
  id: string,
  name: string,
  stores: Stores,
): Readonly<Record<string, string>> | undefined {
  const store = stores.get(name);
  const found = reader.found("directory.<id>.store", id);
  const report = (message: string) => {
    if (name !== "") reader.error("directory.<id>.store", [id], message);
    return undefined;
  };
  if (store === undefined) {
    if (reader.names("store").includes(name)) {
      // One with a problem of its own has been reported.
      return reader.get("store.<id>.disable", name)
        ? report(`store ${found} is switched off by its 'disable' key`)
        : undefined;
    }
    const hint = suggestion(name, stores.keys()) || "; define it as store.<id>";
    return report(`there is no store with the id ${found}${hint}`);
  }
  if (store.type !== "libsql") {
    return report(`expected a libsql or sqlite store, found ${found}, which is a fixed list`);
  }
  for (const query of ["name", "recipients"]) {
    if (store.queries[query] === undefined) {
      report(`required: store ${found} has no statement 'query.${query}', which a directory needs`);
    }
  }
  return store.queries;
}

function buildPrincipal(context: BuildContext, id: string, index: number): Principal {
  const { reader } = context;
  const secret = reader.get("directory.<id>.principals[].secret", id, index);
  for (const problem of new Set(secret.map((one) => context.secretProblem(one)))) {
    if (problem !== undefined) reader.error("directory.<id>.principals[].secret", [id, index], problem);
  }
  if (secret.some((one) => !isHash(one))) {
    reader.warning(
      "directory.<id>.principals[].secret",
      [id, index],
      secret.some((one) => /^\{[\w.-]+\}/.test(one) && !isHash(one))
        ? "what starts with braces here names no kind of hash that is understood, so all of it is the password"
        : "a password stands here in plain text; write a hash of it instead, such as $argon2id$…",
    );
  }
  return {
    name: reader.get("directory.<id>.principals[].name", id, index),
    class: reader.get("directory.<id>.principals[].class", id, index),
    description: reader.get("directory.<id>.principals[].description", id, index),
    secret,
    email: reader.get("directory.<id>.principals[].email", id, index),
    emailList: reader.get("directory.<id>.principals[].email-list", id, index),
    memberOf: reader.get("directory.<id>.principals[].member-of", id, index),
  };
}

const HASH = /^(?:\$(?:argon2|pbkdf2|scrypt|2|6\$|5\$|sha1|1)|_)/;
const SCHEME = /^\{(?:S?SHA(?:256|512)?|S?MD5|CRYPT|(?:SHA(?:256|512)|BLF|MD5)-CRYPT|ARGON2(?:I|ID)?)\}/i;

/** Whether a secret is a hash by its prefix; `{PLAIN}` and the like say that plain text is meant. */
function isHash(secret: string): boolean {
  return HASH.test(secret) || SCHEME.test(secret) || /^\{(?:PLAIN|CLEAR|CLEARTEXT)\}/i.test(secret);
}

/** An item of a list as a message shows it; of a list that holds a secret none is. */
function shown(
  { reader }: BuildContext,
  id: string,
  index: number,
  pattern: "directory.<id>.principals[].member-of" | "directory.<id>.principals[].email",
  item: string,
): string {
  const node = reader.node(pattern, id, index);
  return node !== undefined && isSecret(node) ? "an item of the list" : JSON.stringify(item);
}

/** Groups that nobody has defined would swallow their members. */
function checkGroups(context: BuildContext, id: string, principals: readonly Principal[]): void {
  const kinds = new Map(principals.map((principal) => [principal.name, principal.class]));
  const groups = principals.filter((principal) => principal.class === "group").map(({ name }) => name);
  for (const [index, { memberOf }] of principals.entries()) {
    for (const group of memberOf) {
      if (kinds.get(group) === "group") continue;
      const found = shown(context, id, index, "directory.<id>.principals[].member-of", group);
      const message = kinds.has(group)
        ? `the principal ${found} is no group; give it class = "group"`
        : `there is no group ${found}${suggestion(group, groups) || '; define it as a principal of class "group"'}`;
      context.reader.error("directory.<id>.principals[].member-of", [id, index], message);
    }
  }
}

/** An address of two people works, but is more often a slip; lists are what `email-list` is for. */
function checkAddresses(context: BuildContext, id: string, principals: readonly Principal[]): void {
  const owned = new Set<string>();
  for (const [index, { class: kind, email }] of principals.entries()) {
    // Members of a group may have its address as one of their own, to send from it.
    if (kind === "group") continue;
    for (const address of new Set(email.map((one) => one.toLowerCase()))) {
      if (!owned.has(address)) owned.add(address);
      else {
        const found = shown(context, id, index, "directory.<id>.principals[].email", address);
        context.reader.warning(
          "directory.<id>.principals[].email",
          [id, index],
          `${found} is an address of another principal already, so mail for it goes to both; an address of several is ` +
            "written in 'email-list'",
        );
      }
    }
  }
}

function checkNames({ reader }: BuildContext, id: string, principals: readonly Principal[]): void {
  const seen = new Map<string, number>();
  for (const [index, { name }] of principals.entries()) {
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    else if (name !== "") {
      const found = reader.found("directory.<id>.principals[].name", id, index);
      reader.error("directory.<id>.principals[].name", [id, index], `another principal has the name ${found} already`);
    }
  }
}
