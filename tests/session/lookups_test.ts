/** Every function of expressions that reaches outside, through a setting of a whole server that uses it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import Database from "libsql";
import { type Client, connectClient } from "../support/client.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { createZone } from "../support/zone.ts";

/** A client that has said EHLO. */
async function greeted(test: TestServer, name = "client.example"): Promise<Client> {
  const client = await connectClient(test.address("smtp"));
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.say(`EHLO ${name}`), /^250/);
  return client;
}

/** The replies to MAIL from each sender, whatever they are. */
async function senders(client: Client, ...addresses: string[]): Promise<string[]> {
  const replies: string[] = [];
  for (const address of addresses) {
    replies.push((await client.say(`MAIL FROM:<${address}>`)).slice(0, 9));
    await client.say("RSET");
  }
  return replies;
}

/** Put before the settings of each test here: a refused recipient costs no time. */
const QUICK = 'session.rcpt.errors = { wait = "0s", total = 100 }\n';

const ALLOWED = "250 2.1.0";
const REFUSED = "550 5.7.1";
const LATER = "451 4.3.0";

Deno.test("key_set, key_get and key_exists: what one session stores another one finds", async () => {
  const settings = `${QUICK}session.mail.is-allowed = "if_then(ends_with(sender, '@set.example'), ` +
    `key_set('', helo_domain, sender), key_get('', helo_domain) == 'a@set.example')"\n` +
    `session.rcpt.relay = "key_exists('', rcpt_domain)"\n`;
  await using test = await startTestServer(settings);
  using first = await greeted(test, "one.example");
  assert.deepEqual(await senders(first, "x@example.net", "a@set.example"), [REFUSED, ALLOWED]);
  using again = await greeted(test, "one.example");
  assert.deepEqual(await senders(again, "x@example.net"), [ALLOWED]);
  using other = await greeted(test, "two.example");
  assert.deepEqual(await senders(other, "x@example.net", "b@set.example", "x@example.net"), [
    REFUSED,
    ALLOWED,
    REFUSED,
  ]);
  await first.say("MAIL FROM:<x@example.net>");
  assert.match(await first.say("RCPT TO:<a@two.example>"), /^250 /);
  assert.match(await first.say("RCPT TO:<a@three.example>"), /^550 5\.7\.1 /);
});

Deno.test("counter_incr counts over sessions, counter_get reads, each counter for itself", async () => {
  const settings = `${QUICK}session.connect.greeting = "'no ' + counter_incr('', 'greeted', 2)"\n` +
    `session.mail.is-allowed = "counter_get('', 'greeted') == 4 && counter_get('', 'other') == 0"\n`;
  await using test = await startTestServer(settings);
  using first = await connectClient(test.address("smtp"));
  assert.equal(await first.reply(), "220 mx.example.org no 2");
  await first.say("EHLO a.example");
  assert.deepEqual(await senders(first, "a@example.net"), [REFUSED]);
  using second = await connectClient(test.address("smtp"));
  assert.equal(await second.reply(), "220 mx.example.org no 4");
  assert.deepEqual(await senders(first, "a@example.net"), [ALLOWED]);
});

Deno.test("keys and counters live in any store that takes writes, and each store has its own", async () => {
  const settings = `${QUICK}store.extra = { type = "sqlite", path = "{folder}/extra.db" }\n` +
    `session.mail.is-allowed = "key_set('extra', sender, 7) && counter_incr('extra', 'n', 1) > 0"\n` +
    `session.rcpt.relay = "key_get('extra', sender) == 7 && counter_get('extra', 'n') == 1 && ` +
    `!key_exists('', sender) && counter_get('', 'n') == 0 && rcpt_domain != 'no.example'"\n`;
  await using test = await startTestServer(settings);
  using client = await greeted(test);
  await client.say("MAIL FROM:<a@example.net>");
  assert.match(await client.say("RCPT TO:<a@yes.example>"), /^250 /);
  assert.match(await client.say("RCPT TO:<a@no.example>"), /^550 /);
});

