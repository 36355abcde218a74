/** `godwit dns`: what to publish for a domain. */

import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { Command } from "commander";
import { cachedCertificate } from "../acme/mod.ts";
import { publicKeyRecord } from "../authentication/mod.ts";
import { systemClock } from "../clock/mod.ts";
import { type Config, reasonOf, type SignatureConfig } from "../config/mod.ts";
import { createResolver } from "../dns/mod.ts";
import { publishedPolicy } from "../http/mod.ts";
import { createCertificateStore } from "../net/mod.ts";
import { readCertificate } from "../outbound/mod.ts";
import { domainToAscii, isDomain } from "../smtp/mod.ts";
import { load } from "./configuration.ts";
import { type DnsRecord, printRecords } from "./dns_record.ts";
import { printVerified, type RecordResolver, verifyRecords } from "./dns_verify.ts";
import type { Output } from "./output.ts";

/** Options of `godwit dns records`. */
export interface RecordsOptions {
  readonly domain: string;
  readonly config?: string;
  readonly json?: boolean;
  readonly verify?: boolean;
  /** Files with keys that are to follow: certificates, private or public keys in PEM. */
  readonly nextKey?: readonly string[];
}

/** Builds the command; `ending` runs an action and keeps its exit status. */
export function dnsCommand(output: Output, ending: (action: Promise<number>) => Promise<void>): Command {
  const dns = new Command("dns").description("DNS records for mail");
  dns.command("records")
    .description("print the records to publish for a domain: MX, SPF, DKIM, DMARC, MTA-STS, DANE, TLS reports")
    .requiredOption("--domain <domain>", "domain that sends and receives mail")
    .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
    .option("--next-key <file...>", "certificate or key that is to follow, whose TLSA record is needed beforehand")
    .option("--verify", "compare them with what DNS says")
    .option("--json", "print JSON")
    .action((options: RecordsOptions) => ending(records(options, output)));
  return dns;
}

/**
 * Prints what to publish, or with `verify` what of it DNS has.
 *
 * @param resolver for `verify`; by default the one of the configuration
 * @returns 0, 1 without a usable configuration or if something is missing in DNS, 2 if an option is wrong
 */
export async function records(options: RecordsOptions, output: Output, resolver?: RecordResolver): Promise<number> {
  const domain = isDomain(options.domain) ? domainToAscii(options.domain) : undefined;
  if (domain === undefined) {
    output.error(`--domain ${options.domain}: expected a domain such as example.net`);
    return 2;
  }
  const config = await load(options.config, output);
  if (config === undefined) return 1;
  const next: DnsRecord[] = [];
  for (const file of options.nextKey ?? []) {
    const record = await nextTlsa(file, config);
    if (typeof record === "string") {
      output.error(`--next-key ${file}: ${record}`);
      return 2;
    }
    next.push(record);
  }
  const all = [...SOURCES.flatMap((source) => source(domain, config)), ...next];
  if (options.verify === true) return await verify(all, config, options, output, resolver);
  printRecords(all, options.json === true, output);
  if (![...config.signing.signatures.values()].some((signature) => signature.domain === domain)) {
    output.error(`no signature for ${domain} is configured; 'godwit dkim keygen' makes a key`);
  }
  return 0;
}

async function verify(
  all: readonly DnsRecord[],
  { resolver: settings }: Config,
  { json }: RecordsOptions,
  output: Output,
  given: RecordResolver | undefined,
): Promise<number> {
  if (given !== undefined) return printVerified(await verifyRecords(all, given), json === true, output);
  const resolver = createResolver(settings, { clock: systemClock, random: Math.random, emit: () => {} });
  try {
    return printVerified(await verifyRecords(all, resolver), json === true, output);
  } finally {
    resolver.close();
  }
}

/** Each tells what one protocol wants published for a domain. */
const SOURCES: readonly ((domain: string, config: Config) => readonly DnsRecord[])[] = [
  mx,
  spf,
  dkim,
  dmarc,
  mtaSts,
  tlsa,
  tlsReports,
];

function mx(domain: string, { server }: Config): DnsRecord[] {
  return [{ name: domain, type: "MX", value: `10 ${server.hostname}.`, purpose: "MX: mail for the domain comes here" }];
}

// RFC 7208 §5.4: `mx` covers the address that the host name has; addresses that are bound to may be others.
function spf(domain: string, { server, queue }: Config): DnsRecord[] {
  const ips = new Set([...queue.connection.values()].flatMap(({ sourceIps }) => sourceIps));
  const sources = [...ips].map((ip) => ip.includes(":") ? `ip6:${ip}` : `ip4:${ip}`);
  const value = ["v=spf1", "mx", ...sources, "-all"].join(" ");
  const own: DnsRecord = { name: domain, type: "TXT", value, purpose: "SPF: who may send for the domain" };
  if (server.hostname === domain) return [own];
  // RFC 7208 §2.3: the EHLO name is checked too.
  const host = ["v=spf1", "a", ...sources, "-all"].join(" ");
  return [own, { name: server.hostname, type: "TXT", value: host, purpose: "SPF: who may use the host name in EHLO" }];
}

