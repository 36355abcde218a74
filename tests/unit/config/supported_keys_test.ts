import assert from "node:assert/strict";
import type { DirectoryConfig } from "../../../src/config/config.ts";
import type { Config } from "../../../src/config/mod.ts";
import { SCHEMA } from "../../../src/config/schema/mod.ts";
import type { Key } from "../../../src/config/schema/spec.ts";
import { patternOf } from "../../../src/config/schema/tree.ts";
import { readToml } from "../../../src/config/toml/document.ts";
import type { Node } from "../../../src/config/toml/node.ts";
import type { Setting, Value } from "../../../src/expression/mod.ts";
import { configOf, principalsOf, problemsOf, valueOf } from "./loading.ts";

/** A key with a value, where it goes, and what it is there. */
type Case = readonly [key: string, value: string, get: (config: Config) => unknown, wanted: unknown];

/** A setting's value for an authenticated session on the submission port. */
function of<T>(setting: Setting<T>, variables: Readonly<Record<string, Value>> = {}): unknown {
  return valueOf(setting, { listener: "a", protocol: "smtp", authenticated_as: "ana", local_port: 587, ...variables });
}

const listener = (config: Config) => config.server.listeners[0];

const SERVER: readonly Case[] = [
  ["server.max-connections", "5", (c) => [c.server.maxConnections, listener(c)?.maxConnections], [5, 5]],
  ["global.thread-pool", "3", (c) => c.server.threadPool, 3],
  ["server.listener.a.max-connections", "6", (c) => listener(c)?.maxConnections, 6],
  ["server.listener.a.greeting", '"hi"', (c) => listener(c)?.greeting, "hi"],
  ["server.blocked-ip", '["192.0.2.0/24", "::1"]', (c) => c.server.blockedIp, [
    { address: "192.0.2.0", prefix: 24 },
    { address: "::1", prefix: 128 },
  ]],
  ["server.allowed-ip", '"192.0.2.9"', (c) => c.server.allowedIp[0], { address: "192.0.2.9", prefix: 32 }],
  ...["server.", "server.listener.a."].flatMap((prefix): Case[] => [
    [`${prefix}tls.enable`, "false", (c) => listener(c)?.tls.enable, false],
    [`${prefix}tls.timeout`, '"7s"', (c) => listener(c)?.tls.timeout, 7000],
    [`${prefix}tls.disable-protocols`, '"tlsv1.2"', (c) => listener(c)?.tls.disableProtocols, ["TLSv1.2"]],
    [`${prefix}tls.disable-ciphers`, '["TLS13_AES_128_GCM_SHA256"]', (c) => listener(c)?.tls.disableCiphers, [
      "TLS13_AES_128_GCM_SHA256",
    ]],
    [`${prefix}tls.ignore-client-order`, "false", (c) => listener(c)?.tls.ignoreClientOrder, false],
    [`${prefix}socket.reuse-port`, "false", (c) => listener(c)?.socket.reusePort, false],
    [`${prefix}socket.backlog`, "12", (c) => listener(c)?.socket.backlog, 12],
    [`${prefix}socket.nodelay`, '"false"', (c) => listener(c)?.socket.nodelay, false],
    [`${prefix}proxy.trusted-networks`, '"10.0.0.0/8"', (c) => listener(c)?.proxyTrustedNetworks, [
      { address: "10.0.0.0", prefix: 8 },
    ]],
  ]),
];

