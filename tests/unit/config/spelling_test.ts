import assert from "node:assert/strict";
import { configOf, principalsOf, problemsOf, valueOf } from "./loading.ts";

Deno.test("other spellings of keys mean the same", () => {
  for (
    const [text, get, wanted] of [
      ["session.rcpt.subaddressing = false", (c) => valueOf(c.session.rcpt.subAddressing), false],
      ["rcpt.errors.total = 9", (c) => valueOf(c.session.rcpt.errors.total), 9],
      ["session.rcpt.rcpt.errors.wait = '9s'", (c) => valueOf(c.session.rcpt.errors.wait), 9000],
      ["session.data.limits.message = 7", (c) => valueOf(c.session.data.limits.messages), 7],
      ["route.r = { type = 'relay', address = 'h' }", (c) => c.queue.route.get("r")?.type, "relay"],
      ["jmap.http.headers = 'A: b'", (c) => c.http.headers, ["A: b"]],
      [
        "directory.d = { type = 'memory', principals = [{ name = 'a', type = 'admin' }] }",
        (c) => principalsOf(c, "d")[0]?.class,
        "admin",
      ],
      [
        "[[directory.d.principals]]\nname = 'a'\ntype = 'group'\n[directory.d]\ntype = 'memory'",
        (c) => principalsOf(c, "d")[0]?.class,
        "group",
      ],
    ] as const satisfies readonly (readonly [string, (config: ReturnType<typeof configOf>) => unknown, unknown])[]
  ) {
    assert.deepEqual(get(configOf(text)), wanted, text);
  }
});

Deno.test("some older spellings bring a warning, the others none", () => {
  for (
    const [text, key] of [
      ["session.rcpt.subaddressing = false", ""],
      ["rcpt.errors.total = 9", ""],
      ["session.data.limits.message = 7", ""],
      ["session.connect.mail = false", "session.mail.script"],
      ["route.r = { type = 'mx' }", "queue.route"],
      ["jmap.http.headers = 'A: b'", "http.headers"],
    ] as const
  ) {
    const problems = problemsOf(text);
    if (key === "") assert.deepEqual(problems, [], text);
    else {assert.match(
        problems.join("\n"),
        new RegExp(`^${key}: warning: line 1: written as '[a-z.]+', an older spelling$`),
      );}
  }
});

Deno.test("a key in two spellings is an error that names both lines", () => {
  assert.deepEqual(problemsOf("session.rcpt.sub-addressing = true\nsession.rcpt.subaddressing = false"), [
    "session.rcpt.sub-addressing: line 2: set on line 1 and, as 'session.rcpt.subaddressing', on line 2; keep one of them",
  ]);
  assert.deepEqual(problemsOf("[session.rcpt.errors]\ntotal = 1\nwait = '1s'\n[rcpt.errors]\ntotal = 2"), [
    "session.rcpt.errors.total: line 5: set on line 2 and, as 'rcpt.errors', on line 5; keep one of them",
  ]);
});

Deno.test("spellings that share a section are put together", () => {
  const { session } = configOf("session.rcpt.errors.total = 1\nrcpt.errors.wait = '1s'");
  assert.equal(valueOf(session.rcpt.errors.total), 1);
  assert.equal(valueOf(session.rcpt.errors.wait), 1000);
});

Deno.test("the doubled g of sub-addressing is refused", () => {
  assert.deepEqual(problemsOf("session.rcpt.sub-addresssing = true"), [
    "session.rcpt.sub-addresssing: line 1: unknown key 'sub-addresssing'; did you mean 'session.rcpt.sub-addressing'?",
  ]);
  assert.equal(problemsOf("session.rcpt.subaddressingg = true").length, 1);
});

Deno.test("`rcpt` in session.mail.rewrite stands for the sender, with a warning", () => {
  const text = `session.mail.rewrite = "rcpt + '.example'"`;
  assert.equal(valueOf(configOf(text).session.mail.rewrite, { sender: "a@b" }), "a@b.example");
  const problems = problemsOf(text);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? "", /^session\.mail\.rewrite: warning: line 1: .*sender/);
});

const OTHER_AREAS = [
  "account",
  "calendar",
  "changes",
  "contacts",
  "dav",
  "email",
  "enterprise",
  "file-storage",
  "form",
  "imap",
  "jmap",
  "oauth",
  "object-quota",
  "sharing",
  "spam-filter",
  "webadmin",
  "config.local-keys",
  "authentication.master",
  "sieve.untrusted",
  "storage.blob",
  "storage.fts",
  "storage.search-index",
  "storage.undelete",
  "metrics.alerts",
  "metrics.history",
  "tracing.history",
  "cluster.coordinator",
  "cluster.roles",
];

