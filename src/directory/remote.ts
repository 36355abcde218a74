/** A directory that is a mail server: SMTP, LMTP or IMAP. */

import type { RemoteDirectoryConfig } from "../config/config.ts";
import { domainOf, localPartOf, lowerDomain } from "./address.ts";
import { createConnectionBound } from "./connection_bound.ts";
import { createConnectionPool, type Pooled } from "./connection_pool.ts";
import type { Account, Directory } from "./directory.ts";
import { openImapLink } from "./remote_imap.ts";
import { openMailServerLink } from "./remote_smtp.ts";
import type { RemoteOptions } from "./remote_stream.ts";

/** A session that can be asked about logins. */
interface LoginLink extends Pooled {
  reset(): Promise<void>;
  accepts(name: string, password: string): Promise<boolean>;
}

/** Whether text holds characters that neither a command nor a SASL response can carry. */
function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

/**
 * Makes a directory of a mail server. Such a server tells yes or no and nothing more, so an account is known by the
 * address or login name that it said yes to.
 */
export function createRemoteDirectory(config: RemoteDirectoryConfig, options: RemoteOptions): Directory {
  const domains = new Set(config.domains);
  const label = `directory ${config.id}: ${config.address}`;
  const { clock } = options;
  const shared = { label, config: config.pool, clock, bound: createConnectionBound(label, config.pool, clock) };
  // Sessions for logins are apart: a server counts what fails in a session, and may slow down its next answers.
  const logins = createConnectionPool<LoginLink>({
    ...shared,
    open: () => config.type === "imap" ? openImapLink(config, options) : openMailServerLink(config, options),
    recycle: (link) => link.reset(),
  });
  const callouts = createConnectionPool({
    ...shared,
    open: () => openMailServerLink(config, options),
    recycle: (link) => link.reset(),
  });

  /** A login name without a domain may belong to each of them. */
  const accountOf = (name: string): Account => ({
    name,
    class: "individual",
    emails: name.includes("@") ? [lowerDomain(name)] : config.domains.map((domain) => `${name}@${domain}`),
  });
  const isAskable = (address: string) =>
    localPartOf(address) !== "" && domainOf(address) !== "" && !hasControls(address);

  return {
    id: config.id,
    isLocalDomain: (domain) => domains.has(domain.toLowerCase()),
    localDomains: () => config.domains,
    recipients(address) {
      // An IMAP server knows no recipients, and a catch-all is nothing that a server can be asked about.
      if (config.type === "imap" || !isAskable(address)) return [];
      return callouts.use(async (link) => await link.takes(address) ? [address] : []);
    },
    // Whoever is asked about here has been said yes to before.
    account: (name) => accountOf(name),
    async login(name, password) {
      if (name === "" || password === "" || hasControls(name) || hasControls(password)) return { kind: "refused" };
      const accepted = await logins.use((link) => link.accepts(name, password));
      return accepted ? { kind: "accepted", account: accountOf(name) } : { kind: "refused" };
    },
    close() {
      logins.close();
      callouts.close();
    },
  };
}
