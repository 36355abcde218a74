/** A connection to an LDAP server (RFC 4511): who it is bound as, searches, and what its failures mean. */

import { connect, type Socket } from "node:net";
import type { Entry } from "ldapts";
import type { Clock } from "../clock/mod.ts";
import type { LdapDirectoryConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import { nodeTlsOptions } from "../net/mod.ts";
import { ConnectionBroken, type Pooled } from "./connection_pool.ts";

/** An entry: its DN, and its attributes by name in lower case. */
export interface LdapEntry {
  readonly dn: string;
  readonly attributes: ReadonlyMap<string, readonly string[]>;
}

/** A connection that is ready for use. */
export interface LdapLink extends Pooled {
  /** Becomes the account that searches, or nobody. Does nothing if it is that one. */
  beSearcher(): Promise<void>;
  /** Becomes a user. @returns false if DN and password do not fit */
  beUser(dn: string, password: string): Promise<boolean>;
  /** Entries under the base DN. @throws {LookupUnavailable} (rejects) if the server refuses to answer */
  search(filter: string, options?: { readonly most?: number }): Promise<readonly LdapEntry[]>;
}

/** Result codes (RFC 4511 appendix A.1) of a bind that mean: this account with this password is not let in. */
const REFUSALS: ReadonlySet<number> = new Set([
  19, // constraintViolation: too many attempts
  32, // noSuchObject
  34, // invalidDNSyntax
  48, // inappropriateAuthentication: the account has no password
  49, // invalidCredentials
  53, // unwillingToPerform: the account is locked
]);

/** Opens a connection and binds it for searches. */
export async function openLdapLink(config: LdapDirectoryConfig, clock: Clock): Promise<LdapLink> {
  // Loaded for those who have such a directory.
  const { Client, ResultCodeError } = await import("ldapts");
  const { hostname, protocol } = new URL(config.url);
  const host = hostname.replace(/^\[(.*)\]$/, "$1") || "localhost";
  const tls = nodeTlsOptions({ serverName: host, verify: config.tls.allowInvalidCerts ? "none" : "pki" }, clock);
  const implicit = protocol === "ldaps:";
  let broken = false;
  const open = (port: number, host: string): Socket => {
    const socket = connect(port, host);
    // After STARTTLS the client watches the secure socket alone, and does not see that this one went away.
    socket.once("close", () => broken = true);
    return socket;
  };
  const client = new Client({
    url: config.url,
    timeout: config.timeout,
    connectTimeout: config.pool.create,
    ...(implicit ? { tlsOptions: tls } : { createConnection: open as typeof connect }),
  });
  let boundAs: string | undefined;

  /** Runs an operation. A refusal leaves the connection as it is; any other failure breaks it. */
  const run = async <T>(operation: () => Promise<T>): Promise<T> => {
    try {
      return await operation();
    } catch (error) {
      if (error instanceof ResultCodeError) throw error;
      broken = true;
      throw new ConnectionBroken(error instanceof Error ? error.message : String(error), { cause: error });
    }
  };
  const refused = (what: string, error: unknown): never => {
    if (!(error instanceof ResultCodeError)) throw error;
    throw new LookupUnavailable(`directory ${config.id}: ${config.url} refuses ${what}: ${error.message}`, {
      cause: error,
    });
  };

  const link: LdapLink = {
    get alive() {
      return !broken && client.isConnected;
    },
    close() {
      client.unbind().catch(() => {});
    },
    async beSearcher() {
      const wanted = config.bind?.dn ?? "";
      if (boundAs === wanted) return;
      // What was never bound is anonymous already.
      if (wanted !== "" || boundAs !== undefined) {
        boundAs = undefined;
        await run(() => client.bind(wanted, config.bind?.secret ?? ""))
          .catch((error) => refused(wanted === "" ? "anonymous access" : `the login of ${wanted}`, error));
      }
      boundAs = wanted;
    },
    async beUser(dn, password) {
      // RFC 4513 §5.1.2: a bind without a password succeeds and proves nothing.
      if (dn === "" || password === "") return false;
      boundAs = undefined;
      try {
        await run(() => client.bind(dn, password));
      } catch (error) {
        if (error instanceof ResultCodeError && REFUSALS.has(error.code)) {
          // A failed bind leaves the connection anonymous (RFC 4511 §4.2.1).
          boundAs = "";
          return false;
        }
        return refused("a login", error);
      }
      boundAs = dn;
      return true;
    },
    async search(filter, { most } = {}) {
      const { attributes } = config;
      const wanted = new Set([
        ...[attributes.name, attributes.class, attributes.description, attributes.secret].flat(),
        ...[attributes.email, attributes.emailAlias, attributes.groups].flat(),
      ]);
      const { searchEntries } = await run(() =>
        client.search(config.baseDn, {
          scope: "sub",
          filter,
          attributes: [...wanted],
          // A server cuts an answer off where its own limit is, unless it may give it in pages.
          ...(most === undefined ? { paged: { pageSize: 500 } } : { sizeLimit: most }),
        })
      ).catch((error) => refused("a search", error));
      return searchEntries.map(toEntry);
    },
  };

  try {
    if (config.tls.enable && !implicit) await client.startTLS({ ...tls, host });
    await link.beSearcher();
    return link;
  } catch (error) {
    link.close();
    if (error instanceof ResultCodeError) refused("STARTTLS", error);
    throw error;
  }
}

function toEntry(entry: Entry): LdapEntry {
  const attributes = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(entry)) {
    if (name === "dn") continue;
    const values = Array.isArray(value) ? value : [value];
    attributes.set(name.toLowerCase(), values.map(toText).filter((text) => text !== ""));
  }
  return { dn: entry.dn, attributes };
}

function toText(value: string | Uint8Array): string {
  return typeof value === "string" ? value : new TextDecoder().decode(value);
}
