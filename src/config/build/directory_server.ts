/** Builds directories that ask another server: LDAP, SMTP, LMTP, IMAP, OpenID Connect. */

import type {
  DirectoryCacheConfig,
  DirectoryPoolConfig,
  LdapDirectoryConfig,
  OidcDirectoryConfig,
  RemoteDirectoryConfig,
} from "../config.ts";
import type { Pattern } from "../schema/mod.ts";
import type { BuildContext } from "./context.ts";

/** A directory of the type `ldap`. */
export function buildLdapDirectory(context: BuildContext, id: string): LdapDirectoryConfig {
  const { reader } = context;
  const url = reader.get("directory.<id>.url", id);
  const enable = reader.get("directory.<id>.tls.enable", id);
  if (enable && url.toLowerCase().startsWith("ldaps:")) {
    reader.error("directory.<id>.tls.enable", [id], "STARTTLS is for ldap: URLs; an ldaps: server has TLS already");
  }
  const domains = reader.get("directory.<id>.lookup.domains", id);
  const filter = {
    name: reader.get("directory.<id>.filter.name", id),
    email: reader.get("directory.<id>.filter.email", id),
    domains: reader.get("directory.<id>.filter.domains", id),
  };
  for (const key of ["name", "email", "domains"] as const) {
    if (filter[key] !== undefined && filter[key] !== "") checkFilter(context, id, key, filter[key]);
  }
  if (filter.domains === undefined && domains.length === 0) {
    reader.warning(
      "directory.<id>.filter.domains",
      [id],
      "no domain is local: there is neither this filter nor 'lookup.domains'",
    );
  }
  return {
    id,
    type: "ldap",
    domains,
    cache: cacheOf(context, id),
    pool: poolOf(context, id),
    url,
    baseDn: reader.get("directory.<id>.base-dn", id),
    timeout: reader.get("directory.<id>.timeout", id),
    tls: { enable, allowInvalidCerts: reader.get("directory.<id>.tls.allow-invalid-certs", id) },
    bind: bindOf(context, id),
    auth: authOf(context, id),
    filter,
    attributes: {
      name: reader.get("directory.<id>.attributes.name", id),
      class: reader.get("directory.<id>.attributes.class", id),
      description: reader.get("directory.<id>.attributes.description", id),
      secret: reader.get("directory.<id>.attributes.secret", id),
      email: reader.get("directory.<id>.attributes.email", id),
      emailAlias: reader.get("directory.<id>.attributes.email-alias", id),
      groups: reader.get("directory.<id>.attributes.groups", id),
    },
  };
}

/** A filter without a place for what is sought would find the same entries for everybody. */
function checkFilter({ reader }: BuildContext, id: string, key: "name" | "email" | "domains", filter: string): void {
  const pattern = `directory.<id>.filter.${key}` as const;
  const opened = filter.replaceAll(/\\[0-9a-f]{2}/gi, "");
  const balanced = opened.split("(").length === opened.split(")").length;
  if (opened.startsWith("(") && opened.endsWith(")") && balanced && opened.includes("?")) return;
  const found = reader.found(pattern, id);
  reader.error(pattern, [id], `expected a filter with a ? for what is sought, such as "(mail=?)", found ${found}`);
}

function bindOf({ reader }: BuildContext, id: string): LdapDirectoryConfig["bind"] {
  const dn = reader.get("directory.<id>.bind.dn", id);
  const secret = reader.get("directory.<id>.bind.secret", id);
  if (dn === undefined) {
    if (secret !== undefined) {
      reader.error(
        "directory.<id>.bind.dn",
        [id],
        "required: 'bind.secret' is the password of an account to search with",
      );
    }
    return undefined;
  }
  // RFC 4513 §5.1.2: a bind with a name and no password is nobody's.
  const node = reader.node("directory.<id>.bind.secret", id);
  if (node === undefined || (node.kind === "scalar" && node.value === "")) {
    reader.error("directory.<id>.bind.secret", [id], "required: 'bind.dn' names an account, and this is its password");
  }
  return { dn, secret: secret ?? "" };
}

