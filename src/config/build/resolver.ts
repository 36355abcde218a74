/** Builds `resolver.*` and `cache.dns.*`. */

import type { ResolverConfig } from "../config.ts";
import { absolutePath, type BuildContext } from "./context.ts";

type Servers = ResolverConfig["servers"];

function servers(protocol: "udp" | "tls", ...ips: string[]): Servers {
  return ips.map((ip) => ({ protocol, ip, port: protocol === "tls" ? 853 : 53 }));
}

const CLOUDFLARE = ["1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001"];
const QUAD9 = ["9.9.9.9", "149.112.112.112", "2620:fe::fe", "2620:fe::9"];
const GOOGLE = ["8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"];

const CACHES = ["txt", "mx", "ipv4", "ipv6", "ptr", "tlsa", "mta-sts", "rbl"] as const;

export function buildResolver(context: BuildContext): ResolverConfig {
  const { reader } = context;
  warnOfNoEffect(context);
  return {
    servers: buildServers(context),
    preserveIntermediates: reader.get("resolver.preserve-intermediates"),
    concurrency: reader.get("resolver.concurrency"),
    timeout: reader.get("resolver.timeout"),
    attempts: reader.get("resolver.attempts"),
    tryTcpOnError: reader.get("resolver.try-tcp-on-error"),
    edns: reader.get("resolver.edns"),
    dnssec: buildDnssec(context),
    trustAnchors: reader.get("resolver.trust-anchors"),
    ...buildAnchorFile(context),
    cacheSizes: Object.fromEntries(CACHES.map((type) => [type, reader.get(`cache.dns.${type}.size`)])),
  };
}

/** Keys of the format that nothing here depends on. */
function warnOfNoEffect({ reader }: BuildContext): void {
  if (!reader.get("resolver.preserve-intermediates")) {
    const text = "has no effect: the steps of CNAME chains are always known, as DANE depends on them";
    reader.warning("resolver.preserve-intermediates", [], text);
  }
  if (reader.isSet("cache.dns.rbl.size")) {
    const text = "has no effect: answers of block lists are kept with others of their type, such as cache.dns.ipv4";
    reader.warning("cache.dns.rbl.size", [], text);
  }
}

/** A DS or DNSKEY record in master file format; TTL and class may be left out. */
const ANCHOR =
  /^\S+\s+(?:\d+\s+)?(?:IN\s+)?(?:DS(?:\s+\d{1,5}){3}\s+[\da-f\s]+|DNSKEY\s+\d{1,5}\s+3\s+\d{1,3}\s+[a-z\d+/=\s]+)$/i;

function buildDnssec({ reader }: BuildContext): ResolverConfig["dnssec"] {
  const dnssec = reader.get("resolver.dnssec");
  const lines = reader.get("resolver.trust-anchors").flatMap((text) => text.split("\n"))
    .map((line) => line.replace(/;.*/, "").trim());
  const odd = lines.findIndex((line) => line !== "" && !ANCHOR.test(line));
  if (odd >= 0) {
    const wanted = 'expected DS or DNSKEY records such as "example.net. IN DS 2371 13 2 1F987CC6..."';
    // A line may have come by a macro, so it is not shown.
    reader.error("resolver.trust-anchors", [], `${wanted}; record ${odd + 1} is none`);
  }
  if (dnssec === "validate" && !reader.get("resolver.edns")) {
    reader.error("resolver.edns", [], 'has to be true for resolver.dnssec = "validate": signatures come by EDNS only');
  }
  return dnssec;
}

function buildAnchorFile(context: BuildContext): Pick<ResolverConfig, "anchorFile"> {
  const path = context.reader.get("resolver.anchor-file");
  return path === undefined ? {} : { anchorFile: absolutePath(context, path) };
}

function buildServers({ reader }: BuildContext): Servers {
  switch (reader.get("resolver.type")) {
    case "system":
      return [];
    case "custom": {
      const custom = reader.get("resolver.custom");
      if (custom.length === 0 && !reader.isSet("resolver.custom")) {
        reader.error("resolver.custom", [], 'required for resolver.type = "custom": expected name servers');
      } else if (custom.length === 0 && reader.found("resolver.custom") === "an empty list") {
        reader.error("resolver.custom", [], "expected at least one name server, found an empty list");
      }
      return custom;
    }
    case "cloudflare":
      return servers("udp", ...CLOUDFLARE);
    case "cloudflare-tls":
      return servers("tls", ...CLOUDFLARE);
    case "quad9":
      return servers("udp", ...QUAD9);
    case "quad9-tls":
      return servers("tls", ...QUAD9);
    case "google":
      return servers("udp", ...GOOGLE);
  }
}