Deno.test("lookup lists, memory stores and named queries are lists", async () => {
  const settings = QUICK +
    `lookup.senders = { "*@good.example" = "yes", "odd@bad.example" = "yes", "*@bad.example" = "no" }\n` +
    `store.relays = { type = "memory", values = ["10.0.0.*", "127.0.0.1"] }\n` +
    `store.db = { type = "sqlite", path = "{folder}/db.sqlite", ` +
    `query.route = "SELECT target FROM routes WHERE domain = ?" }\n` +
    `session.mail.is-allowed = "key_get('senders', sender) == 'yes' && key_exists('relays', remote_ip)"\n` +
    `session.rcpt.rewrite = "key_get('db/route', rcpt_domain)"\n` +
    `session.rcpt.relay = "key_exists('db/route', rcpt_domain)"\n`;
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  try {
    const db = new Database(join(folder, "db.sqlite"));
    db.exec("CREATE TABLE routes (domain TEXT, target TEXT)");
    db.exec("INSERT INTO routes VALUES ('old.example', 'ana@example.org'), ('other.example', 'not an address')");
    db.close();
    await using test = await startTestServer(settings, { folder });
    using client = await greeted(test);
    assert.deepEqual(await senders(client, "a@good.example", "odd@bad.example", "a@bad.example", "a@example.net"), [
      ALLOWED,
      ALLOWED,
      REFUSED,
      REFUSED,
    ]);
    await client.say("MAIL FROM:<a@good.example>");
    assert.match(await client.say("RCPT TO:<x@old.example>"), /^250 /);
    assert.equal((await test.event("smtp.rcpt-to-rewritten")).fields.to, "ana@example.org");
    assert.match(await client.say("RCPT TO:<x@other.example>"), /^250 /);
    assert.match(await client.say("RCPT TO:<x@unknown.example>"), /^550 5\.7\.1 /);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("sql_query binds its arguments, gives a value, an array, false, or the number of changed rows", async () => {
  const settings = `${QUICK}store.db = { type = "sqlite", path = "{folder}/db.sqlite" }\n` +
    `session.connect.greeting = "'made ' + sql_query('db', 'CREATE TABLE IF NOT EXISTS seen (name TEXT, n INTEGER)', [])"\n` +
    `session.mail.is-allowed = "sql_query('db', 'INSERT INTO seen VALUES ($1, $2)', [sender, 5]) == 1"\n` +
    `session.rcpt.relay = "sql_query('db', 'SELECT n FROM seen WHERE name = ?', [sender]) == 5 && ` +
    `sql_query('db', 'SELECT name, n FROM seen WHERE name = ?', [sender])[1] == 5 && ` +
    `sql_query('db', 'SELECT n FROM seen WHERE name = ?', [rcpt]) == false && ` +
    `sql_query('db', '/* how often */ SELECT 1 + n FROM seen WHERE name = ?', [sender]) == 6 && ` +
    `sql_query('db', 'WITH new(a) AS (VALUES (?)) INSERT INTO seen SELECT a, 9 FROM new', [rcpt]) == 1 && ` +
    `sql_query('db', 'DELETE FROM seen WHERE n = 9', []) == 1"\n` +
    `session.rcpt.max-recipients = "sql_query('', 'SELECT count(*) + 1 FROM messages', [])"\n`;
  await using test = await startTestServer(settings);
  using client = await greeted(test);
  const injection = `x'||(select 1)||'@example.net`;
  assert.match(await client.say(`MAIL FROM:<"${injection.split("@")[0]}"@example.net>`), /^250 /);
  assert.match(await client.say("RCPT TO:<a@elsewhere.example>"), /^250 /);
  assert.match(await client.say("RCPT TO:<b@elsewhere.example>"), /^452 4\.5\.3 /);
});

Deno.test("dns_query gives the records of each type, hosts by preference, and none for a name that is not there", async () => {
  const resolver = createZone({
    "all.example": {
      a: ["192.0.2.1"],
      aaaa: ["2001:db8::1"],
      mx: [[20, "second.example"], [10, "first.example"]],
      txt: ["v=test"],
      ns: ["ns.example"],
    },
    "alias.example": { cname: "all.example" },
    "127.0.0.1": { ptr: ["localhost.example"] },
    "broken.example": { error: "servfail" },
  });
  const types = [
    ["a", "192.0.2.1"],
    ["aaaa", "2001:db8::1"],
    ["mx", "first.example"],
    ["txt", "v=test"],
    ["ns", "ns.example"],
  ];
  const all = types.map(([type, wanted]) => `dns_query(sender_domain, '${type}')[0] == '${wanted}'`).join(" && ");
  const settings =
    `${QUICK}session.mail.is-allowed = "${all} && dns_query('alias.example', 'cname')[0] == 'all.example' && ` +
    `dns_query(remote_ip, 'ptr')[0] == 'localhost.example'"\n` +
    `session.rcpt.relay = "len(dns_query(rcpt_domain, 'mx')) == 2"\n`;
  await using test = await startTestServer(settings, { resolver });
  using client = await greeted(test);
  assert.deepEqual(await senders(client, "a@all.example", "a@none.example", "a@broken.example"), [
    ALLOWED,
    REFUSED,
    LATER,
  ]);
  assert.match(String((await test.event("eval.lookup-unavailable")).fields.reason), /broken\.example/);
  await client.say("MAIL FROM:<a@all.example>");
  assert.match(await client.say("RCPT TO:<a@all.example>"), /^250 /);
  assert.match(await client.say("RCPT TO:<a@none.example>"), /^550 /);
  // The session and its transaction go on after a lookup that failed.
  assert.equal(await client.say("RCPT TO:<a@broken.example>"), "451 4.3.0 A lookup failed for now, try again later");
  assert.match(await client.say("RCPT TO:<ana@example.org>"), /^250 /);
});

Deno.test("a list that is fetched decides once it is there; one that cannot be fetched is 451", async () => {
  let available = true;
  const web = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    if (!available || request.url.endsWith("/gone")) return new Response("no", { status: 404 });
    return new Response("name,verdict\nspam.example,bad\nham.example,good\n");
  });
  try {
    const url = `http://127.0.0.1:${web.addr.port}`;
    const settings = QUICK +
      `http-lookup.verdicts = { url = "${url}/list", format = "csv", skip-first = true, index.value = 1 }\n` +
      `http-lookup.gone = { url = "${url}/gone", format = "list" }\n` +
      `session.mail.is-allowed = "key_get('verdicts', sender_domain) != 'bad'"\n` +
      `session.rcpt.relay = "key_exists('gone', rcpt)"\n`;
    await using test = await startTestServer(settings);
    using client = await greeted(test);
    assert.deepEqual(await senders(client, "a@spam.example", "a@ham.example", "a@new.example"), [
      REFUSED,
      ALLOWED,
      ALLOWED,
    ]);
    await client.say("MAIL FROM:<a@ham.example>");
    assert.match(await client.say("RCPT TO:<a@elsewhere.example>"), /^451 4\.3\.0 /);
    assert.match(await client.say("RCPT TO:<ana@example.org>"), /^250 /);
    available = false;
    assert.match(await client.say("RSET"), /^250 /);
    assert.deepEqual(await senders(client, "a@spam.example"), [REFUSED]);
  } finally {
    await web.shutdown();
  }
});

Deno.test("a store that is away, or does not know the table, is 451, at the greeting 421", async () => {
  const settings = `${QUICK}store.db = { type = "sqlite", path = "{folder}/db.sqlite" }\n` +
    `session.mail.is-allowed = "sql_query('db', 'SELECT 1 FROM not_there WHERE name = ?', [sender])"\n` +
    `session.rcpt.relay = "counter_incr('db', rcpt, 1) > 0 || key_exists('db', rcpt)"\n`;
  await using test = await startTestServer(settings);
  using client = await greeted(test);
  assert.deepEqual(await senders(client, "a@example.net"), [LATER]);
  await test.event("eval.lookup-unavailable");

  await using broken = await startTestServer(
    `store.db = { type = "sqlite", path = "{folder}/db.sqlite" }\n` +
      `session.connect.greeting = "sql_query('db', 'SELECT 1 FROM not_there', [])"\n`,
  );
  using refused = await connectClient(broken.address("smtp"));
  assert.equal(await refused.reply(), "421 4.3.0 A lookup failed for now, closing");
  await assert.rejects(refused.reply(), /closed/);
});

Deno.test("a database file that is taken away under the server is 451, and 250 again once it is back", async () => {
  const settings = `${QUICK}store.db = { type = "sqlite", path = "{folder}/db.sqlite" }\n` +
    `session.mail.is-allowed = "counter_incr('db', 'n', 1) > 0"\n`;
  await using test = await startTestServer(settings);
  using client = await greeted(test);
  assert.deepEqual(await senders(client, "a@example.net"), [ALLOWED]);
  const path = join(test.folder, "db.sqlite");
  await Deno.rename(path, `${path}.away`);
  assert.deepEqual(await senders(client, "a@example.net"), [LATER]);
  await Deno.rename(`${path}.away`, path);
  let reply = "";
  for (let round = 0; round < 200 && reply !== ALLOWED; round++) [reply = ""] = await senders(client, "a@example.net");
  assert.equal(reply, ALLOWED);
});

Deno.test("limiters whose counters cannot be reached put mail off, and let it through once they can", async () => {
  const settings =
    `store.counters = { type = "sqlite", path = "{folder}/counters.db" }\nstorage.lookup = "counters"\n` +
    `queue.limiter.inbound = [{ enable = true, key = ["sender"], rate = "1/1h" }]\n`;
  await using test = await startTestServer(settings);
  using client = await greeted(test);
  assert.deepEqual(await senders(client, "a@example.net", "a@example.net"), [ALLOWED, "451 4.4.5"]);
  const path = join(test.folder, "counters.db");
  await Deno.rename(path, `${path}.away`);
  assert.deepEqual(await senders(client, "b@example.net"), [LATER]);
  await Deno.rename(`${path}.away`, path);
  let reply = LATER;
  for (let round = 0; round < 200 && reply === LATER; round++) [reply = ""] = await senders(client, "b@example.net");
  assert.equal(reply, ALLOWED);
  assert.deepEqual(await senders(client, "a@example.net"), ["451 4.4.5"]);
});