function authOf({ reader }: BuildContext, id: string): LdapDirectoryConfig["auth"] {
  const method = reader.get("directory.<id>.bind.auth.method", id);
  const template = reader.get("directory.<id>.bind.auth.template", id);
  const search = reader.get("directory.<id>.bind.auth.search", id);
  if (method !== "template") return { method };
  if (template === undefined) {
    reader.error("directory.<id>.bind.auth.template", [id], 'required: the method is "template", found nothing');
  } else if (template !== "" && !/\{(?:username|local)\}/.test(template)) {
    const found = reader.found("directory.<id>.bind.auth.template", id);
    const message = `expected a DN with {username} or {local} such as "uid={username},ou=people,dc=example,dc=net"`;
    reader.error("directory.<id>.bind.auth.template", [id], `${message}, found ${found}`);
  }
  return { method, template: template ?? "", search };
}

/** A directory of the type `smtp`, `lmtp` or `imap`. */
export function buildRemoteDirectory(
  context: BuildContext,
  id: string,
  type: RemoteDirectoryConfig["type"],
): RemoteDirectoryConfig {
  const { reader } = context;
  const domains = domainsOf(context, id, type !== "imap");
  return {
    id,
    type,
    domains,
    cache: cacheOf(context, id),
    pool: poolOf(context, id),
    address: reader.get("directory.<id>.address", id),
    port: reader.get("directory.<id>.port", id),
    tls: {
      implicit: reader.get("directory.<id>.tls.implicit", id),
      allowInvalidCerts: reader.get("directory.<id>.tls.allow-invalid-certs", id),
    },
    limits: {
      rcpt: reader.get("directory.<id>.limits.rcpt", id),
      authErrors: reader.get("directory.<id>.limits.auth-errors", id),
    },
  };
}

/** A directory of the type `oidc`. */
export function buildOidcDirectory(context: BuildContext, id: string): OidcDirectoryConfig {
  const { reader } = context;
  return {
    id,
    type: "oidc",
    domains: domainsOf(context, id, false),
    endpoint: {
      url: reader.get("directory.<id>.endpoint.url", id),
      method: reader.get("directory.<id>.endpoint.method", id),
    },
    timeout: reader.get("directory.<id>.timeout", id),
    auth: oidcAuthOf(context, id),
    fields: {
      email: reader.get("directory.<id>.fields.email", id),
      username: reader.get("directory.<id>.fields.username", id),
      fullName: reader.get("directory.<id>.fields.full-name", id),
    },
  };
}

function oidcAuthOf({ reader }: BuildContext, id: string): OidcDirectoryConfig["auth"] {
  const method = reader.get("directory.<id>.auth.method", id);
  const needed = <T>(pattern: Pattern, value: T | undefined, otherwise: T): T => {
    if (value === undefined) reader.error(pattern, [id], `required: the method is "${method}", found nothing`);
    return value ?? otherwise;
  };
  const username = reader.get("directory.<id>.auth.username", id);
  const secret = reader.get("directory.<id>.auth.secret", id);
  const token = reader.get("directory.<id>.auth.token", id);
  switch (method) {
    case "basic":
      return {
        method,
        username: needed("directory.<id>.auth.username", username, ""),
        secret: needed("directory.<id>.auth.secret", secret, ""),
      };
    case "token":
      return { method, token: needed("directory.<id>.auth.token", token, "") };
    default:
      return { method };
  }
}

function domainsOf({ reader }: BuildContext, id: string, wanted: boolean): readonly string[] {
  const domains = reader.get("directory.<id>.lookup.domains", id);
  if (wanted && domains.length === 0) {
    reader.warning(
      "directory.<id>.lookup.domains",
      [id],
      "no domain is local: a server that is asked about recipients cannot list its domains, so they belong here",
    );
  }
  return domains;
}

function cacheOf({ reader }: BuildContext, id: string): DirectoryCacheConfig {
  return {
    size: reader.get("directory.<id>.cache.size", id),
    positive: reader.get("directory.<id>.cache.ttl.positive", id),
    negative: reader.get("directory.<id>.cache.ttl.negative", id),
  };
}

function poolOf({ reader }: BuildContext, id: string): DirectoryPoolConfig {
  return {
    maxConnections: reader.get("directory.<id>.pool.max-connections", id),
    create: reader.get("directory.<id>.pool.timeout.create", id),
    wait: reader.get("directory.<id>.pool.timeout.wait", id),
    recycle: reader.get("directory.<id>.pool.timeout.recycle", id),
  };
}