const SESSION: readonly Case[] = [
  ["session.timeout", '"1m"', (c) => of(c.session.timeout), 60_000],
  ["session.duration", "1000", (c) => of(c.session.duration), 1000],
  ["session.transfer-limit", "77", (c) => of(c.session.transferLimit), 77],
  ["session.connect.hostname", "\"'h.example'\"", (c) => of(c.session.connect.hostname), "h.example"],
  ["session.connect.greeting", "\"'hello'\"", (c) => of(c.session.connect.greeting), "hello"],
  ["session.ehlo.require", "false", (c) => of(c.session.ehlo.require), false],
  ["session.ehlo.reject-non-fqdn", "true", (c) => of(c.session.ehlo.rejectNonFqdn), true],
  ["session.extensions.pipelining", "false", (c) => of(c.session.extensions.pipelining), false],
  ["session.extensions.chunking", "false", (c) => of(c.session.extensions.chunking), false],
  ["session.extensions.requiretls", "false", (c) => of(c.session.extensions.requiretls), false],
  ["session.extensions.no-soliciting", "\"'x:ADV'\"", (c) => of(c.session.extensions.noSoliciting), "x:ADV"],
  ["session.extensions.dsn", "false", (c) => of(c.session.extensions.dsn), false],
  ["session.extensions.future-release", '"1h"', (c) => of(c.session.extensions.futureRelease), 3_600_000],
  ["session.extensions.deliver-by", "false", (c) => of(c.session.extensions.deliverBy), false],
  ["session.extensions.mt-priority", '"nsep"', (c) => of(c.session.extensions.mtPriority), "nsep"],
  ["session.extensions.vrfy", "true", (c) => of(c.session.extensions.vrfy), true],
  ["session.extensions.expn", "true", (c) => of(c.session.extensions.expn), true],
  ["session.auth.mechanisms", '["PLAIN"]', (c) => of(c.session.auth.mechanisms), ["plain"]],
  ["session.auth.mechanisms", "\"['scram-sha-256', 'cram-md5']\"", (c) => of(c.session.auth.mechanisms), [
    "scram-sha-256",
    "cram-md5",
  ]],
  ["session.auth.mechanisms", '["XOAUTH2", "oauthbearer"]', (c) => of(c.session.auth.mechanisms), [
    "xoauth2",
    "oauthbearer",
  ]],
  ["session.auth.directory", "\"'d'\"", (c) => of(c.session.auth.directory), "d"],
  ["session.auth.require", "false", (c) => of(c.session.auth.require), false],
  ["session.auth.must-match-sender", "false", (c) => of(c.session.auth.mustMatchSender), false],
  ["session.auth.allow-plain-text", "true", (c) => of(c.session.auth.allowPlainText), true],
  ["session.auth.errors.total", "8", (c) => of(c.session.auth.errors.total), 8],
  ["session.auth.errors.wait", '"8s"', (c) => of(c.session.auth.errors.wait), 8000],
  ["session.mail.rewrite", "\"'x@y'\"", (c) => of(c.session.mail.rewrite), "x@y"],
  ["session.mail.is-allowed", "false", (c) => of(c.session.mail.isAllowed), false],
  ["session.rcpt.directory", "\"'d'\"", (c) => of(c.session.rcpt.directory), "d"],
  ["session.rcpt.relay", "false", (c) => of(c.session.rcpt.relay), false],
  ["session.rcpt.sub-addressing", "\"'x@y'\"", (c) => of(c.session.rcpt.subAddressing), "x@y"],
  ["session.rcpt.catch-all", "false", (c) => of(c.session.rcpt.catchAll), false],
  ["session.rcpt.rewrite", "\"'x@' + rcpt_domain\"", (c) => of(c.session.rcpt.rewrite, { rcpt_domain: "z" }), "x@z"],
  ["session.rcpt.max-recipients", "2", (c) => of(c.session.rcpt.maxRecipients), 2],
  ["session.rcpt.errors.total", "2", (c) => of(c.session.rcpt.errors.total), 2],
  ["session.rcpt.errors.wait", '"2s"', (c) => of(c.session.rcpt.errors.wait), 2000],
  ["session.data.bare-newline", "\"'normalize'\"", (c) => of(c.session.data.bareNewline), "normalize"],
  ["session.data.limits.messages", "2", (c) => of(c.session.data.limits.messages), 2],
  ["session.data.limits.size", "2", (c) => of(c.session.data.limits.size), 2],
  ["session.data.limits.received-headers", "2", (c) => of(c.session.data.limits.receivedHeaders), 2],
  ["session.data.add-headers.received", "false", (c) => of(c.session.data.addHeaders.received), false],
  ["session.data.add-headers.received-spf", "true", (c) => of(c.session.data.addHeaders.receivedSpf), true],
  ["session.data.add-headers.auth-results", "true", (c) => of(c.session.data.addHeaders.authResults), true],
  ["auth.iprev.verify", '"strict"', (c) => of(c.session.checks.iprev), "strict"],
  ["auth.spf.verify.ehlo", '"Strict"', (c) => of(c.session.checks.spfEhlo), "strict"],
  ["auth.spf.verify.mail-from", "\"'relaxed'\"", (c) => of(c.session.checks.spfMailFrom), "relaxed"],
  ["auth.dkim.verify", '"disable"', (c) => of(c.session.checks.dkim), "disable"],
  ["auth.dkim.strict", "false", (c) => c.session.checks.dkimStrict, false],
  ["auth.arc.verify", '"strict"', (c) => of(c.session.checks.arc), "strict"],
  ["auth.dmarc.verify", '"strict"', (c) => of(c.session.checks.dmarc), "strict"],
  ["session.data.add-headers.message-id", "false", (c) => of(c.session.data.addHeaders.messageId), false],
  ["session.data.add-headers.date", "false", (c) => of(c.session.data.addHeaders.date), false],
  ["session.data.add-headers.return-path", "true", (c) => of(c.session.data.addHeaders.returnPath), true],
  ["session.mta-sts.mode", '"enforce"', (c) => c.mtaSts.mode, "enforce"],
  ["session.mta-sts.max-age", "86400", (c) => c.mtaSts.maxAge, 86_400_000],
  ["session.mta-sts.max-age", '"2d"', (c) => c.mtaSts.maxAge, 172_800_000],
  ["session.mta-sts.mx", '["MX1.example.net.", "*.example.net"]', (c) => c.mtaSts.mx, [
    "mx1.example.net",
    "*.example.net",
  ]],
  ["session.data.add-headers.delivered-to", "false", (c) => c.session.data.addHeaders.deliveredTo, false],
];

/** A route of the type `relay` named `r`. */
function relay(config: Config) {
  const route = config.queue.route.get("r");
  assert.equal(route?.type, "relay");
  return route;
}

