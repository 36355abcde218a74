/** Builds `directory.*` (reference §11.2). */

import type { DirectoryConfig, Principal } from "../config.ts";
import type { BuildContext } from "./context.ts";

export function buildDirectories(context: BuildContext): ReadonlyMap<string, DirectoryConfig> {
  const directories = new Map<string, DirectoryConfig>();
  for (const id of context.reader.names("directory")) {
    const directory = buildDirectory(context, id);
    if (directory !== undefined) directories.set(id, directory);
  }
  return directories;
}

function buildDirectory(context: BuildContext, id: string): DirectoryConfig | undefined {
  const { reader } = context;
  if (!reader.isSet("directory.<id>.type", id)) {
    reader.get("directory.<id>.type", id);
    return undefined;
  }
  const type = reader.get("directory.<id>.type", id);
  if (type === "internal") {
    reader.error(
      "directory.<id>.type",
      [id],
      'directories of the type "internal" are not part of godwit; list the accounts in one of the type "memory", ' +
        "or ask another server by sql, ldap, smtp, lmtp, imap or oidc",
    );
    return undefined;
  }
  if (type !== "memory") {
    reader.error(
      "directory.<id>.type",
      [id],
      `is not supported yet (found ${reader.found("directory.<id>.type", id)})`,
    );
    return undefined;
  }
  const count = reader.count("directory.<id>.principals", id);
  const principals = Array.from({ length: count }, (_, index) => buildPrincipal(context, id, index));
  checkNames(context, id, principals);
  return {
    id,
    type,
    domains: reader.get("directory.<id>.lookup.domains", id),
    principals,
  };
}

function buildPrincipal(context: BuildContext, id: string, index: number): Principal {
  const { reader } = context;
  const secret = reader.get("directory.<id>.principals[].secret", id, index);
  if (secret.some((one) => !isHash(one))) {
    reader.warning(
      "directory.<id>.principals[].secret",
      [id, index],
      "a password stands here in plain text; write a hash of it instead, such as $argon2id$…",
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

const HASH = /^(?:\$(?:argon2|pbkdf2|scrypt|2|6\$|5\$|sha1|1\$)|_|\{(?:S?SHA(?:256|512)?|MD5|CRYPT)\})/;

/** Whether a secret is a hash by its prefix; `{PLAIN}` and `{CLEAR}` say that plain text is meant. */
function isHash(secret: string): boolean {
  return HASH.test(secret) || /^\{(?:PLAIN|CLEAR)\}/.test(secret);
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
