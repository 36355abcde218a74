/**
 * The schema: one table that names every key of the configuration with its type, its default and whether godwit
 * supports it yet. Everything else (reading, `config_get`, `%{cfg:…}%`, hints for misspelt keys) follows from it.
 *
 * In patterns `<…>` is a name the administrator picks and `[]` a position in a list.
 */

import { authenticationKeys } from "./authentication.ts";
import { directoryKeys } from "./directory.ts";
import { dnsKeys } from "./dns.ts";
import { queueKeys } from "./queue.ts";
import { reportKeys, sieveKeys } from "./report.ts";
import { certificateKeys, serverKeys } from "./server.ts";
import { hookKeys, milterKeys, sessionKeys } from "./session.ts";
import type { Key, ResultOf } from "./spec.ts";
import { storeKeys } from "./store.ts";
import { httpKeys, telemetryKeys } from "./telemetry.ts";

/** Every key, by pattern. */
export const SCHEMA = {
  ...serverKeys,
  ...certificateKeys,
  ...sessionKeys,
  ...milterKeys,
  ...hookKeys,
  ...authenticationKeys,
  ...queueKeys,
  ...reportKeys,
  ...sieveKeys,
  ...dnsKeys,
  ...storeKeys,
  ...directoryKeys,
  ...telemetryKeys,
  ...httpKeys,
} satisfies Record<string, Key>;

/** A pattern of the schema, such as `server.listener.<id>.bind`. */
export type Pattern = keyof typeof SCHEMA;

/** What reading the key of a pattern gives. */
export type ValueAt<P extends Pattern> = ResultOf<(typeof SCHEMA)[P]>;

/** Sections of several kinds: the key that says which, and the kinds that are supported. */
export const KINDS: Readonly<Partial<Record<Pattern, readonly string[]>>> = {
  "queue.route.<id>.type": ["local", "mx", "relay"],
  "resolver.type": ["system", "custom", "cloudflare", "cloudflare-tls", "quad9", "quad9-tls", "google"],
  "store.<id>.type": ["libsql", "sqlite", "memory"],
  "http-lookup.<id>.format": ["list", "csv"],
  "directory.<id>.type": ["memory", "sql", "ldap", "smtp", "lmtp", "imap", "oidc"],
  "acme.<id>.challenge": ["tls-alpn-01", "http-01", "dns-01"],
  "tracer.<id>.type": ["console", "stdout", "log"],
};