const QUEUE: readonly Case[] = [
  ["queue.strategy.route", "\"'r'\"", (c) => of(c.queue.strategy.route), "r"],
  ["queue.strategy.schedule", "\"'s'\"", (c) => of(c.queue.strategy.schedule), "s"],
  ["queue.strategy.connection", "\"'c'\"", (c) => of(c.queue.strategy.connection), "c"],
  ["queue.strategy.tls", "\"'t'\"", (c) => of(c.queue.strategy.tls), "t"],
  ["queue.virtual.v.threads-per-node", "9", (c) => c.queue.virtual.get("v")?.threadsPerNode, 9],
  ["queue.schedule.s.queue-name", '"dsn"', (c) => c.queue.schedule.get("s")?.queueName, "dsn"],
  ["queue.schedule.s.retry", '["1m", 5]', (c) => c.queue.schedule.get("s")?.retry, [60_000, 5]],
  ["queue.schedule.s.notify", '"1h"', (c) => c.queue.schedule.get("s")?.notify, [3_600_000]],
  ["queue.schedule.s.expire", '"2d"', (c) => c.queue.schedule.get("s")?.expire, 172_800_000],
  ["queue.schedule.s.max-attempts", "4", (c) => {
    const schedule = c.queue.schedule.get("s");
    return [schedule?.maxAttempts, schedule?.expire];
  }, [4, undefined]],
  ["queue.route.l.path", '"m/{local}"', (c) => c.queue.route.get("l"), {
    id: "l",
    type: "local",
    path: "/etc/godwit/m/{local}",
  }],
  ["queue.route.m.limits.mx", "9", (c) => c.queue.route.get("m"), {
    id: "m",
    type: "mx",
    limits: { mx: 9, multihomed: 2 },
    ipLookup: "ipv4_then_ipv6",
  }],
  ["queue.route.m.limits.multihomed", "9", (c) => {
    const route = c.queue.route.get("m");
    return route?.type === "mx" && route.limits.multihomed;
  }, 9],
  ["queue.route.r.ip-lookup", '"IPV6_only"', (c) => relay(c).ipLookup, "ipv6_only"],
  ["queue.route.r.address", '"192.0.2.25"', (c) => relay(c).address, "192.0.2.25"],
  ["queue.route.r.port", "465", (c) => [relay(c).port, relay(c).tls.implicit], [465, true]],
  ["queue.route.r.protocol", '"lmtp"', (c) => [relay(c).protocol, relay(c).port], ["lmtp", 24]],
  ["queue.route.r.tls.implicit", "true", (c) => relay(c).tls.implicit, true],
  ["queue.route.r.tls.allow-invalid-certs", "true", (c) => relay(c).tls.allowInvalidCerts, true],
  ["queue.route.r.auth", '{ username = "u", secret = "s" }', (c) => relay(c).auth, { username: "u", secret: "s" }],
  ["queue.connection.c.ehlo-hostname", '"E.example"', (c) => c.queue.connection.get("c")?.ehloHostname, "e.example"],
  ["queue.connection.c.source-ips", '["192.0.2.1", "2001:DB8::0:1"]', (c) => c.queue.connection.get("c")?.sourceIps, [
    "192.0.2.1",
    "2001:db8::1",
  ]],
  ["queue.connection.c.pool.max-messages", "1", (c) => c.queue.connection.get("c")?.pool.maxMessages, 1],
  ["queue.connection.c.pool.max-idle", '"1m"', (c) => c.queue.connection.get("c")?.pool.maxIdle, 60_000],
  ["queue.connection.c.pool.max-connections", "0", (c) => c.queue.connection.get("c")?.pool.maxConnections, 0],
  ['queue.source-ip."192.0.2.1".ehlo-hostname', '"s.example"', (c) => [...c.queue.sourceIp], [
    ["192.0.2.1", { ehloHostname: "s.example" }],
  ]],
  ...(["connect", "greeting", "ehlo", "mail-from", "rcpt-to", "data"] as const).map((step): Case => [
    `queue.connection.c.timeout.${step}`,
    '"11s"',
    (c) => {
      const timeout = c.queue.connection.get("c")?.timeout;
      const { "mail-from": mailFrom, "rcpt-to": rcptTo } = {
        "mail-from": timeout?.mailFrom,
        "rcpt-to": timeout?.rcptTo,
      };
      return { ...timeout, "mail-from": mailFrom, "rcpt-to": rcptTo }[step];
    },
    11_000,
  ]),
  ["queue.tls.t.mta-sts", '"require"', (c) => c.queue.tls.get("t")?.mtaSts, "require"],
  ["queue.tls.t.dane", '"require"', (c) => c.queue.tls.get("t")?.dane, "require"],
  ["queue.tls.t.starttls", '"Require"', (c) => c.queue.tls.get("t")?.starttls, "require"],
  ["queue.tls.t.allow-invalid-certs", "true", (c) => c.queue.tls.get("t")?.allowInvalidCerts, true],
  ["queue.tls.t.timeout.tls", '"1s"', (c) => c.queue.tls.get("t")?.timeout.tls, 1000],
  ["queue.tls.t.timeout.mta-sts", '"1s"', (c) => c.queue.tls.get("t")?.timeout.mtaSts, 1000],
];

const REPORT: readonly Case[] = [
  ["report.domain", '"Reports.example"', (c) => [c.report.domain, of(c.report.dsn.fromAddress)], [
    "reports.example",
    "MAILER-DAEMON@reports.example",
  ]],
  ["report.submitter", "\"'s'\"", (c) => of(c.report.submitter), "s"],
  ["report.analysis.addresses", '["dmarc-in@*", "x@example.net"]', (c) => c.report.analysis.addresses, [
    "dmarc-in@*",
    "x@example.net",
  ]],
  ["report.analysis.forward", "false", (c) => c.report.analysis.forward, false],
  ["report.analysis.store", '"2d"', (c) => c.report.analysis.store, 172_800_000],
  ["report.dmarc.aggregate.from-name", "\"'n'\"", (c) => of(c.report.dmarcAggregate.fromName), "n"],
  ["report.dmarc.aggregate.from-address", "\"'a@b'\"", (c) => of(c.report.dmarcAggregate.fromAddress), "a@b"],
  ["report.dmarc.aggregate.org-name", "\"'o'\"", (c) => of(c.report.dmarcAggregate.orgName), "o"],
  ["report.dmarc.aggregate.contact-info", "\"'c'\"", (c) => of(c.report.dmarcAggregate.contactInfo), "c"],
  ["report.dmarc.aggregate.send", '"never"', (c) => of(c.report.dmarcAggregate.send), "never"],
  ["report.dmarc.aggregate.max-size", "1000", (c) => of(c.report.dmarcAggregate.maxSize), 1000],
  ["report.tls.aggregate.from-name", "\"'n'\"", (c) => of(c.report.tlsAggregate.fromName), "n"],
  ["report.tls.aggregate.from-address", "\"'a@b'\"", (c) => of(c.report.tlsAggregate.fromAddress), "a@b"],
  ["report.tls.aggregate.org-name", "\"'o'\"", (c) => of(c.report.tlsAggregate.orgName), "o"],
  ["report.tls.aggregate.contact-info", "\"'c'\"", (c) => of(c.report.tlsAggregate.contactInfo), "c"],
  ["report.tls.aggregate.send", '"never"', (c) => of(c.report.tlsAggregate.send), "never"],
  ["report.tls.aggregate.max-size", "1000", (c) => of(c.report.tlsAggregate.maxSize), 1000],
  ["report.dkim.from-name", "\"'n'\"", (c) => of(c.report.dkim.fromName), "n"],
  ["report.dkim.from-address", "\"'a@b'\"", (c) => of(c.report.dkim.fromAddress), "a@b"],
  ["report.dkim.subject", "\"'s'\"", (c) => of(c.report.dkim.subject), "s"],
  ["report.dkim.send", '"3/1h"', (c) => of(c.report.dkim.send), { count: 3, period: 3_600_000 }],
  ["report.spf.from-name", "\"'n'\"", (c) => of(c.report.spf.fromName), "n"],
  ["report.spf.from-address", "\"'a@b'\"", (c) => of(c.report.spf.fromAddress), "a@b"],
  ["report.spf.subject", "\"'s'\"", (c) => of(c.report.spf.subject), "s"],
  ["report.spf.send", '"3/1h"', (c) => of(c.report.spf.send), { count: 3, period: 3_600_000 }],
  ["report.dmarc.from-name", "\"'n'\"", (c) => of(c.report.dmarc.fromName), "n"],
  ["report.dmarc.from-address", "\"'a@b'\"", (c) => of(c.report.dmarc.fromAddress), "a@b"],
  ["report.dmarc.subject", "\"'s'\"", (c) => of(c.report.dmarc.subject), "s"],
  ["report.dmarc.send", '"3/1h"', (c) => of(c.report.dmarc.send), { count: 3, period: 3_600_000 }],
  ["report.redact", "false", (c) => c.report.redact, false],
  ["report.redact-key", '"k"', (c) => c.report.redactKey, "k"],
  ["report.dsn.from-name", "\"'n'\"", (c) => of(c.report.dsn.fromName), "n"],
  ["report.dsn.from-address", "\"'a@b'\"", (c) => of(c.report.dsn.fromAddress), "a@b"],
];

