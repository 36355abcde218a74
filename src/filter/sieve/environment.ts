/** What scripts can ask of the session: `env.*`, and the items of RFC 5183. */

import ipaddr from "ipaddr.js";
import type { AuthResults } from "../../authentication/types.ts";
import { firstField, parseAddressList, type ParsedHeader } from "../../message/mod.ts";
import type { EnvironmentVariable } from "../../sieve/mod.ts";
import type { FilteredSession, FilteredTransaction, Stage } from "../filter.ts";

/** What the answers are about. */
export interface Surroundings {
  readonly session: FilteredSession;
  readonly stage: Stage;
  readonly transaction: FilteredTransaction | undefined;
  /** Header of the message; empty before there is one. */
  readonly header: ParsedHeader;
  /** Empty for scripts that do not ask for them. */
  readonly results: AuthResults;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly version: string;
}

type Read = (around: Surroundings) => string | undefined;

const VARIABLES: Readonly<Record<EnvironmentVariable, Read>> = {
  "stage": ({ stage }) => stage,
  "now": ({ now }) => String(Math.floor(now() / 1000)),
  "remote_ip": ({ session }) => session.remote.ip,
  "remote_ip.reverse": ({ session }) => reversed(session.remote.ip),
  "helo_domain": ({ session }) => session.heloDomain,
  "authenticated_as": ({ session }) => session.authenticatedAs,
  "from": ({ header }) => {
    const [author] = parseAddressList(firstField(header, "from")?.value() ?? "");
    return author?.valid === true ? `${author.local}@${author.domain}` : "";
  },
  "spf.result": ({ results }) => results.spfMailFrom?.result,
  "spf_ehlo.result": ({ results }) => results.spfEhlo?.result,
  "dkim": ({ results: { dkim = [] } }) => (dkim.find(({ result }) => result === "pass") ?? dkim[0])?.result,
  "dkim.domains": ({ results: { dkim = [] } }) =>
    [...new Set(dkim.flatMap(({ result, domain }) => result === "pass" ? [domain] : []))].join(" "),
  "arc.result": ({ results }) => results.arc?.result,
  "dmarc.result": ({ results }) => results.dmarc?.result,
  "dmarc.policy": ({ results }) => results.dmarc?.policy,
  "iprev.result": ({ results }) => results.iprev?.result,
  "iprev.ptr": ({ results }) => results.iprev?.name,
  "tls.version": ({ session }) => session.tls?.version,
  "tls.cipher": ({ session }) => session.tls?.cipher,
  "param.body": ({ transaction }) => transaction?.parameters.body,
  "param.smtputf8": ({ transaction }) => transaction?.parameters.smtputf8 === true ? "true" : "",
  "param.requiretls": ({ transaction }) => transaction?.parameters.requiretls === true ? "true" : "",
};

/** RFC 5183 §4.1. */
const ITEMS: Readonly<Record<string, Read>> = {
  "domain": ({ session }) => session.hostname.slice(session.hostname.indexOf(".") + 1),
  "host": ({ session }) => session.hostname,
  "location": () => "MTA",
  "name": () => "godwit",
  // The message has not been delivered to any mailbox yet.
  "phase": () => "pre",
  // Empty if nobody knows: the item is there all the same.
  "remote-host": ({ results: { iprev } }) => iprev?.result === "pass" ? iprev.name : "",
  "remote-ip": ({ session }) => addressLiteral(session.remote.ip),
  "version": ({ version }) => version,
};

const READ: ReadonlyMap<string, Read> = new Map(Object.entries({ ...ITEMS, ...VARIABLES }));

/** An address as RFC 5183 §4.1 wants it: what stands between the brackets of an address literal (RFC 5321 §4.1.3). */
export function addressLiteral(ip: string): string {
  return ip.includes(":") ? `IPv6:${ip}` : ip;
}

/** For `SieveHost.environment`: the value of an item, undefined if nothing is known of it. */
export function environmentOf(around: Surroundings): (item: string) => string | undefined {
  return (item) => READ.get(item)?.(around);
}

/** The labels of an address as zones for reverse lookup and blocklists have them, without the zone. */
function reversed(ip: string): string {
  if (!ipaddr.isValid(ip)) return "";
  const octets = ipaddr.process(ip).toByteArray();
  const labels = octets.length === 4
    ? octets.map(String)
    : octets.flatMap((octet) => [...octet.toString(16).padStart(2, "0")]);
  return labels.reverse().join(".");
}