function dkim(domain: string, { signing }: Config): DnsRecord[] {
  const all = [...signing.signatures.values()];
  const found = new Map<string, DnsRecord>();
  const put = (record: DnsRecord) => found.set(`${record.name} ${record.value}`, record);
  for (const signature of all) {
    if (signature.domain === domain) {
      put({
        name: `${signature.selector}._domainkey.${domain}`,
        type: "TXT",
        value: publicKeyRecord(signature.privateKey),
        purpose: `DKIM: public key of the signature ${JSON.stringify(signature.id)}`,
      });
      // RFC 6651 §3.2: where reports go that `r=y` asks for.
      if (signature.report) {
        put({
          name: `_report._domainkey.${domain}`,
          type: "TXT",
          value: "ra=postmaster",
          purpose: "DKIM: where reports of failures go",
        });
      }
    }
    if (signature.thirdParty?.domain === domain) put(thirdParty(domain, signature));
  }
  return [...found.values()];
}

// RFC 6541 §4.
function thirdParty(domain: string, { domain: signer, thirdParty }: SignatureConfig): DnsRecord {
  const hash = thirdParty?.hash ?? "none";
  const label = hash === "none" ? signer : base32(createHash(hash).update(signer).digest());
  return {
    name: `${label}._atps.${domain}`,
    type: "TXT",
    value: `v=ATPS1; d=${signer}`,
    purpose: `ATPS: ${signer} may sign for the domain`,
  };
}

function dmarc(domain: string): DnsRecord[] {
  return [{
    name: `_dmarc.${domain}`,
    type: "TXT",
    value: `v=DMARC1; p=none; rua=mailto:postmaster@${domain}`,
    purpose: "DMARC: reports only; p=quarantine or p=reject once they show that all mail passes",
  }];
}

// RFC 8461 §3.1, §3.3. Without a host to name there is no policy, and nothing to announce.
function mtaSts(domain: string, config: Config): DnsRecord[] {
  const names = [
    ...createCertificateStore(config.certificates).certificates.flatMap((certificate) => certificate.names),
    ...config.acme.flatMap(({ domains }) => domains),
  ];
  const policy = publishedPolicy(config.mtaSts, names);
  if (policy === undefined) return [];
  return [
    {
      name: `_mta-sts.${domain}`,
      type: "TXT",
      value: `v=STSv1; id=${policy.id}`,
      purpose: `MTA-STS: there is a policy (${config.mtaSts.mode}); the id changes with it`,
    },
    {
      name: `mta-sts.${domain}`,
      type: "CNAME",
      value: `${config.server.hostname}.`,
      purpose: "MTA-STS: where the policy is fetched by HTTPS, with a certificate for this name",
    },
  ];
}

/**
 * RFC 7672 §3.1.1: the key of each certificate that clients of the host name may get. It stays the same when a
 * certificate is renewed for the same key.
 */
function tlsa(_domain: string, { certificates: files, acme, server: { hostname } }: Config): DnsRecord[] {
  // Those that an authority has issued keep their key, too.
  const certificates = [...files, ...acme.flatMap((ordered) => cachedCertificate(ordered, systemClock.now()) ?? [])];
  const store = createCertificateStore(certificates);
  const ids = new Set(store.certificates.filter(({ names }) => names.includes(hostname)).map(({ id }) => id));
  if (ids.size === 0) {
    const shown = store.select(hostname);
    if (shown !== undefined) ids.add(shown.id);
  }
  const records = new Map<string, DnsRecord>();
  for (const { id, cert } of certificates) {
    const certificate = ids.has(id) ? readCertificate(new X509Certificate(cert).raw) : undefined;
    if (certificate === undefined) continue;
    const value = `3 1 1 ${createHash("sha256").update(certificate.publicKey).digest("hex")}`;
    const purpose = `DANE: the key of certificate ${JSON.stringify(id)}; only where the zone of the host is signed`;
    records.set(value, { name: `_25._tcp.${hostname}`, type: "TLSA", value, purpose });
  }
  return [...records.values()];
}

/**
 * The record for a key that is to follow (RFC 7671 §8.1: published at least two lifetimes of the record before the key is
 * used). @returns what is wrong with the file otherwise
 */
async function nextTlsa(file: string, { server: { hostname } }: Config): Promise<DnsRecord | string> {
  let pem: string;
  try {
    pem = await Deno.readTextFile(file);
  } catch (error) {
    return reasonOf(error);
  }
  const key = publicKeyIn(pem);
  if (key === undefined) return "expected a certificate, a private key without a password or a public key, in PEM";
  return {
    name: `_25._tcp.${hostname}`,
    type: "TLSA",
    value: `3 1 1 ${createHash("sha256").update(key).digest("hex")}`,
    purpose: `DANE: the next key, ${JSON.stringify(file)}; published for twice its TTL before the key is used`,
  };
}

function publicKeyIn(pem: string): Uint8Array | undefined {
  try {
    if (pem.includes("-----BEGIN CERTIFICATE-----")) return readCertificate(new X509Certificate(pem).raw)?.publicKey;
    return createPublicKey(pem).export({ type: "spki", format: "der" });
  } catch {
    return undefined;
  }
}

// RFC 8460 §3.
function tlsReports(domain: string): DnsRecord[] {
  return [{
    name: `_smtp._tls.${domain}`,
    type: "TXT",
    value: `v=TLSRPTv1; rua=mailto:postmaster@${domain}`,
    purpose: "TLS reports: where others report how TLS with the domain went",
  }];
}

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Base32 without padding (RFC 4648 §6). */
function base32(bytes: Uint8Array): string {
  let text = "";
  let word = 0;
  let bits = 0;
  for (const octet of bytes) {
    word = (word << 8) | octet;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(word >> (bits - 5)) & 31];
    word &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + BASE32[(word << (5 - bits)) & 31];
}