const RESOLVER: readonly Case[] = [
  ["resolver.type", '"quad9-tls"', (c) => c.resolver.servers[0], { protocol: "tls", ip: "9.9.9.9", port: 853 }],
  ["resolver.custom", '["192.0.2.53", "tcp://[2001:db8::53]:5353", "TLS://192.0.2.54"]', (c) => c.resolver.servers, [
    { protocol: "udp", ip: "192.0.2.53", port: 53 },
    { protocol: "tcp", ip: "2001:db8::53", port: 5353 },
    { protocol: "tls", ip: "192.0.2.54", port: 853 },
  ]],
  ["resolver.preserve-intermediates", "false", (c) => c.resolver.preserveIntermediates, false],
  ["resolver.concurrency", "1", (c) => c.resolver.concurrency, 1],
  ["resolver.timeout", '"1s"', (c) => c.resolver.timeout, 1000],
  ["resolver.attempts", "1", (c) => c.resolver.attempts, 1],
  ["resolver.try-tcp-on-error", "false", (c) => c.resolver.tryTcpOnError, false],
  ["resolver.edns", "false", (c) => c.resolver.edns, false],
  ["resolver.dnssec", '"Validate"', (c) => c.resolver.dnssec, "validate"],
  [
    "resolver.trust-anchors",
    '["example.net. 3600 IN DS 2371 13 2 1f98 7cc6", "; by hand\\n. DNSKEY 257 3 13 mdsswUyr= ; root"]',
    (c) => c.resolver.trustAnchors.length,
    2,
  ],
  ["resolver.anchor-file", '"keys/root.key"', (c) => c.resolver.anchorFile, "/etc/godwit/keys/root.key"],
  ...["txt", "mx", "ipv4", "ipv6", "ptr", "tlsa", "mta-sts", "rbl"].map((type): Case => [
    `cache.dns.${type}.size`,
    "99",
    (c) => c.resolver.cacheSizes[type],
    99,
  ]),
];

function database(config: Config, id = "l") {
  const store = config.stores.get(id);
  assert.equal(store?.type, "libsql");
  return store;
}

const STORES: readonly Case[] = [
  ["store.l.url", '"https://sqld.example:8080"', (c) => database(c).url, "https://sqld.example:8080"],
  ["store.l.auth-token", '"t"', (c) => database(c).authToken, "t"],
  ["store.q.path", '"db/q.db"', (c) => [database(c, "q").url, database(c, "q").type], [
    "file:/etc/godwit/db/q.db",
    "libsql",
  ]],
  ["store.l.timeout", '"1s"', (c) => database(c).timeout, 1000],
  ["store.l.tls.allow-invalid-certs", "true", (c) => database(c).allowInvalidCerts, true],
  ["store.l.pool.max-connections", "2", (c) => database(c).maxConnections, 2],
  ["store.l.disable", "true", (c) => c.stores.has("l"), false],
  ["store.l.query.users", '"SELECT 1"', (c) => database(c).queries, { users: "SELECT 1" }],
  ["store.l.purge.frequency", '"5 * 7"', (c) => database(c).purgeFrequency, { minute: 5, hour: undefined, weekday: 7 }],
  ["store.m.values", '["a*", "b"]', (c) => c.stores.get("m"), { id: "m", type: "memory", values: ["a*", "b"] }],
  ["storage.lookup", '"l"', (c) => c.storage.lookup, "l"],
  ["storage.directory", '"e"', (c) => [c.storage.directory, of(c.session.rcpt.directory)], ["e", "e"]],
  ["lookup.l", '{ "*.example" = true, b = "x", c = 5 }', (c) => [...c.lookups.get("l") ?? []], [
    ["*.example", true],
    ["b", "x"],
    ["c", 5],
  ]],
  ["cluster.node-id", "17", (c) => c.cluster.nodeId, "17"],
  ["cluster.lease", '"5m"', (c) => c.cluster.lease, 300_000],
];

/** The only account of directory `d`. */
const account = (config: Config) => principalsOf(config, "d")[0];

