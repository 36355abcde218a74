/** Directories that ask somebody else, in a whole server. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock/mod.ts";
import { openStore } from "../../src/store/mod.ts";
import { connectClient, submit } from "../support/client.ts";
import { startTestServer } from "../support/server.ts";

const CONTENT = "Subject: x\r\n\r\nbody\r\n";

const SERVER = `
server.hostname = "mx.example.org"
server.listener.smtp = { bind = "127.0.0.1:0", protocol = "smtp" }
store.data = { type = "libsql", url = "file:{folder}/godwit.db" }
storage.data = "data"
session.rcpt.errors.wait = "0s"
session.auth = { mechanisms = "['plain', 'cram-md5']", allow-plain-text = true, require = false, errors = { wait = "0s" } }
session.extensions.vrfy = true
queue.route.local = { type = "local", path = "{folder}/mail/{account}/Maildir" }
tracer.quiet = { type = "console", enable = false }
`;

const SQL = `
session.rcpt.relay = "is_local_address('people', 'ana@' + rcpt_domain)"
directory.people = { type = "sql", store = "people", lookup.domains = "example.org" }
[store.people]
type = "sqlite"
path = "{folder}/people.db"
[store.people.query]
name = "SELECT name, secret FROM accounts WHERE name = ?"
recipients = "SELECT name FROM addresses WHERE address = ?"
emails = "SELECT address FROM addresses WHERE name = ? AND address NOT LIKE 'staff@%'"
`;

Deno.test("mail and logins are decided by a database of accounts", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  const target = {
    id: "people",
    url: `file:${folder}/people.db`,
    authToken: undefined,
    timeout: 15_000,
    allowInvalidCerts: false,
  };
  const people = await openStore(target, { emit: () => {}, clock: systemClock, migrations: [] });
  await people.write([
    "CREATE TABLE accounts (name TEXT, secret TEXT)",
    "CREATE TABLE addresses (address TEXT, name TEXT)",
    "INSERT INTO accounts VALUES ('ana', '{PLAIN}secret'), ('bob', NULL)",
    "INSERT INTO addresses VALUES ('ana@example.org', 'ana'), ('staff@example.org', 'ana'), ('staff@example.org', 'bob')",
    "INSERT INTO addresses VALUES ('bob@example.org', 'bob')",
  ].map((sql) => ({ sql, args: [] })));
  await people.close();
  try {
    await using test = await startTestServer(SERVER + SQL, { base: false, folder });
    const smtp = test.address("smtp");
    const sent = { from: "smith@example.net", content: CONTENT };
    await submit(smtp, { ...sent, to: ["ana+tag@example.org"] });
    await test.event("delivery.delivered");
    // The account of a sub-address is that of its address.
    assert.equal((await test.mail("ana")).length, 1);
    await submit(smtp, { ...sent, to: ["Staff@example.org"] });
    await test.event("delivery.delivered");
    await test.event("delivery.delivered");
    assert.equal((await test.mail("ana")).length, 2);
    assert.equal((await test.mail("bob")).length, 1);

    using client = await connectClient(smtp);
    await client.reply();
    assert.match(await client.say("EHLO client.example.net"), /^250-AUTH PLAIN CRAM-MD5$/m);
    assert.match(await client.say(`AUTH PLAIN ${btoa("\0bob\0secret")}`), /^535 /);
    assert.match(await client.say(`AUTH PLAIN ${btoa("\0ana\0secret")}`), /^235 /);
    assert.match(await client.say("VRFY bob@example.org"), /^250 2\.1\.5 /);
    assert.match(await client.say("VRFY nobody@example.org"), /^550 5\.1\.1 /);
    assert.match(await client.say("MAIL FROM:<bob@example.org>"), /^553 5\.7\.1 /);
    assert.match(await client.say("MAIL FROM:<ana@example.org>"), /^250 /);
    assert.match(await client.say("RCPT TO:<nobody@example.org>"), /^550 5\.1\.1 /);
    assert.match(await client.say("RCPT TO:<x@elsewhere.example>"), /^550 5\.7\.1 /);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a directory that is away puts clients off and refuses nobody, however often they try", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const away = `
directory.lmtp = { type = "lmtp", address = "127.0.0.1", port = ${port}, lookup.domains = "example.org" }
session.rcpt.relay = "is_local_address('*', 'ana@example.org')"
`;
  await using test = await startTestServer(SERVER + away, { base: false });
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example.net");
  for (let round = 0; round < 5; round++) {
    assert.match(await client.say(`AUTH PLAIN ${btoa("\0ana\0secret")}`), /^454 4\.7\.0 /);
  }
  assert.match(await client.say("VRFY ana@example.org"), /^451 4\.3\.0 /);
  assert.match(await client.say("MAIL FROM:<smith@example.net>"), /^250 /);
  for (let round = 0; round < 6; round++) {
    assert.match(await client.say("RCPT TO:<ana@example.org>"), /^451 4\.3\.0 /);
    // Not local, so the expression for relaying is asked, which cannot tell.
    assert.match(await client.say("RCPT TO:<x@elsewhere.example>"), /^451 4\.3\.0 /);
  }
});
