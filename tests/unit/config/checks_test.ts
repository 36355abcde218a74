/** What is checked over several keys, and the messages: key, line, what is wrong. */

import assert from "node:assert/strict";
import { configOf, load, MINIMAL, printed, problemsOf } from "./loading.ts";

/** A text with the problems that loading it reports. */
const CASES: readonly (readonly [name: string, text: string, problems: readonly (string | RegExp)[]])[] = [
  ["a misspelt key", "session.rcpt.relaay = true", [
    "session.rcpt.relaay: line 1: unknown key 'relaay'; did you mean 'session.rcpt.relay'?",
  ]],
  ["a misspelt section with one key", "[sesion.rcpt]\nrelay = true", [
    "sesion.rcpt.relay: line 1: unknown key 'sesion'; did you mean 'session.rcpt.relay'?",
  ]],
  ["a misspelt section with several keys", "\n[sesion.rcpt]\nrelay = true\nrewrite = false", [
    "sesion: line 2: unknown key 'sesion'; did you mean 'session'?",
  ]],
  ["a key in the section before the one it belongs to", "[http]\nhsts = true\nserver.max-connections = 5", [
    "http.server.max-connections: line 3: unknown key 'server'; did you mean 'server.max-connections'?",
  ]],
  ["a key of another section", "[session.rcpt]\nmust-match-sender = true", [
    "session.rcpt.must-match-sender: line 2: unknown key 'must-match-sender'; did you mean 'session.auth.must-match-sender'?",
  ]],
  ["a key like no other", "[session.ehlo]\nxyzzy = 1", [
    "session.ehlo.xyzzy: line 2: unknown key 'xyzzy'; known in session.ehlo: require, reject-non-fqdn, script",
  ]],
  ["a misspelt key inside a named section", '[queue.route.r]\ntype = "mx"\nlimit.mx = 3', [
    "queue.route.r.limit.mx: line 3: unknown key 'limit'; did you mean 'queue.route.r.limits.mx'?",
  ]],
  ["a misspelt key of a list of tables", '[directory.d]\ntype = "memory"\nprincipals = [{ nam = "x", name = "a" }]', [
    "directory.d.principals[0].nam: line 3: unknown key 'nam'; did you mean 'directory.d.principals[0].name'?",
  ]],
  ["an id that TOML takes apart", "[queue.source-ip]\n192.0.2.1.ehlo-hostname = 'x'", [
    /^queue\.source-ip\.192\.0\.2\.1\.ehlo-hostname: line 2: unknown key '0'/,
    /^queue\.source-ip\.192: line 2: expected an IPv4 or IPv6 address as the name, found '192'; quote it/,
  ]],
  ["a value where a section belongs", "session.rcpt = 5", [
    "session.rcpt: line 1: expected a table of settings, found 5",
  ]],
  ["a section where a value belongs", "session.rcpt.relay.x = 5", [
    /^session\.rcpt\.relay: line 1: expected an expression/,
  ]],
  ["a value where a list of tables belongs", 'directory.d = { type = "memory", principals = "x" }', [
    'directory.d.principals: line 1: expected a list of tables, found "x"',
  ]],
  ["a list item that is no table", 'directory.d = { type = "memory", principals = ["x"] }', [
    'directory.d.principals[0]: line 1: expected a table of settings, found "x"',
    "directory.d.principals[0].name: line 1: required: expected text in quotes, not empty, found nothing",
  ]],
  ["an unknown variable", "\n[session.rcpt]\nrelay = \"rcpt_domian == 'x'\"", [
    /^session\.rcpt\.relay: line 3: unknown .*'rcpt_domian'.*'rcpt_domain'/,
  ]],
  ["a variable of another context", '[session.connect]\ngreeting = "sender"', [
    /^session\.connect\.greeting: line 2: .*'sender'/,
  ]],
  [
    "an expression in an item on a line of its own",
    '[session.rcpt]\nrelay = [\n  { if = "is_tls", then = true },\n  { if = "foo()", then = true },\n  { else = false },\n]',
    [
      /^session\.rcpt\.relay: line 4: unknown function 'foo'.*item 2, "if"/,
    ],
  ],
  ["an else that is not last", "[session.rcpt]\nrelay = [{ else = true },\n { if = 'is_tls', then = true }]", [
    /^session\.rcpt\.relay: line 2: .*'else' must be the last item/,
  ]],
  ["a list of which an item has other keys", "session.rcpt.relay = [{ when = 'is_tls', then = true }]", [
    /^session\.rcpt\.relay: line 1: expected \{ if = …, then = … \}/,
  ]],
  ["an expression over several lines", "[session.rcpt]\nrelay = '''\nis_tls &&\nfoo'''", [
    /^session\.rcpt\.relay: line [34]: unknown name 'foo'/,
  ]],
  ["a constant of the wrong type", "[session.rcpt]\nmax-recipients = \"'many'\"", [
    /^session\.rcpt\.max-recipients: line 2: expected an integer/,
  ]],
  ["a wrong value of a plain key", "[resolver]\ntimeout = '5 s'\nconcurrency = 0", [
    'resolver.timeout: line 2: expected a duration such as 30s (one integer and one of ms, s, m, h, d), longer than 0, found "5 s"',
    "resolver.concurrency: line 3: expected an integer from 1 to 100, found 0",
  ]],
  ["an item of a list", '[server]\nblocked-ip = [\n "192.0.2.1",\n "nonsense",\n]'.replace("[server]\n", "server."), [
    'server.blocked-ip: line 3: expected an IPv4 or IPv6 address, or address/prefix, found "nonsense"',
  ]],
  ["a listener without bind and protocol", "[server.listener.a]\ngreeting = 'x'", [
    /^server\.listener\.a\.protocol: line 1: required: expected one of smtp, lmtp, http/,
    /^server\.listener\.a\.bind: line 1: required: expected a list, each item an address/,
  ]],
  [
    "two listeners on one address",
    `[server.listener.a]
bind = ["192.0.2.1", "192.0.2.2:26"]
protocol = "smtp"
[server.listener.b]
bind = "192.0.2.1:25"
protocol = "http"
[server.listener.c]
bind = ["[2001:db8::1]:26", "[2001:DB8:0::1]:26"]
protocol = "smtp"`,
    [
      "server.listener.b.bind: line 5: 192.0.2.1:25 is taken by listener 'a' already",
      "server.listener.c.bind: line 8: [2001:db8::1]:26 is listed twice",
    ],
  ],
  [
    "two listeners on any free port",
    `server.listener.a = { bind = "127.0.0.1:0", protocol = "smtp" }
server.listener.b = { bind = "127.0.0.1:0", protocol = "smtp" }`,
    [],
  ],
  [
    "TLS from the first byte without a certificate",
    `[server.listener.a]
bind = "192.0.2.1:465"
protocol = "smtp"
tls.implicit = true`,
    [
      /^server\.listener\.a\.tls\.implicit: line 4: listener 'a' speaks TLS from the first byte, which needs a certificate/,
    ],
  ],
  [
    "TLS from the first byte where TLS is off",
    `[server.listener.a]
bind = "192.0.2.1:465"
protocol = "smtp"
tls.enable = false
tls.implicit = true`,
    [
      /^server\.listener\.a\.tls\.implicit: line 5: listener 'a' cannot speak TLS from the first byte while its tls\.enable is false/,
    ],
  ],
  [
    "the same inherited from server.tls",
    `server.tls.implicit = true
server.listener.a = { bind = "192.0.2.1:465", protocol = "smtp" }
server.listener.b = { bind = "192.0.2.1:25", protocol = "smtp", tls.implicit = false }
server.listener.c = { bind = "192.0.2.1:26", protocol = "smtp", tls.enable = false }`,
    [
      /^server\.listener\.a\.tls\.implicit: line 2: /,
    ],
  ],
  [
    "a certificate that is not defined",
    `server.tls.certificate = "main"
server.listener.a = { bind = "192.0.2.1", protocol = "smtp" }`,
    [
      'server.tls.certificate: line 1: there is no certificate with the id "main"',
    ],
  ],
  [
    "every TLS version switched off",
    `server.tls.disable-protocols = ["TLSv1.2", "TLSv1.3"]
server.listener.a = { bind = "192.0.2.1", protocol = "smtp" }`,
    [
      /^server\.listener\.a\.tls\.disable-protocols: line 2: no version of TLS is left/,
    ],
  ],
  [
    "every TLS suite of the versions that are left switched off",
    `server.listener.a = { bind = "192.0.2.1", protocol = "smtp" }
server.tls.disable-protocols = "TLSv1.2"
server.tls.disable-ciphers = ["TLS13_AES_256_GCM_SHA384", "TLS13_AES_128_GCM_SHA256", "TLS13_CHACHA20_POLY1305_SHA256"]`,
    [
      /^server\.listener\.a\.tls\.disable-ciphers: line 1: no cipher suite of TLS is left/,
      /^server\.tls\.disable-ciphers: warning/,
    ],
  ],
  [
    "a listener without an address",
    `server.listener.a = { bind = [], protocol = "smtp" }`,
    [
      /^server\.listener\.a\.bind: line 1: no address is listed/,
    ],
  ],
  [
    "forwarding headers together with PROXY protocol",
    `http.use-x-forwarded = true
server.listener.a = { bind = "192.0.2.1", protocol = "http", proxy.trusted-networks = "10.0.0.0/8" }`,
    [
      /^http\.use-x-forwarded: line 1: cannot be used together with the PROXY protocol, which listener 'a' expects/,
      /^server\.listener\.a\.proxy\.trusted-networks: line 2: is not supported yet on HTTP listeners/,
    ],
  ],
  [
    "socket options that the runtime cannot set",
    `server.socket = { ttl = 5, tos = 1, linger = "5s", reuse-addr = false }
server.listener.a = { bind = "192.0.2.1", protocol = "smtp", socket = { send-buffer-size = 1, recv-buffer-size = 1 } }`,
    [
      "server.socket.ttl: warning: line 1: the runtime cannot set this option of a socket",
      "server.socket.tos: warning: line 1: the runtime cannot set this option of a socket",
      "server.listener.a.socket.send-buffer-size: warning: line 2: the runtime cannot set this option of a socket",
      "server.listener.a.socket.recv-buffer-size: warning: line 2: the runtime cannot set this option of a socket",
      "server.socket.linger: warning: line 1: the runtime cannot set this option of a socket",
      "server.socket.reuse-addr: warning: line 1: the runtime cannot set this option of a socket",
    ],
  ],
  [
    "keys that are accepted without effect",
    `server.listener.a = { bind = "192.0.2.1", protocol = "smtp", tls.override = true, socket.override = true, proxy.override = false, socket.reuse-addr = true }
store.x = { type = "libsql", url = "file:x.db", pool.workers = 0 }
store.m = { type = "memory", format = "LIST" }
directory.d = { type = "memory", cache.size = 0, cache.ttl.positive = "1h", cache.ttl.negative = "1m", principals = [{ name = "a", quota = 5 }] }`,
    [],
  ],
  [
    "workers for a database",
    `store.x = { type = "sqlite", path = "x.db", pool.workers = 4 }`,
    [/^store\.x\.pool\.workers: warning: line 1: has no effect: a database file is used by one thread/],
  ],
  ["such a key with a wrong value", `store.x = { type = "libsql", url = "file:x.db", pool.workers = "many" }`, [
    'store.x.pool.workers: line 1: expected an integer from 0 to 1024, found "many"',
  ]],
  [
    "a key of another kind of section",
    `queue.route.m = { type = "mx", address = "h" }
queue.route.l = { type = "local", limits.mx = 3 }
store.m = { type = "memory", url = "file:x" }
store.q = { type = "sqlite", path = "x", auth-token = "t" }
directory.d = { type = "imap", address = "h", base-dn = "x", principals = [{ name = "a" }] }
tracer.t = { type = "console", path = "x" }
resolver.custom = "192.0.2.53"
http-lookup.h = { url = "http://h/", format = "list", separator = ";" }`,
    [
      /^queue\.route\.m\.address: warning: line 1: has no effect here: it is for the type relay, not "mx"/,
      /^queue\.route\.l\.limits\.mx: warning: line 2: .*the type mx, not "local"/,
      /^store\.m\.url: warning: line 3: .*the type libsql, not "memory"/,
      /^store\.q\.auth-token: warning: line 4: .*the type libsql, not "sqlite"/,
      /^directory\.d\.base-dn: warning: line 5: .*the type ldap, not "imap"/,
      /^directory\.d\.principals\[0\]\.name: warning: line 5: .*the type memory, not "imap"/,
      /^tracer\.t\.path: warning: line 6: .*the type log, not "console"/,
      /^resolver\.custom: warning: line 7: .*the type custom, not system/,
      /^http-lookup\.h\.separator: warning: line 8: .*the format csv, not "list"/,
    ],
  ],
  ["a schedule for a queue that is not defined", '[queue.schedule.s]\nqueue-name = "remot"', [
    "queue.schedule.s.queue-name: line 2: there is no virtual queue \"remot\"; did you mean 'remote'?",
  ]],
  [
    "a schedule that gives up in two ways",
    '[queue.schedule.s]\nqueue-name = "remote"\nexpire = "1d"\nmax-attempts = 3',
    [
      /^queue\.schedule\.s\.max-attempts: line 4: cannot be set together with expire/,
    ],
  ],
  ["a schedule without pauses", '[queue.schedule.s]\nqueue-name = "remote"\nretry = []', [
    "queue.schedule.s.retry: line 3: expected at least one duration, found an empty list",
  ]],
  ["a pause that is none", '[queue.schedule.s]\nqueue-name = "remote"\nretry = "soon"', [
    /^queue\.schedule\.s\.retry: line 3: expected a duration .*longer than 0, found "soon"$/,
  ]],
  [
    "times that leave none",
    `queue.schedule.s = { queue-name = "remote", retry = ["1m", "0s"] }
queue.connection.c.timeout = { connect = "0s", data = "0m" }
queue.tls.t.timeout.tls = 0
resolver.timeout = "0s"`,
    [
      /^queue\.schedule\.s\.retry: line 1: .*longer than 0, found "0s"/,
      /^queue\.connection\.c\.timeout\.connect: line 2: .*longer than 0/,
      /^queue\.connection\.c\.timeout\.data: line 2: .*longer than 0/,
      /^queue\.tls\.t\.timeout\.tls: line 3: .*longer than 0, found 0/,
      /^resolver\.timeout: line 4: .*longer than 0/,
    ],
  ],
  [
    "next hops that are neither names nor addresses",
    ["http://h/", "a b", "h:25", "192.0.2.300", "[192.0.2.1]"]
      .map((text, i) => `queue.route.r${i} = { type = "relay", address = "${text}" }`).join("\n"),
    ["http://h/", "a b", "h:25", "192.0.2.300", "[192.0.2.1]"]
      .map((text, i) =>
        `queue.route.r${i}.address: line ${i + 1}: expected a host name or an address, found "${text}"`
      ),
  ],
  [
    "places in a path that nothing fills in",
    `queue.route.l = { type = "local", path = "{domain}/{user}", sieve = "{local}/{}.sieve" }`,
    [
      "queue.route.l.path: line 1: {user} is nothing that is filled in; known are {domain}, {local}, {account}",
      "queue.route.l.sieve: line 1: {} is nothing that is filled in; known are {domain}, {local}, {account}",
    ],
  ],
  [
    "a limiter by source addresses that nobody has configured",
    'queue.limiter.outbound = [{ enable = true, rate = "5/1m", key = ["local_ip"] }]',
    [/^queue\.limiter\.outbound\[0\]\.key: warning: line 1: local_ip is empty .* source-ips/],
  ],
  [
    "a limiter by source addresses that there are",
    `queue.limiter.outbound = [{ enable = true, rate = "5/1m", key = ["local_ip"] }]
queue.connection.default.source-ips = "192.0.2.1"`,
    [],
  ],
  ["a notice after the end", '[queue.schedule.s]\nqueue-name = "remote"\nexpire = "1d"\nnotify = ["2d"]', [
    /^queue\.schedule\.s\.notify: warning: line 4: .*never sent/,
  ]],
  ["a queue with a long name", `queue.virtual."${"é".repeat(33)}".threads-per-node = 1`, [
    /^queue\.virtual\."é+": line 1: the name of a queue has at most 64 bytes/,
  ]],
  ["a queue with a name of 64 bytes", `queue.virtual.${"x".repeat(64)}.threads-per-node = 1`, []],
  ["a queue without threads", "[queue.virtual.v]", [/^queue\.virtual\.v\.threads-per-node: line 1: required/]],
  [
    "strategies that name what is not defined",
    `[queue.strategy]
route = "'nowhere'"
schedule = [{ if = "priority > 3", then = "'urgent'" },
            { else = "'remot'" }]
connection = "defualt"
tls = "'strict'"`,
    [
      /^queue\.strategy\.route: line 2: there is no route 'nowhere'/,
      /^queue\.strategy\.schedule: line 3: there is no schedule 'urgent'/,
      /^queue\.strategy\.schedule: line 4: there is no schedule 'remot'.*'remote'/,
      /^queue\.strategy\.connection: line 5: .*'defualt'/,
      /^queue\.strategy\.tls: line 6: there is no tls policy 'strict'/,
    ],
  ],
  ["a relay without address", '[queue.route.r]\ntype = "relay"', [/^queue\.route\.r\.address: line 1: required/]],
  [
    "half a login",
    `queue.route.r = { type = "relay", address = "h", auth.username = "u" }
authentication.fallback-admin.secret = "s"
metrics.prometheus.auth.username = "u"`,
    [
      "authentication.fallback-admin.user: required together with authentication.fallback-admin.secret",
      "metrics.prometheus.auth.secret: required together with metrics.prometheus.auth.username",
      "queue.route.r.auth.secret: line 1: required together with auth.username",
    ],
  ],
  [
    "keys of the resolver that nothing depends on",
    "resolver.preserve-intermediates = false\ncache.dns.rbl.size = 0",
    [
      /^resolver\.preserve-intermediates: warning: line 1: has no effect: .*CNAME/,
      /^cache\.dns\.rbl\.size: warning: line 2: has no effect: .*cache\.dns\.ipv4/,
    ],
  ],
  ["a custom resolver without servers", 'resolver.type = "custom"', [/^resolver\.custom: required for resolver\.type/]],
  [
    "a directory, store or list that expressions name",
    `[session.rcpt]
relay = "is_local_domain('staf', sender_domain)"
rewrite = "key_get('aliases', rcpt)"
directory = "'nowhere'"
[directory.staff]
type = "memory"
[lookup.alias]
a = 1`,
    [
      /^session\.rcpt\.relay: line 2: .*there is no directory 'staf'.*'staff'/,
      /^session\.rcpt\.rewrite: line 3: .*there is no list or store 'aliases'.*'alias'/,
      /^session\.rcpt\.directory: line 4: there is no directory 'nowhere'/,
    ],
  ],
  [
    "writing to a fixed list",
    `session.mail.is-allowed = "key_set('m', sender, 1)"
store.m = { type = "memory" }`,
    [/^session\.mail\.is-allowed: line 1: .*'m' is a fixed list/],
  ],
  ["a setting that config_get does not know", "session.connect.hostname = \"config_get('server.hostnam')\"", [
    /^session\.connect\.hostname: line 1: .*server\.hostnam/,
  ]],
  ["storage that names what is not there", 'storage.lookup = "dat"\nstorage.directory = "staff"', [
    "storage.lookup: line 1: there is no store with the id \"dat\"; did you mean 'data'?",
    'storage.directory: line 2: there is no directory with the id "staff"; define it as directory.<id>',
  ]],
  [
    "storage in a list, or in a store that is switched off",
    `store.m = { type = "memory" }
store.off = { type = "libsql", url = "file:x", disable = true }
storage.lookup = "m"`,
    [
      'storage.lookup: line 3: expected a libsql or sqlite store, found "m", which is a fixed list',
    ],
  ],
  [
    "a store that is switched off",
    `store.off = { type = "libsql", url = "file:x", disable = true }
storage.lookup = "off"
session.mail.is-allowed = "key_exists('off', sender)"`,
    [
      "storage.lookup: line 2: store \"off\" is switched off by its 'disable' key",
      /^session\.mail\.is-allowed: line 3: .*there is no list or store 'off'/,
    ],
  ],
  [
    "a database URL of another kind",
    `store.a = { type = "libsql", url = "postgres://h/db" }
store.b = { type = "libsql", url = "file:" }
store.c = { type = "libsql" }
store.d = { type = "sqlite" }
store.e = { url = "file:x" }`,
    [
      /^store\.a\.url: line 1: expected a URL that begins with file:, http:, .* found "postgres:\/\/h\/db"/,
      'store.b.url: line 2: expected the path of a file after file:, found "file:"',
      /^store\.c\.url: line 3: required: expected a URL/,
      /^store\.d\.path: line 4: required/,
      "store.e.type: line 5: required: expected one of libsql, sqlite or memory, found nothing",
    ],
  ],
  [
    "two accounts of one name, and passwords in plain text",
    `[directory.d]
type = "memory"
[[directory.d.principals]]
name = "ana"
secret = ["$argon2id$v=19$x", "letmein"]
[[directory.d.principals]]
name = "ana"
email = ["ana", "b@"]
secret = ["$2b$12$x", "$6$x", "$5$x", "$1$x", "$sha1$x", "$pbkdf2-sha256$x", "$scrypt$x", "_abc", "{SSHA}x", "{SHA512}x", "{MD5}x", "{CRYPT}x", "{PLAIN}x", "{CLEAR}x"]`,
    [
      /^directory\.d\.principals\[0\]\.secret: warning: line 5: a password stands here in plain text/,
      'directory.d.principals[1].name: line 7: another principal has the name "ana" already',
      /^directory\.d\.principals\[1\]\.email: line 8: expected an address .*found "ana"/,
      /^directory\.d\.principals\[1\]\.email: line 8: expected an address .*found "b@"/,
    ],
  ],
  ["a lease too short to renew", 'cluster.lease = "5ms"', [
    'cluster.lease: line 1: expected a duration of 1s or more, found "5ms"',
  ]],
  [
    "events of areas that there are not",
    `tracing.level = { smpt.connect = "debug", "auth.*" = "warn", auth.x = "loud" }`,
    [
      'tracing.level: line 1: entry "auth.x": expected one of error, warn, info, debug, trace or disable, found "loud"',
    ],
  ],
  [
    "events that match nothing",
    `tracing.level.smpt.connect = "debug"
metrics.disabled-events = ["auth.*", "*", "nosuch.event"]`,
    [
      'tracing.level: warning: line 1: there is no event of this name: "smpt.connect"',
      'metrics.disabled-events: warning: line 2: there is no event of this name: "nosuch.event"',
    ],
  ],
  ["the exporters of a tracer as a table", `tracer.t = { type = "console", enable = { span-exporter = true } }`, [
    /^tracer\.t\.enable\.span-exporter: warning: line 1: has no effect here/,
  ]],
];