const DIRECTORY: readonly Case[] = [
  ["directory.d.lookup.domains", '"EXAMPLE.net"', (c) => c.directories.get("d")?.domains, ["example.net"]],
  ["directory.d.principals.0.name", '"ana"', (c) => account(c)?.name, "ana"],
  ["directory.d.principals.0.class", '"Admin"', (c) => account(c)?.class, "admin"],
  ["directory.d.principals.0.description", '"A"', (c) => account(c)?.description, "A"],
  ["directory.d.principals.0.secret", '"{PLAIN}x"', (c) => account(c)?.secret, ["{PLAIN}x"]],
  ["directory.d.principals.0.email", '["Ana@Example.NET", "@b.example"]', (c) => account(c)?.email, [
    "Ana@example.net",
    "@b.example",
  ]],
  ["directory.d.principals.0.email-list", '["l@b.example"]', (c) => account(c)?.emailList, ["l@b.example"]],
  ["directory.d.principals.0.member-of", '["g"]', (c) => account(c)?.memberOf, ["g"]],
];

/** A directory by id and type. */
function directoryOf<T extends DirectoryConfig["type"]>(config: Config, id: string, ...types: readonly T[]) {
  const directory = config.directories.get(id);
  assert.ok(directory !== undefined && types.some((type) => directory.type === type));
  return directory as Extract<DirectoryConfig, { type: T }>;
}

const sql = (config: Config) => directoryOf(config, "sq", "sql");
const ldap = (config: Config) => directoryOf(config, "la", "ldap");
const remote = (config: Config) => directoryOf(config, "re", "smtp", "lmtp", "imap");
const oidc = (config: Config) => directoryOf(config, "oi", "oidc");

const ASKED_DIRECTORIES: readonly Case[] = [
  ["directory.sq.cache.size", "7", (c) => sql(c).cache.size, 7],
  ["directory.la.cache.ttl.positive", '"7s"', (c) => ldap(c).cache.positive, 7000],
  ["directory.re.cache.ttl.negative", '"7s"', (c) => remote(c).cache.negative, 7000],
  ["directory.sq.store", '"q"', (c) => [sql(c).store, sql(c).queries.name], ["q", "SELECT 3"]],
  ...(["name", "class", "description", "secret", "email"] as const).map((column): Case => [
    `directory.sq.columns.${column}`,
    '"x"',
    (c) => sql(c).columns[column],
    "x",
  ]),
  ["directory.la.url", '"ldaps://other.example"', (c) => ldap(c).url, "ldaps://other.example"],
  ["directory.la.base-dn", '"dc=x"', (c) => ldap(c).baseDn, "dc=x"],
  ["directory.la.timeout", '"7s"', (c) => ldap(c).timeout, 7000],
  ["directory.oi.timeout", '"7s"', (c) => oidc(c).timeout, 7000],
  ["directory.la.tls.enable", "true", (c) => ldap(c).tls.enable, true],
  ["directory.la.tls.allow-invalid-certs", "true", (c) => ldap(c).tls.allowInvalidCerts, true],
  ["directory.re.tls.allow-invalid-certs", "true", (c) => remote(c).tls.allowInvalidCerts, true],
  ["directory.re.tls.implicit", "true", (c) => [remote(c).tls.implicit, remote(c).port], [true, 465]],
  ["directory.la.bind", '{ dn = "cn=a", secret = "s" }', (c) => ldap(c).bind, { dn: "cn=a", secret: "s" }],
  ["directory.la.bind.auth.method", '"Lookup"', (c) => ldap(c).auth, { method: "lookup" }],
  [
    "directory.la.bind.auth",
    '{ method = "template", template = "uid={local},o={domain}", search = false }',
    (c) => ldap(c).auth,
    { method: "template", template: "uid={local},o={domain}", search: false },
  ],
  ["directory.la.filter.name", '"(cn=?)"', (c) => ldap(c).filter.name, "(cn=?)"],
  ["directory.la.filter.email", '"(|(m=?)(n=?))"', (c) => ldap(c).filter.email, "(|(m=?)(n=?))"],
  ["directory.la.filter.domains", '"(dc=?)"', (c) => ldap(c).filter.domains, "(dc=?)"],
  ...(["name", "class", "description", "secret", "email", "groups"] as const).map((attribute): Case => [
    `directory.la.attributes.${attribute}`,
    '["x", "y"]',
    (c) => ldap(c).attributes[attribute],
    ["x", "y"],
  ]),
  ["directory.la.attributes.email-alias", '"x"', (c) => ldap(c).attributes.emailAlias, ["x"]],
  ["directory.re.address", '"192.0.2.1"', (c) => remote(c).address, "192.0.2.1"],
  ["directory.re.port", "2525", (c) => remote(c).port, 2525],
  ["directory.re.type", '"imap"', (c) => [remote(c).type, remote(c).port], ["imap", 143]],
  ["directory.re.limits.rcpt", "7", (c) => remote(c).limits.rcpt, 7],
  ["directory.re.limits.auth-errors", "7", (c) => remote(c).limits.authErrors, 7],
  ["directory.re.pool.max-connections", "7", (c) => remote(c).pool.maxConnections, 7],
  ["directory.la.pool.timeout.create", '"7s"', (c) => ldap(c).pool.create, 7000],
  ["directory.la.pool.timeout.wait", '"7s"', (c) => ldap(c).pool.wait, 7000],
  ["directory.re.pool.timeout.recycle", '"7s"', (c) => remote(c).pool.recycle, 7000],
  ["directory.oi.endpoint.url", '"http://127.0.0.1/x"', (c) => oidc(c).endpoint.url, "http://127.0.0.1/x"],
  ["directory.oi.endpoint.method", '"introspect"', (c) => oidc(c).endpoint.method, "introspect"],
  ["directory.oi.auth.method", '"user-token"', (c) => oidc(c).auth, { method: "user-token" }],
  [
    "directory.oi.auth",
    '{ method = "basic", username = "u", secret = "s" }',
    (c) => oidc(c).auth,
    { method: "basic", username: "u", secret: "s" },
  ],
  ["directory.oi.auth", '{ method = "token", token = "t" }', (c) => oidc(c).auth, { method: "token", token: "t" }],
  ["directory.oi.fields.email", '"x"', (c) => oidc(c).fields.email, "x"],
  ["directory.oi.fields.username", '"x"', (c) => oidc(c).fields.username, "x"],
  ["directory.oi.fields.full-name", '"x"', (c) => oidc(c).fields.fullName, "x"],
];

