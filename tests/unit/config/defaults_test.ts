/** The defaults of all keys. */

import assert from "node:assert/strict";
import { compileSetting, EMPTY_ENVIRONMENT, type SettingSource } from "../../../src/expression/mod.ts";
import { toNode } from "../../../src/config/defaults.ts";
import { SCHEMA } from "../../../src/config/schema/mod.ts";
import type { Key } from "../../../src/config/schema/spec.ts";
import { configOf, load, MINIMAL, printed, valueOf } from "./loading.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A session that nobody has authenticated on port 25, on 587, and an authenticated one there. */
const SESSIONS = {
  exchange: { listener: "smtp", protocol: "smtp", local_port: 25, is_tls: true, authenticated_as: "" },
  submission: { listener: "sub", protocol: "smtp", local_port: 587, is_tls: true, authenticated_as: "" },
  authenticated: { listener: "sub", protocol: "smtp", local_port: 587, is_tls: true, authenticated_as: "ana" },
  plain: { listener: "sub", protocol: "smtp", local_port: 587, is_tls: false, authenticated_as: "" },
  lmtp: { listener: "lmtp", protocol: "lmtp", local_port: 24, is_tls: true, authenticated_as: "" },
};

Deno.test("server and listener defaults", () => {
  const { server } = configOf(`[server.listener.a]\nbind = ["192.0.2.1", "2001:db8::1", "[::]"]\nprotocol = "smtp"`);
  assert.deepEqual(server, {
    hostname: "mx.example.net",
    maxConnections: 8192,
    threadPool: 4,
    blockedIp: [],
    allowedIp: [{ address: "127.0.0.1", prefix: 32 }, { address: "::1", prefix: 128 }],
    autoBan: {
      auth: { count: 100, period: DAY },
      abuse: { count: 35, period: DAY },
      loiter: { count: 150, period: DAY },
      scan: { count: 150, period: DAY },
      scanPaths: [
        ..."*.php* *.cgi* *.asp* */wp-* */php* */cgi-bin* *xmlrpc* *../* */..* *joomla* *wordpress* *drupal*".split(
          " ",
        ),
      ],
      expire: undefined,
    },
    listeners: [{
      id: "a",
      protocol: "smtp",
      bind: [{ ip: "192.0.2.1", port: 25 }, { ip: "2001:db8::1", port: 25 }, { ip: "::", port: 25 }],
      maxConnections: 8192,
      greeting: undefined,
      tls: {
        enable: true,
        implicit: false,
        timeout: MINUTE,
        disableProtocols: [],
        disableCiphers: [],
        ignoreClientOrder: true,
        certificate: undefined,
      },
      socket: { reuseAddr: true, reusePort: true, backlog: 1024, nodelay: true },
      proxyTrustedNetworks: [],
    }],
  });
});

Deno.test("the usual ports of the protocols", () => {
  for (const [protocol, port] of [["smtp", 25], ["lmtp", 24], ["http", 80]] as const) {
    const { server } = configOf(`[server.listener.a]\nbind = "192.0.2.1"\nprotocol = "${protocol}"`);
    assert.equal(server.listeners[0]?.bind[0]?.port, port);
  }
});

Deno.test("the host name and the node are named after the machine", () => {
  const text = MINIMAL.split("\n").slice(1).join("\n");
  const { config } = load(text, { hostname: "Machine.Example.ORG" });
  assert.equal(config?.server.hostname, "machine.example.org");
  assert.equal(config?.cluster.nodeId, "Machine.Example.ORG");
  assert.deepEqual(printed(load(text, { hostname: "" })).filter((line) => !line.includes("warning")), [
    "server.hostname: required: the machine has no host name that could serve as default",
    "cluster.node-id: required: the machine has no host name that could serve as default",
  ]);
});

