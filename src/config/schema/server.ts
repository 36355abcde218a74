/** Keys of `server`, `certificate` and `acme`. */

import {
  bind,
  bool,
  choice,
  dur,
  filled,
  glob,
  host,
  hostname,
  int,
  line,
  listOf,
  listOrKeys,
  network,
  orFalse,
  port,
  rate,
  size,
  span,
  url,
} from "../value_type.ts";
import { computed, type Key, key, only, optional, required, sameAs } from "./spec.ts";

/** TLS suites that may be switched off. */
export const SUITES = [
  "TLS13_AES_256_GCM_SHA384",
  "TLS13_AES_128_GCM_SHA256",
  "TLS13_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
] as const;

/** Keys that stand under `server.` for all listeners and under `server.listener.<id>.` for one. */
const socketKeys = {
  "tls.enable": key(bool, true),
  "tls.implicit": key(bool, false),
  "tls.timeout": key(span, "1m"),
  "tls.disable-protocols": key(listOf(choice("TLSv1.2", "TLSv1.3")), []),
  "tls.disable-ciphers": key(listOf(choice(...SUITES)), []),
  "tls.ignore-client-order": key(bool, true),
  "tls.certificate": optional(filled),
  "socket.reuse-addr": key(bool, true),
  "socket.reuse-port": key(bool, true),
  "socket.backlog": key(int(1, 65535), 1024),
  "socket.nodelay": key(bool, true),
  "socket.ttl": optional(int(1, 255)),
  "socket.tos": optional(int(0, 255)),
  "socket.send-buffer-size": optional(size),
  "socket.recv-buffer-size": optional(size),
  "socket.linger": optional(dur),
  "proxy.trusted-networks": key(listOf(network), []),
};

type Prefixed<P extends string, K extends Record<string, Key>> = { [N in keyof K & string as `${P}${N}`]: K[N] };

function prefixed<P extends string, K extends Record<string, Key>>(
  prefix: P,
  keys: K,
  change: (spec: Key, name: string) => Key = (spec) => spec,
): Prefixed<P, K> {
  const entries = Object.entries(keys).map(([name, spec]) => [prefix + name, change(spec, name)]);
  return Object.fromEntries(entries) as Prefixed<P, K>;
}

const SCANNED_PATHS = [
  "*.php*",
  "*.cgi*",
  "*.asp*",
  "*/wp-*",
  "*/php*",
  "*/cgi-bin*",
  "*xmlrpc*",
  "*../*",
  "*/..*",
  "*joomla*",
  "*wordpress*",
  "*drupal*",
];

export const serverKeys = {
  "server.hostname": key(hostname, computed((from) => from.hostname)),
  "server.max-connections": key(int(1), 8192),
  "global.thread-pool": key(int(1, 1024), computed((from) => from.cpus)),
  "server.listener.<id>.bind": required(listOf(bind)),
  "server.listener.<id>.protocol": required(choice("smtp", "lmtp", "http", "imap", "pop3", "managesieve")),
  "server.listener.<id>.max-connections": key(int(1), sameAs("server.max-connections")),
  "server.listener.<id>.greeting": optional(line),
  "server.listener.<id>.tls.override": optional(bool),
  "server.listener.<id>.socket.override": optional(bool),
  "server.listener.<id>.proxy.override": optional(bool),
  ...prefixed("server.", socketKeys),
  ...prefixed("server.listener.<id>.", socketKeys, (spec, name) => ({ ...spec, fallback: sameAs(`server.${name}`) })),
  "server.auto-ban.auth.rate": key(orFalse(rate), "100/1d"),
  "server.auto-ban.abuse.rate": key(orFalse(rate), "35/1d"),
  "server.auto-ban.loiter.rate": key(orFalse(rate), "150/1d"),
  "server.auto-ban.scan.rate": key(orFalse(rate), "150/1d"),
  "server.auto-ban.scan.paths": key(listOf(glob), SCANNED_PATHS),
  "server.auto-ban.expire": key(orFalse(span), false),
  "server.blocked-ip": key(listOrKeys(network), []),
  "server.allowed-ip": key(listOrKeys(network), ["127.0.0.1", "::1"]),
};

const DNS = ["dns-01"];

export const certificateKeys = {
  "certificate.<id>.cert": required(filled),
  "certificate.<id>.private-key": required(filled),
  "certificate.<id>.subjects": key(listOf(filled), []),
  "certificate.<id>.default": key(
    bool,
    computed((from) => from.names("certificate").length === 1 && from.names("acme").length === 0),
  ),
  "acme.<id>.directory": key(url("https", "http"), "https://acme-v02.api.letsencrypt.org/directory"),
  "acme.<id>.challenge": key(choice("tls-alpn-01", "http-01", "dns-01"), "tls-alpn-01"),
  "acme.<id>.contact": required(listOf(filled)),
  "acme.<id>.domains": required(listOf(filled)),
  "acme.<id>.cache": key(filled, "acme"),
  "acme.<id>.renew-before": key(dur, "30d"),
  "acme.<id>.default": key(bool, false),
  "acme.<id>.eab.kid": optional(filled),
  "acme.<id>.eab.hmac-key": optional(filled),
  "acme.<id>.provider": only(DNS, required(choice("rfc2136-tsig", "cloudflare"))),
  "acme.<id>.secret": only(DNS, required(filled)),
  "acme.<id>.polling-interval": only(DNS, key(dur, "15s")),
  "acme.<id>.propagation-timeout": only(DNS, key(span, "1m")),
  "acme.<id>.ttl": only(DNS, key(dur, "5m")),
  "acme.<id>.origin": only(DNS, optional(filled)),
  "acme.<id>.host": only(DNS, optional(host)),
  "acme.<id>.key": only(DNS, optional(filled)),
  "acme.<id>.port": only(DNS, key(port, 53)),
  "acme.<id>.protocol": only(DNS, key(choice("udp", "tcp"), "udp")),
  "acme.<id>.tsig-algorithm": only(
    DNS,
    key(
      choice(
        "hmac-md5",
        "gss",
        "hmac-sha1",
        "hmac-sha224",
        "hmac-sha256",
        "hmac-sha256-128",
        "hmac-sha384",
        "hmac-sha384-192",
        "hmac-sha512",
        "hmac-sha512-256",
      ),
      "hmac-sha256",
    ),
  ),
  "acme.<id>.email": only(DNS, optional(filled)),
  "acme.<id>.timeout": only(DNS, key(span, "30s")),
};