const limiter = (config: Config) => config.inboundLimiters[0];
const outbound = (config: Config) => config.queue.outboundLimiters[0];
const quota = (config: Config) => config.queue.quotas[0];
const httpList = (config: Config) => config.httpLookups.get("h");

/** The part of a list's configuration that is for CSV. */
function csv(config: Config) {
  const format = httpList(config)?.format;
  assert.equal(format?.type, "csv");
  return format;
}

const LIMITS: readonly Case[] = [
  ["queue.limiter.inbound.0.enable", "false", (c) => c.inboundLimiters.length, 0],
  ["queue.limiter.inbound.0.rate", '"7/2m"', (c) => limiter(c)?.rate, { count: 7, period: 120_000 }],
  ["queue.limiter.inbound.0.concurrency", "7", (c) => limiter(c)?.concurrency, 7],
  ["queue.limiter.inbound.0.key", '["Remote_IP", "sender"]', (c) => [limiter(c)?.key, limiter(c)?.stage], [
    ["remote_ip", "sender"],
    "message",
  ]],
  ["queue.limiter.inbound.0.match", "\"rcpt_domain == 'z'\"", (c) => {
    const match = limiter(c)?.match;
    return [match === undefined ? undefined : of(match, { rcpt_domain: "y" }), limiter(c)?.stage];
  }, [false, "recipient"]],
  ["queue.limiter.outbound.0.enable", "false", (c) => c.queue.outboundLimiters.length, 0],
  ["queue.limiter.outbound.0.rate", '"7/2m"', (c) => outbound(c)?.rate, { count: 7, period: 120_000 }],
  ["queue.limiter.outbound.0.concurrency", "7", (c) => outbound(c)?.concurrency, 7],
  ["queue.limiter.outbound.0.key", '["MX", "local_ip"]', (c) => outbound(c)?.key, ["mx", "local_ip"]],
  ["queue.limiter.outbound.0.match", "\"mx == 'z'\"", (c) => {
    const match = outbound(c)?.match;
    return match === undefined ? undefined : of(match, { mx: "y" });
  }, false],
  ["queue.quota.0.enable", "false", (c) => c.queue.quotas.length, 0],
  ["queue.quota.0.messages", "7", (c) => quota(c)?.messages, 7],
  ["queue.quota.0.size", "7000", (c) => quota(c)?.size, 7000],
  ["queue.quota.0.key", '["Sender", "rcpt_domain"]', (c) => quota(c)?.key, ["sender", "rcpt_domain"]],
  ["queue.quota.0.match", "\"source == 'z'\"", (c) => {
    const match = quota(c)?.match;
    return match === undefined ? undefined : of(match, { source: "y" });
  }, false],
  ...(["auth", "abuse", "loiter", "scan"] as const).flatMap((reason): Case[] => [
    [`server.auto-ban.${reason}.rate`, '"7/1h"', (c) => c.server.autoBan[reason], { count: 7, period: 3_600_000 }],
    [`server.auto-ban.${reason}.rate`, "false", (c) => c.server.autoBan[reason], undefined],
  ]),
  ["server.auto-ban.expire", '"2h"', (c) => c.server.autoBan.expire, 7_200_000],
  ["server.auto-ban.scan.paths", '["*.cfm*"]', (c) => c.server.autoBan.scanPaths, ["*.cfm*"]],
  ["http-lookup.h.enable", "false", (c) => httpList(c)?.enable, false],
  ["http-lookup.h.url", '"http://127.0.0.1/x"', (c) => httpList(c)?.url, "http://127.0.0.1/x"],
  ["http-lookup.h.format", '"list"', (c) => httpList(c)?.format, { type: "list" }],
  ["http-lookup.h.refresh", '"7s"', (c) => httpList(c)?.refresh, 7000],
  ["http-lookup.h.retry", '"7s"', (c) => httpList(c)?.retry, 7000],
  ["http-lookup.h.timeout", '"7s"', (c) => httpList(c)?.timeout, 7000],
  ["http-lookup.h.gzipped", "true", (c) => httpList(c)?.gzipped, true],
  ["http-lookup.h.separator", '";"', (c) => csv(c).separator, ";"],
  ["http-lookup.h.skip-first", "true", (c) => csv(c).skipFirst, true],
  ["http-lookup.h.index.key", "7", (c) => csv(c).keyColumn, 7],
  ["http-lookup.h.index.value", "7", (c) => csv(c).valueColumn, 7],
  ["http-lookup.h.limits.size", "7", (c) => httpList(c)?.limits.size, 7],
  ["http-lookup.h.limits.entries", "7", (c) => httpList(c)?.limits.entries, 7],
  ["http-lookup.h.limits.entry-size", "7", (c) => httpList(c)?.limits.entrySize, 7],
];

const tracer = (config: Config) => config.tracers[0];