Deno.test("session defaults that are the same for everybody", () => {
  const { session } = configOf("");
  const { exchange } = SESSIONS;
  for (
    const [setting, wanted] of [
      [session.timeout, 5 * MINUTE],
      [session.duration, 10 * MINUTE],
      [session.transferLimit, 262_144_000],
      [session.connect.hostname, "mx.example.net"],
      [session.connect.greeting, "ESMTP godwit"],
      [session.ehlo.require, true],
      [session.extensions.pipelining, true],
      [session.extensions.chunking, true],
      [session.extensions.requiretls, true],
      [session.extensions.noSoliciting, false],
      [session.extensions.vrfy, false],
      [session.extensions.expn, false],
      [session.auth.mustMatchSender, true],
      [session.auth.allowPlainText, false],
      [session.auth.errors.total, 3],
      [session.auth.errors.wait, 5 * SECOND],
      [session.mail.rewrite, false],
      [session.mail.isAllowed, true],
      [session.rcpt.subAddressing, true],
      [session.rcpt.catchAll, true],
      [session.rcpt.rewrite, false],
      [session.rcpt.maxRecipients, 100],
      [session.rcpt.errors.total, 5],
      [session.rcpt.errors.wait, 5 * SECOND],
      [session.data.bareNewline, "refuse"],
      [session.data.limits.messages, 10],
      [session.data.limits.size, 104_857_600],
      [session.data.limits.receivedHeaders, 50],
      [session.data.addHeaders.received, true],
      [session.data.addHeaders.returnPath, false],
    ] as const
  ) {
    assert.deepEqual(valueOf<unknown>(setting, exchange), wanted, setting.key);
  }
  assert.equal(session.data.addHeaders.deliveredTo, true);
});

Deno.test("session defaults that depend on who comes in where", () => {
  const { session } = configOf("");
  const table = [
    // setting, exchange, submission, authenticated, plain, lmtp
    [session.ehlo.rejectNonFqdn, true, false, false, false, false],
    [session.extensions.dsn, false, false, true, false, false],
    [session.extensions.futureRelease, false, false, 7 * DAY, false, false],
    [session.extensions.deliverBy, false, false, 15 * DAY, false, false],
    [session.extensions.mtPriority, false, false, "mixer", false, false],
    [session.auth.mechanisms, [], ["plain", "login"], ["plain", "login"], [], []],
    [session.auth.require, false, true, true, true, false],
    [session.rcpt.relay, false, false, true, false, false],
    [session.data.addHeaders.messageId, false, true, true, true, false],
    [session.data.addHeaders.date, false, true, true, true, false],
  ] as const;
  for (const [setting, ...wanted] of table) {
    const found = Object.values(SESSIONS).map((variables) => valueOf<unknown>(setting, variables));
    assert.deepEqual(found, wanted, setting.key);
  }
});

Deno.test("a listener named smtp counts as mail exchange on any port, port 25 under any name", () => {
  const { session } = configOf("");
  const variables = { ...SESSIONS.exchange, local_port: 2525 };
  assert.equal(valueOf(session.auth.require, variables), false);
  assert.equal(valueOf(session.auth.require, { ...SESSIONS.exchange, listener: "in" }), false);
  assert.equal(valueOf(session.auth.require, { ...variables, listener: "in" }), true);
});

Deno.test("the default directory is the only one, or that of storage.directory, or none", () => {
  const one = 'directory.d.type = "memory"\n';
  const two = `${one}directory.e.type = "memory"\n`;
  for (
    const [text, wanted] of [["", undefined], [one, "d"], [two, undefined], [`${two}storage.directory = "e"`, "e"]]
  ) {
    const { storage, session } = configOf(text ?? "");
    assert.equal(storage.directory, wanted);
    assert.equal(valueOf(session.rcpt.directory), wanted ?? false);
    assert.equal(valueOf(session.auth.directory), wanted ?? false);
  }
});

