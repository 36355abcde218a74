/** Keys of the resolver, its cache, and AS numbers. */

import { bool, choice, dur, filled, int, listOf, serverAddress, size, span, text, url } from "../value_type.ts";
import { allLater, key, later, only, optional, required } from "./spec.ts";

const DNS = ["dns"];
const RESOURCE = ["resource"];

/** Small answers and rare questions get the smaller cache. */
const SMALL_CACHE = 1048576;
const LARGE_CACHE = 5242880;

export const dnsKeys = {
  "resolver.type": key(
    choice("system", "custom", "cloudflare", "cloudflare-tls", "quad9", "quad9-tls", "google"),
    "system",
  ),
  "resolver.custom": only(["custom"], key(listOf(serverAddress), [])),
  "resolver.preserve-intermediates": key(bool, true),
  "resolver.concurrency": key(int(1, 100), 2),
  "resolver.timeout": key(span, "5s"),
  "resolver.attempts": key(int(1, 100), 2),
  "resolver.try-tcp-on-error": key(bool, true),
  "resolver.edns": key(bool, true),
  "resolver.dnssec": key(choice("trust", "validate"), "trust"),
  "resolver.trust-anchors": key(listOf(filled), []),
  "resolver.anchor-file": optional(filled),
  "cache.dns.txt.size": key(size, LARGE_CACHE),
  "cache.dns.mx.size": key(size, LARGE_CACHE),
  "cache.dns.ipv4.size": key(size, LARGE_CACHE),
  "cache.dns.ipv6.size": key(size, LARGE_CACHE),
  "cache.dns.rbl.size": key(size, LARGE_CACHE),
  "cache.dns.ptr.size": key(size, SMALL_CACHE),
  "cache.dns.tlsa.size": key(size, SMALL_CACHE),
  "cache.dns.mta-sts.size": key(size, SMALL_CACHE),
  "asn.type": later(key(choice("disabled", "dns", "resource"), "disabled"), "disabled"),
  ...allLater({
    "asn.separator": only(DNS, key(text, "|")),
    "asn.zone.ipv4": only(DNS, required(filled)),
    "asn.zone.ipv6": only(DNS, required(filled)),
    "asn.index.asn": only(DNS, key(int(), 0)),
    "asn.index.asn-name": only(DNS, optional(int())),
    "asn.index.country": only(DNS, optional(int())),
    "asn.urls.asn": only(RESOURCE, required(listOf(url("http", "https")))),
    "asn.urls.geo": only(RESOURCE, required(listOf(url("http", "https")))),
    "asn.expires": only(RESOURCE, key(dur, "1d")),
    "asn.timeout": only(RESOURCE, key(dur, "5m")),
    "asn.max-size": only(RESOURCE, key(size, 104857600)),
  }),
};