const TELEMETRY: readonly Case[] = [
  ["tracer.t.level", '"WARN"', (c) => tracer(c)?.level, "warn"],
  ["tracer.t.enable", "false", (c) => tracer(c)?.enable, false],
  ["tracer.t.ansi", "true", (c) => tracer(c)?.ansi, true],
  ["tracer.t.multiline", "true", (c) => tracer(c)?.multiline, true],
  ["tracer.t.path", '"logs"', (c) => tracer(c)?.path, "/etc/godwit/logs"],
  ["tracer.t.prefix", '"x"', (c) => tracer(c)?.prefix, "x"],
  ["tracer.t.rotate", '"never"', (c) => tracer(c)?.rotate, "never"],
  ["tracer.t.lossy", "true", (c) => tracer(c)?.lossy, true],
  ["tracing.level", '{ auth.success = "debug" }', (c) => [...c.eventLevels], [["auth.success", "debug"]]],
  ["metrics.prometheus.enable", "true", (c) => c.http.prometheus.enable, true],
  ["metrics.prometheus.auth", '{ username = "u", secret = "s" }', (c) => c.http.prometheus.auth, {
    username: "u",
    secret: "s",
  }],
  ["metrics.disabled-events", '["smtp.*"]', (c) => c.disabledMetricEvents, ["smtp.*"]],
  ["http.auth.token", '"t"', (c) => c.http.authToken, "t"],
  ["authentication.fallback-admin", '{ user = "u", secret = "s" }', (c) => c.http.fallbackAdmin, {
    user: "u",
    secret: "s",
  }],
  ["http.url", "\"'https://x'\"", (c) => of(c.http.url), "https://x"],
  ["http.allowed-endpoint", "\"if_then(method == 'GET', 200, 404)\"", (c) => of(c.http.allowedEndpoint), 404],
  ["http.headers", '["A: b"]', (c) => c.http.headers, ["A: b"]],
  ["http.use-x-forwarded", "true", (c) => c.http.useXForwarded, true],
  ["http.hsts", "true", (c) => c.http.hsts, true],
  ["http.permissive-cors", "true", (c) => c.http.permissiveCors, true],
  ["http.rate-limit.anonymous", '"5/1s"', (c) => c.http.rateLimit.anonymous, { count: 5, period: 1000 }],
  ["http.rate-limit.account", '"6 / 2m"', (c) => c.http.rateLimit.account, { count: 6, period: 120_000 }],
];

/** Sections that the keys above need, as far as a case does not say otherwise. */
const SECTIONS: readonly string[] = [
  'server.listener.a.bind = "127.0.0.1:587"',
  'server.listener.a.protocol = "smtp"',
  'queue.route.l.type = "local"',
  'queue.route.m.type = "mx"',
  'queue.route.r.type = "relay"',
  'queue.route.r.address = "next.example"',
  'queue.schedule.s.queue-name = "local"',
  "queue.virtual.v.threads-per-node = 1",
  'queue.connection.c.source-ips = ["192.0.2.1"]',
  'queue.tls.t.starttls = "optional"',
  'store.l = { type = "libsql", url = "file:x.db" }',
  'store.q = { type = "sqlite", path = "x.db", query.name = "SELECT 3", query.recipients = "SELECT 4" }',
  'store.m = { type = "memory" }',
  'directory.d.type = "memory"',
  'directory.d.principals.0.name = "a"',
  'directory.d.principals.1 = { name = "g", class = "group" }',
  'directory.e.type = "memory"',
  'storage.directory = "oi"',
  'store.people = { type = "sqlite", path = "p.db", query.name = "SELECT 1", query.recipients = "SELECT 2" }',
  'directory.sq.type = "sql"',
  'directory.sq.store = "people"',
  'directory.sq.lookup.domains = "sql.example"',
  'directory.la.type = "ldap"',
  'directory.la.lookup.domains = "ldap.example"',
  'directory.la.url = "ldap://ldap.example"',
  'directory.la.base-dn = "dc=example"',
  'directory.la.filter.name = "(uid=?)"',
  'directory.la.filter.email = "(mail=?)"',
  'directory.re.type = "smtp"',
  'directory.re.lookup.domains = "smtp.example"',
  'directory.re.address = "smtp.example"',
  'directory.oi.type = "oidc"',
  'directory.oi.endpoint.url = "https://login.example/userinfo"',
  'directory.oi.endpoint.method = "userinfo"',
  "queue.limiter.inbound.0.enable = true",
  'queue.limiter.inbound.0.rate = "1/1s"',
  "queue.limiter.outbound.0.enable = true",
  'queue.limiter.outbound.0.rate = "1/1s"',
  "queue.quota.0.enable = true",
  "queue.quota.0.messages = 1",
  'session.milter.m.hostname = "127.0.0.1"',
  "session.milter.m.port = 8890",
  'session.hook.h.url = "https://hook.example/"',
  'http-lookup.h.url = "https://lists.example/h"',
  'http-lookup.h.format = "csv"',
  'tracer.t.type = "log"',
  'tracer.t.path = "log"',
];

function textFor(key: string, value: string): string {
  const section = key.replace(/^(store\.[a-z])\..*/, "$1");
  const others = SECTIONS.map((line) => {
    if (!line.startsWith("store.") || !line.startsWith(`${section} =`)) return line;
    // The store itself, with the key in it.
    const inside = line.slice(line.indexOf("{") + 1, line.lastIndexOf("}"));
    const own = key.slice(section.length + 1);
    const kept = inside.split(",").filter((part) => part.split("=")[0]?.trim() !== own);
    return `${section} = {${[...kept, ` ${own} = ${value} `].join(",")}}`;
  }).filter((line) => line.split(" = ")[0] !== key);
  const type = key === "resolver.custom" ? ['resolver.type = "custom"'] : [];
  return [...others, ...type, ...(section === key ? [`${key} = ${value}`] : [])].join("\n");
}

const milter = (config: Config) => config.milters[0];

const hook = (config: Config) => config.hooks[0];