for (const [name, text, wanted] of CASES) {
  Deno.test(`check: ${name}`, () => {
    const problems = [...problemsOf(text)];
    for (const one of wanted) {
      const index = problems.findIndex((line) => typeof one === "string" ? line === one : one.test(line));
      assert.notEqual(index, -1, `missing: ${one}\n${problems.join("\n")}`);
      problems.splice(index, 1);
    }
    assert.deepEqual(problems, []);
  });
}

Deno.test("the data store is required", () => {
  const lines = printed(load('server.hostname = "mx.example.net"'));
  assert.ok(lines.includes("storage.data: required: expected the id of a store, found nothing"));
});

Deno.test("without a listener there is a warning, and a configuration all the same", () => {
  const result = load(MINIMAL);
  assert.deepEqual(printed(result), ["server.listener: warning: no listener is defined, so no mail will be accepted"]);
  assert.ok(result.config);
});

Deno.test("a known list of events is what names of events are checked against", () => {
  const text = 'tracing.level = { auth.failed = "debug", auth.nosuch = "debug", "a*.f*d" = "debug", "*x" = "debug" }';
  assert.deepEqual(problemsOf(text, { events: ["auth.failed", "smtp.connect"] }), [
    'tracing.level: warning: line 1: there is no event of this name: "auth.nosuch"',
    'tracing.level: warning: line 1: there is no event of this name: "*x"',
  ]);
});