Deno.test("other areas of the format are ignored with one warning each", () => {
  for (const area of OTHER_AREAS) {
    for (
      const text of [`${area} = true`, `${area}.a.b = 1\n${area}.c = "x"`, `[${area}]\nx = 1\n[[${area}.y]]\nz = 1`]
    ) {
      assert.deepEqual(problemsOf(text), [
        `${area}: warning: line 1: this area of the format is not part of godwit and is ignored`,
      ], text);
    }
  }
});

Deno.test("of cache.* only cache.dns is used; the rest brings one warning", () => {
  const { resolver } = configOf("cache.dns.mx.size = 1\ncache.access-token.size = 2\ncache.http-auth.size = 3");
  assert.equal(resolver.cacheSizes["mx"], 1);
  const problems = problemsOf("cache.dns.mx.size = 1\ncache.access-token.size = 2\ncache.http-auth.size = 3");
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? "", /^cache\.access-token: warning: line 2: .*ignored/);
});

Deno.test("listeners for mailbox protocols are not opened, with a warning", () => {
  for (const protocol of ["imap", "pop3", "managesieve"]) {
    const text = `[server.listener.m]\nbind = "[::]:993"\nprotocol = "${protocol}"\ntls.implicit = true`;
    assert.deepEqual(configOf(text).server.listeners, []);
    assert.match(problemsOf(text)[0] ?? "", /^server\.listener\.m\.protocol: warning: line 3: .* not opened$/);
  }
});

Deno.test("keys with dots that stand unquoted are put together again", () => {
  const { lookups, server, eventLevels } = configOf(`[lookup.domains]
example.net = true
a.b.example.org = 5
"c.example" = "text"
[server.blocked-ip]
192.0.2.7 = true
"2001:db8::/32" = "spam"
"10.0.0.0/8" = ""
[server.allowed-ip]
198.51.100.1 = 1
[tracing.level]
auth.success = "debug"
"auth.failed" = "WARN"
`);
  assert.deepEqual([...lookups.get("domains") ?? []], [
    ["example.net", true],
    ["a.b.example.org", 5],
    ["c.example", "text"],
  ]);
  assert.deepEqual(server.blockedIp, [
    { address: "192.0.2.7", prefix: 32 },
    { address: "2001:db8::", prefix: 32 },
    { address: "10.0.0.0", prefix: 8 },
  ]);
  assert.deepEqual(server.allowedIp, [
    { address: "198.51.100.1", prefix: 32 },
    { address: "127.0.0.1", prefix: 32 },
    { address: "::1", prefix: 128 },
  ]);
  assert.deepEqual([...eventLevels], [["auth.success", "debug"], ["auth.failed", "warn"]]);
});

Deno.test("the flattened form of a list equals the array", () => {
  const { server, session, directories } = configOf(
    `server.listener.a.bind.0 = "127.0.0.1:1"
server.listener.a.bind.1 = "127.0.0.1:2"
server.listener.a.protocol = "smtp"
server.blocked-ip.0 = "192.0.2.7"
session.rcpt.relay.0.if = "is_tls"
session.rcpt.relay.0.then = true
session.rcpt.relay.1.else = false
session.auth.mechanisms.0 = "plain"
directory.d.type = "memory"
directory.d.principals.0.name = "a"
directory.d.principals.1.name = "b"
directory.d.principals.1.email.0 = "b@example.net"
directory.d.principals.1.email.10 = "z@example.net"
directory.d.principals.1.email.9 = "y@example.net"
`.replace("server.", "\n[server.x]\n[y]\n").replace("\n[server.x]\n[y]\n", "server."),
  );
  assert.deepEqual(server.listeners[0]?.bind, [{ ip: "127.0.0.1", port: 1 }, { ip: "127.0.0.1", port: 2 }]);
  assert.deepEqual(server.blockedIp, [{ address: "192.0.2.7", prefix: 32 }]);
  assert.equal(valueOf(session.rcpt.relay, { is_tls: true }), true);
  assert.equal(valueOf(session.rcpt.relay, { is_tls: false }), false);
  assert.deepEqual(valueOf(session.auth.mechanisms), ["plain"]);
  assert.deepEqual(principalsOf({ directories }, "d").map((principal) => principal.email), [
    [],
    ["b@example.net", "y@example.net", "z@example.net"],
  ]);
});