Deno.test("queue defaults: the built-in definitions", () => {
  const { queue } = configOf("");
  assert.deepEqual(
    Object.fromEntries([...queue.virtual.values()].map(({ id, threadsPerNode }) => [id, threadsPerNode])),
    { local: 25, remote: 100, dsn: 5, report: 5 },
  );
  const retry = [2, 5, 10, 15, 30, 60, 120].map((minutes) => minutes * MINUTE);
  const schedule = (id: string, expire: number, notify: readonly number[]) => ({
    id,
    queueName: id,
    retry,
    notify,
    expire,
    maxAttempts: undefined,
  });
  assert.deepEqual([...queue.schedule.values()], [
    schedule("local", 3 * DAY, [DAY]),
    schedule("remote", 5 * DAY, [DAY, 3 * DAY]),
    schedule("dsn", 5 * DAY, []),
    schedule("report", 2 * DAY, []),
  ]);
  assert.deepEqual([...queue.route.values()], [
    { id: "local", type: "local", path: "/etc/godwit/mail/{domain}/{local}/Maildir" },
    { id: "mx", type: "mx", limits: { mx: 5, multihomed: 2 }, ipLookup: "ipv4_then_ipv6" },
  ]);
  assert.deepEqual([...queue.connection.values()], [{
    id: "default",
    ehloHostname: "mx.example.net",
    sourceIps: [],
    pool: { maxIdle: 10_000, maxMessages: 200, maxConnections: 1000 },
    timeout: {
      connect: MINUTE,
      greeting: 3 * MINUTE,
      ehlo: 3 * MINUTE,
      mailFrom: 3 * MINUTE,
      rcptTo: 3 * MINUTE,
      data: 10 * MINUTE,
    },
  }]);
  const tls = (id: string, allowInvalidCerts: boolean) => ({
    id,
    dane: "optional",
    mtaSts: "optional",
    starttls: "optional",
    allowInvalidCerts,
    timeout: { tls: 3 * MINUTE, mtaSts: 3 * MINUTE },
  });
  assert.deepEqual([...queue.tls.values()], [tls("default", false), tls("invalid-tls", true)]);
  assert.deepEqual([...queue.sourceIp], []);
});

Deno.test("a definition of the file takes the place of the built-in one with its id, as a whole", () => {
  const { queue } = configOf(`queue.schedule.remote = { queue-name = "local" }
queue.virtual.remote.threads-per-node = 1
queue.tls.invalid-tls.starttls = "require"
queue.route.mx = { type = "relay", address = "hub.example" }
`);
  assert.equal(queue.schedule.get("remote")?.queueName, "local");
  assert.equal(queue.schedule.get("remote")?.expire, 5 * DAY);
  assert.deepEqual(queue.schedule.get("remote")?.notify, []);
  assert.equal(queue.virtual.get("remote")?.threadsPerNode, 1);
  assert.equal(queue.tls.get("invalid-tls")?.allowInvalidCerts, false);
  assert.equal(queue.route.get("mx")?.type, "relay");
});

Deno.test("relays: the port follows the protocol, TLS from the first byte follows the port", () => {
  for (
    const [text, port, implicit] of [
      ["", 25, false],
      ['protocol = "lmtp"', 24, false],
      ["port = 587", 587, false],
      ["port = 465", 465, true],
      ['protocol = "LMTP"\nport = 8024', 8024, true],
      ["port = 465\ntls.implicit = false", 465, false],
    ] as const
  ) {
    const route = configOf(`[queue.route.r]\ntype = "relay"\naddress = "h"\n${text}`).queue.route.get("r");
    assert.deepEqual(route, {
      id: "r",
      type: "relay",
      address: "h",
      port,
      protocol: text.includes("protocol") ? "lmtp" : "smtp",
      tls: { implicit, allowInvalidCerts: false },
      auth: undefined,
      ipLookup: "ipv4_then_ipv6",
    });
  }
});

Deno.test("strategy defaults choose by recipient, source and the last failure", async () => {
  const { strategy } = configOf("").queue;
  const local = {
    isLocalDomain: (directory: string, domain: string) => directory !== "x" && domain === "here.example",
  };
  const here = { rcpt_domain: "here.example", source: "dsn" };
  const there = { rcpt_domain: "there.example", source: "unauthenticated" };
  assert.equal(await valueOf(strategy.route, here, local), "local");
  assert.equal(await valueOf(strategy.route, there, local), "mx");
  assert.equal(await valueOf(strategy.schedule, here, local), "local");
  assert.equal(await valueOf(strategy.schedule, there, local), "remote");
  assert.equal(await valueOf(strategy.schedule, { ...there, source: "dsn" }, local), "dsn");
  assert.equal(await valueOf(strategy.schedule, { ...there, source: "report" }, local), "report");
  assert.equal(valueOf(strategy.connection), "default");
  assert.equal(valueOf(strategy.tls, { retry_num: 0, last_error: "tls" }), "default");
  assert.equal(valueOf(strategy.tls, { retry_num: 1, last_error: "tls" }), "invalid-tls");
  assert.equal(valueOf(strategy.tls, { retry_num: 1, last_error: "dns" }), "default");
});

