/** Keys of `queue`: strategies, their definitions, limiters and quotas. */

import { bool, choice, dur, filled, host, hostname, int, ip, listOf, rate, size, span, text } from "../value_type.ts";
import { asBool, asId } from "./setting_shape.ts";
import { computed, type Id, key, only, optional, required, sameAs, setting } from "./spec.ts";

const requirement = choice("optional", "require", "disable");

/** Ports on which a relay starts in plain text and offers STARTTLS. */
const STARTTLS_PORTS: readonly number[] = [24, 25, 587];

const MX_AND_RELAY = ["mx", "relay"];
const RELAY = ["relay"];

const addressKeys = ["sender", "sender_domain", "rcpt", "rcpt_domain"] as const;

export const queueKeys = {
  "queue.strategy.route": setting("queue", asId("route"), [
    { if: "is_local_domain('', rcpt_domain)", then: "'local'" },
    { else: "'mx'" },
  ]),
  "queue.strategy.schedule": setting("queue", asId("schedule"), [
    { if: "is_local_domain('*', rcpt_domain)", then: "'local'" },
    { if: "source == 'dsn'", then: "'dsn'" },
    { if: "source == 'report'", then: "'report'" },
    { else: "'remote'" },
  ]),
  "queue.strategy.connection": setting("host", asId("connection"), "'default'"),
  "queue.strategy.tls": setting("host", asId("tls policy"), [
    { if: "retry_num > 0 && last_error == 'tls'", then: "'invalid-tls'" },
    { else: "'default'" },
  ]),
  "queue.virtual.<id>.threads-per-node": required(int(1, 100_000)),
  "queue.schedule.<id>.queue-name": required(filled),
  "queue.schedule.<id>.retry": key(listOf(span), ["2m", "5m", "10m", "15m", "30m", "1h", "2h"]),
  "queue.schedule.<id>.notify": key(listOf(dur), []),
  "queue.schedule.<id>.expire": optional(
    dur,
    computed((from, ids) => from.source("queue.schedule.<id>.max-attempts", ...ids) === undefined ? "5d" : undefined),
  ),
  "queue.schedule.<id>.max-attempts": optional(int(1)),
  "queue.route.<id>.type": required(choice("local", "mx", "relay")),
  "queue.route.<id>.path": only(["local"], key(filled, "mail/{domain}/{local}/Maildir")),
  "queue.route.<id>.sieve": only(["local"], optional(filled)),
  "queue.route.<id>.limits.mx": only(["mx"], key(int(1, 1000), 5)),
  "queue.route.<id>.limits.multihomed": only(["mx"], key(int(1, 1000), 2)),
  "queue.route.<id>.ip-lookup": only(
    MX_AND_RELAY,
    key(choice("ipv4_only", "ipv6_only", "ipv4_then_ipv6", "ipv6_then_ipv4"), "ipv4_then_ipv6"),
  ),
  "queue.route.<id>.address": only(RELAY, required(host)),
  "queue.route.<id>.port": only(RELAY, key(int(1, 65535), computed(relayPort))),
  "queue.route.<id>.protocol": only(RELAY, key(choice("smtp", "lmtp"), "smtp")),
  "queue.route.<id>.tls.implicit": only(
    RELAY,
    key(bool, computed((from, ids) => !STARTTLS_PORTS.includes(Number(from.source("queue.route.<id>.port", ...ids))))),
  ),
  "queue.route.<id>.tls.allow-invalid-certs": only(RELAY, key(bool, false)),
  "queue.route.<id>.auth.username": only(RELAY, optional(filled)),
  "queue.route.<id>.auth.secret": only(RELAY, optional(text)),
  "queue.connection.<id>.ehlo-hostname": key(hostname, sameAs("server.hostname")),
  "queue.connection.<id>.source-ips": key(listOf(ip), []),
  "queue.connection.<id>.pool.max-messages": key(int(1), 200),
  "queue.connection.<id>.pool.max-idle": key(span, "10s"),
  "queue.connection.<id>.pool.max-connections": key(int(0, 100_000), 1000),
  "queue.source-ip.<ip>.ehlo-hostname": optional(hostname),
  "queue.connection.<id>.timeout.connect": key(span, "1m"),
  "queue.connection.<id>.timeout.greeting": key(span, "3m"),
  "queue.connection.<id>.timeout.ehlo": key(span, "3m"),
  "queue.connection.<id>.timeout.mail-from": key(span, "3m"),
  "queue.connection.<id>.timeout.rcpt-to": key(span, "3m"),
  "queue.connection.<id>.timeout.data": key(span, "10m"),
  "queue.tls.<id>.dane": key(requirement, "optional"),
  "queue.tls.<id>.mta-sts": key(requirement, "optional"),
  "queue.tls.<id>.starttls": key(requirement, "optional"),
  "queue.tls.<id>.allow-invalid-certs": key(bool, false),
  "queue.tls.<id>.timeout.tls": key(span, "3m"),
  "queue.tls.<id>.timeout.mta-sts": key(span, "3m"),
  "queue.limiter.inbound[].enable": key(bool, false),
  "queue.limiter.inbound[].rate": optional(rate),
  "queue.limiter.inbound[].concurrency": optional(int(1)),
  "queue.limiter.inbound[].key": key(
    listOf(choice(...addressKeys, "remote_ip", "listener", "helo_domain", "authenticated_as")),
    [],
  ),
  "queue.limiter.inbound[].match": setting("rcpt", asBool, true),
  "queue.limiter.outbound[].enable": key(bool, false),
  "queue.limiter.outbound[].rate": optional(rate),
  "queue.limiter.outbound[].concurrency": optional(int(1)),
  "queue.limiter.outbound[].key": key(listOf(choice(...addressKeys, "mx", "remote_ip", "local_ip")), []),
  "queue.limiter.outbound[].match": setting("host", asBool, true),
  "queue.quota[].enable": key(bool, false),
  "queue.quota[].messages": optional(int(1)),
  "queue.quota[].size": optional(size),
  "queue.quota[].key": key(listOf(choice(...addressKeys)), []),
  "queue.quota[].match": setting("queue", asBool, true),
};

function relayPort(from: { source(pattern: string, ...ids: readonly Id[]): unknown }, ids: readonly Id[]): number {
  const protocol = from.source("queue.route.<id>.protocol", ...ids);
  return typeof protocol === "string" && protocol.toLowerCase() === "lmtp" ? 24 : 25;
}