Deno.test("everything that is wrong is reported at once, in the order of the file", () => {
  const { config, problems } = load(`a = foo
[server]
hostname = "-"
hostnam = "x"
[session.rcpt]
relay = "nosuch"
relay = true
[queue.strategy]
route = "'nowhere'"
[acme.le]
contact = "x"
`);
  assert.equal(config, undefined);
  assert.deepEqual(problems.map(({ key, line }) => `${key}:${line}`), [
    "server.listener:0",
    "storage.data:0",
    "a:1",
    "a:1",
    "server.hostname:3",
    "server.hostnam:4",
    "session.rcpt.relay:6",
    "session.rcpt.relay:7",
    "queue.strategy.route:9",
    "acme.le.domains:10",
    "acme.le.challenge:10",
    "acme.le.contact:11",
  ]);
});

Deno.test("after a header that could not be read nothing is said about what is missing", () => {
  const { config, problems } = load('[store\u0000.data]\ntype = "libsql"\n[server]\nhostnam = "x"\n');
  assert.equal(config, undefined);
  assert.deepEqual(problems.map(({ key, line }) => `${key}:${line}`), ["store:1", "server.hostnam:4"]);
});

Deno.test("relative paths start at the folder of the file, absolute ones and special characters are kept", () => {
  const { stores, queue } = configOf(`store.a = { type = "libsql", url = "file:../x.db" }
store.b = { type = "libsql", url = "file:/srv/x.db?mode=rw" }
store.c = { type = "libsql", url = "file:///srv/y%20z.db" }
store.d = { type = "sqlite", path = "100%#?.db" }
store.e = { type = "libsql", url = "libsql://db.example" }
queue.route.r = { type = "local", path = "/srv/{domain}/{local}" }
`);
  const urlOf = (id: string) => {
    const store = stores.get(id);
    return store?.type === "libsql" ? store.url : undefined;
  };
  assert.deepEqual(["a", "b", "c", "d", "e"].map(urlOf), [
    "file:/etc/x.db",
    "file:/srv/x.db?mode=rw",
    "file:/srv/y%20z.db",
    "file:/etc/godwit/100%25%23%3F.db",
    "libsql://db.example",
  ]);
  assert.deepEqual(queue.route.get("r"), { id: "r", type: "local", path: "/srv/{domain}/{local}" });
});