Deno.test("report defaults", () => {
  const { report } = configOf("");
  assert.equal(report.domain, "example.net");
  assert.equal(valueOf(report.submitter), "mx.example.net");
  assert.equal(valueOf(report.dsn.fromName), "Mail Delivery Subsystem");
  assert.equal(valueOf(report.dsn.fromAddress), "MAILER-DAEMON@example.net");
  assert.deepEqual(report.analysis, { addresses: [], forward: true, store: 30 * DAY });
  const short = MINIMAL.replace("mx.example.net", "example.net");
  assert.equal(load(short).config?.report.domain, "example.net");
});

Deno.test("resolver and cache defaults", () => {
  assert.deepEqual(configOf("").resolver, {
    servers: [],
    preserveIntermediates: true,
    concurrency: 2,
    timeout: 5 * SECOND,
    attempts: 2,
    tryTcpOnError: true,
    edns: true,
    dnssec: "trust",
    trustAnchors: [],
    cacheSizes: {
      txt: 5242880,
      mx: 5242880,
      ipv4: 5242880,
      ipv6: 5242880,
      rbl: 5242880,
      ptr: 1048576,
      tlsa: 1048576,
      "mta-sts": 1048576,
    },
  });
});

Deno.test("store, cluster, tracer and HTTP defaults", () => {
  const config = configOf("");
  assert.deepEqual(config.stores.get("data"), {
    id: "data",
    type: "libsql",
    url: "file:/etc/godwit/data.db",
    authToken: undefined,
    timeout: 15 * SECOND,
    allowInvalidCerts: false,
    maxConnections: 10,
    queries: {},
    purgeFrequency: { minute: 0, hour: 3, weekday: undefined },
  });
  assert.deepEqual(config.storage, { data: "data", lookup: "data", directory: undefined });
  assert.deepEqual(config.cluster, { nodeId: "machine.example.org", lease: 2 * MINUTE });
  assert.deepEqual(config.tracers, [{
    id: "console",
    type: "console",
    level: "info",
    enable: true,
    ansi: false,
    multiline: false,
    path: "",
    prefix: "godwit",
    rotate: "daily",
    lossy: false,
  }]);
  const { url, allowedEndpoint, ...http } = config.http;
  assert.equal(valueOf(url, { protocol: "https", local_port: 443 }), "https://mx.example.net:443");
  assert.equal(valueOf(allowedEndpoint), 200);
  assert.deepEqual(http, {
    authToken: undefined,
    fallbackAdmin: undefined,
    headers: [],
    useXForwarded: false,
    hsts: false,
    permissiveCors: false,
    rateLimit: { anonymous: { count: 100, period: MINUTE }, account: { count: 1000, period: MINUTE } },
    prometheus: { enable: false, auth: undefined },
  });
});

Deno.test("account defaults", () => {
  const { directories } = configOf('directory.d = { type = "memory", principals = { name = "ana" } }');
  assert.deepEqual(directories.get("d"), {
    id: "d",
    type: "memory",
    domains: [],
    principals: [{
      name: "ana",
      class: "individual",
      description: undefined,
      secret: [],
      email: [],
      emailList: [],
      memberOf: [],
    }],
  });
});

Deno.test("every default of the schema, of keys not supported yet too, is a value its type takes", () => {
  const schema: Readonly<Record<string, Key>> = SCHEMA;
  for (const [pattern, spec] of Object.entries(schema)) {
    if (spec.fallback.kind !== "constant") continue;
    if (spec.form === "value") {
      const value = spec.type.read(
        toNode(spec.fallback.value, 1),
        (_, message) => assert.fail(`${pattern}: ${message}`),
      );
      assert.notEqual(value, undefined, pattern);
    } else {
      const ids = ["local", "mx", "remote", "dsn", "report", "default", "invalid-tls"];
      const { setting } = compileSetting<unknown>({
        key: pattern,
        context: spec.context,
        type: spec.shape.type(() => ids),
        source: undefined,
        default: spec.fallback.value as SettingSource,
        environment: { ...EMPTY_ENVIRONMENT, configGet: () => "x" },
      });
      assert.ok(setting, pattern);
    }
  }
});