const FILTERS: readonly Case[] = [
  ["session.hook.h.enable", "\"protocol == 'lmtp'\"", (c) => hook(c) && of(hook(c)!.enable), false],
  ["session.hook.h.url", '"http://other.example/"', (c) => hook(c)?.url, "http://other.example/"],
  ["session.hook.h.stages", '["connect"]', (c) => [...hook(c)?.stages ?? []], ["connect"]],
  ["session.hook.h.timeout", '"4s"', (c) => hook(c)?.timeout, 4000],
  ["session.hook.h.allow-invalid-certs", "true", (c) => hook(c)?.allowInvalidCerts, true],
  ["session.hook.h.headers", '["X-Key: a: b"]', (c) => hook(c)?.headers, [["X-Key", "a: b"]]],
  ["session.hook.h.auth", '{ username = "u", secret = "s" }', (c) => hook(c)?.auth, { username: "u", secret: "s" }],
  ["session.hook.h.options.tempfail-on-error", "false", (c) => hook(c)?.tempfailOnError, false],
  ["session.hook.h.options.max-response-size", "1000", (c) => hook(c)?.maxResponseSize, 1000],
  ["session.milter.m.enable", "\"protocol == 'lmtp'\"", (c) => milter(c) && of(milter(c)!.enable), false],
  ["session.milter.m.hostname", '"filter.example"', (c) => milter(c)?.hostname, "filter.example"],
  ["session.milter.m.port", "8891", (c) => milter(c)?.port, 8891],
  ["session.milter.m.stages", '["rcpt", "data"]', (c) => [...milter(c)?.stages ?? []], ["rcpt", "data"]],
  ["session.milter.m.tls", "true", (c) => milter(c)?.tls, true],
  ["session.milter.m.allow-invalid-certs", "true", (c) => milter(c)?.allowInvalidCerts, true],
  ["session.milter.m.timeout.connect", '"1s"', (c) => milter(c)?.timeout.connect, 1000],
  ["session.milter.m.timeout.command", '"2s"', (c) => milter(c)?.timeout.command, 2000],
  ["session.milter.m.timeout.data", '"3s"', (c) => milter(c)?.timeout.data, 3000],
  ["session.milter.m.options.tempfail-on-error", "false", (c) => milter(c)?.tempfailOnError, false],
  ["session.milter.m.options.max-response-size", "1000", (c) => milter(c)?.maxResponseSize, 1000],
  ["session.milter.m.options.version", "2", (c) => milter(c)?.version, 2],
  ["session.milter.m.options.flags.actions", "0x1ff", (c) => milter(c)?.flags, {
    actions: 0x1ff,
    protocol: 0x42,
    fixed: true,
  }],
  ["session.milter.m.options.flags.protocol", "0x1fffff", (c) => milter(c)?.flags, {
    actions: 0xff,
    protocol: 0x1fffff,
    fixed: true,
  }],
];

const CASES = [
  ...SERVER,
  ...SESSION,
  ...FILTERS,
  ...QUEUE,
  ...REPORT,
  ...RESOLVER,
  ...STORES,
  ...DIRECTORY,
  ...ASKED_DIRECTORIES,
  ...LIMITS,
  ...TELEMETRY,
];

/** Keys that are read and change nothing, with the warning that says so. */
const WITHOUT_EFFECT: readonly (readonly [key: RegExp, warning: RegExp])[] = [
  [/tls\.(?:disable-ciphers|ignore-client-order)$/, /: warning: line \d+: the runtime /],
  [/^resolver\.preserve-intermediates$|^cache\.dns\.rbl\.size$/, /: warning: line \d+: has no effect: /],
];

for (const [key, value, get, wanted] of CASES) {
  Deno.test(`${key} = ${value} reaches the configuration`, () => {
    const text = textFor(key, value);
    const problems = problemsOf(text);
    const warned = WITHOUT_EFFECT.find(([pattern]) => pattern.test(key));
    if (warned !== undefined) {
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? "", warned[1]);
    } else {
      assert.deepEqual(problems, []);
    }
    assert.deepEqual(get(configOf(text)), wanted);
    const without = configOf(SECTIONS.join("\n"));
    assert.notDeepEqual(get(without), wanted, "the value is no other than the default");
  });
}

/** Keys whose effect other tests show, or that have none. */
const ELSEWHERE = [
  // certificate_test.ts
  /^certificate\./,
  // acme_test.ts
  /^acme\./,
  // signature_test.ts
  /^signature\./,
  "auth.dkim.sign",
  "auth.arc.seal",
  "report.dsn.sign",
  "report.dkim.sign",
  "report.spf.sign",
  "report.dmarc.sign",
  // aggregate_reports_test.ts
  "report.dmarc.aggregate.sign",
  "report.tls.aggregate.sign",
  // sieve_test.ts
  /^sieve\./,
  "queue.route.<id>.sieve",
  /^session\.(?:connect|ehlo|mail|rcpt|data)\.script$/,
  /tls\.(?:certificate|implicit)$/,
  // Every test of a listener, route, store, directory, tracer has these.
  "server.hostname",
  "server.listener.<id>.bind",
  "server.listener.<id>.protocol",
  /\.<id>\.type$/,
  "storage.data",
  // Accepted without effect, see checks_test.ts.
  /\.override$/,
  /socket\.(?:reuse-addr|ttl|tos|linger|send-buffer-size|recv-buffer-size)$/,
  "session.data.spam-filter",
  "store.<id>.pool.workers",
  "store.<id>.format",
  /^directory\.<id>\.(?:columns\.quota|attributes\.(?:quota|secret-changed))$/,
  "directory.<id>.principals[].quota",
];

function* pathsOf(node: Node, path: readonly (string | number)[] = []): Generator<readonly (string | number)[]> {
  yield path;
  if (node.kind !== "table") return;
  for (const [key, entry] of node.entries) yield* pathsOf(entry, [...path, /^\d$/.test(key) ? Number(key) : key]);
}

Deno.test("every supported key has a case here or a reason not to", () => {
  const covered = new Set<string>();
  for (const [key, value] of CASES) {
    for (const path of pathsOf(readToml(`${key} = ${value}`).root)) {
      const pattern = patternOf(path)?.pattern;
      if (pattern !== undefined) covered.add(pattern);
    }
  }
  const schema: Readonly<Record<string, Key>> = SCHEMA;
  const missing = Object.entries(schema)
    .filter(([pattern, spec]) => spec.supported && !covered.has(pattern))
    .filter(([pattern]) => !ELSEWHERE.some((one) => typeof one === "string" ? one === pattern : one.test(pattern)));
  assert.deepEqual(missing.map(([pattern]) => pattern), []);
});