Deno.test("expressions given by hand know what the file defines, and its settings", () => {
  const { environment } = configOf(`store.l = { type = "libsql", url = "file:l.db", query.users = "SELECT 1" }
store.m = { type = "memory" }
directory.d.type = "memory"
lookup.names.a = true
session.timeout = "1m"
server.blocked-ip = "192.0.2.1"
`);
  assert.deepEqual(environment.directories, ["d"]);
  assert.deepEqual(environment.stores, ["data", "l", "m"]);
  assert.deepEqual(environment.writableStores, ["data", "l"]);
  assert.deepEqual(environment.lists, ["names", "l/users"]);
  for (
    const [key, wanted] of [
      ["server.hostname", "mx.example.net"],
      ["server.max-connections", 8192],
      ["report.domain", "example.net"],
      ["session.timeout", "1m"],
      ["session.duration", "10m"],
      ["server.blocked-ip", "192.0.2.1"],
      ["server.allowed-ip", ["127.0.0.1", "::1"]],
      ["directory.d.type", "memory"],
      ["http.auth.token", ""],
      ["server.hostnam", undefined],
      ["", undefined],
      ["a b", undefined],
    ] as const
  ) {
    assert.deepEqual(environment.configGet(key), wanted, key);
  }
});

Deno.test("what is no trust anchor, and validation without EDNS, are errors", () => {
  for (const line of [". IN DS 20326 8 2", ". IN A 192.0.2.1", ". DS 20326 8 2 xyz", ". DNSKEY 257 2 8 AwEA", "root"]) {
    assert.deepEqual(problemsOf(`resolver.trust-anchors = ["; root", "${line}"]`), [
      `resolver.trust-anchors: line 1: expected DS or DNSKEY records such as ` +
      `"example.net. IN DS 2371 13 2 1F987CC6..."; record 2 is none`,
    ]);
  }
  assert.match(
    problemsOf('resolver.dnssec = "validate"\nresolver.edns = false').join("\n"),
    /^resolver\.edns: line 2: has to be true/,
  );
  assert.deepEqual(problemsOf('resolver.dnssec = "validate"'), []);
});

Deno.test("a next hop may be written in several ways", () => {
  const written = ["Next.Example.", "bücher.example", "192.0.2.25", "2001:DB8::25", "[2001:db8::25]"];
  const { queue } = configOf(
    written.map((text, i) => `queue.route.r${i} = { type = "relay", address = "${text}" }`).join("\n"),
  );
  const read = written.map((_, i) => {
    const route = queue.route.get(`r${i}`);
    return route?.type === "relay" && route.address;
  });
  // IDNA: bücher is xn--bcher-kva.
  assert.deepEqual(read, ["next.example", "xn--bcher-kva.example", "192.0.2.25", "2001:db8::25", "2001:db8::25"]);
});

Deno.test("aggregate reports that are asked for by name and not signed are doubtful", () => {
  const warnings = (text: string) => problemsOf(text).filter((line) => line.startsWith("report."));
  assert.match(warnings('report.tls.aggregate.send = "weekly"')[0] ?? "", /^report\.tls\.aggregate\.send: .*ignored/);
  assert.match(warnings('report.dmarc.aggregate.send = "daily"')[0] ?? "", /^report\.dmarc\.aggregate\.send: .*DMARC/);
  for (const text of ['report.tls.aggregate.send = "never"', "report.dmarc.aggregate.send = \"'never'\"", ""]) {
    assert.deepEqual(warnings(text), [], text);
  }
  const signed = 'report.tls.aggregate.send = "daily"\nreport.tls.aggregate.sign = "[]"';
  assert.deepEqual(warnings(signed), []);
});
