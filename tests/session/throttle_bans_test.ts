/** Automatic bans through a whole server, or two on one store. */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { Client } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { connectFrom, PROXIED } from "../support/proxied.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const LOGINS = `session.auth = { mechanisms = "['plain', 'cram-md5']", allow-plain-text = true, require = false, ` +
  `errors = { wait = "0s", total = 100 } }\n`;
const RECIPIENTS = 'session.rcpt.errors = { wait = "0s", total = 100 }\n';

/** A client that has been greeted and has said EHLO. */
async function greeted(ip: string, test: TestServer): Promise<Client> {
  const client = await connectFrom(ip, test.address("smtp"));
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.say("EHLO client.example"), /^250/);
  return client;
}

async function assertRefused(ip: string, test: TestServer): Promise<void> {
  using client = await connectFrom(ip, test.address("smtp"));
  await assert.rejects(client.reply(), /closed|reset/i);
  await test.event("security.ip-blocked", ({ fields }) => fields.remoteIp === ip);
}

const bad = (name: string) => `AUTH PLAIN ${btoa(`\0${name}\0wrong`)}`;

Deno.test("failed logins ban an address: its connections are closed, new ones refused, others are not concerned", async () => {
  await using test = await startTestServer(`${PROXIED}${LOGINS}server.auto-ban.auth.rate = "2/1d"\n`);
  using idle = await greeted("192.0.2.1", test);
  using neighbour = await greeted("192.0.2.2", test);
  using guesser = await greeted("192.0.2.1", test);
  assert.match(await guesser.say(bad("ana")), /^535 /);
  assert.match(await guesser.say(bad("bob")), /^535 /);
  await guesser.write(`${bad("carl")}\r\n`);
  assert.equal((await test.event("security.authentication-ban")).fields.remoteIp, "192.0.2.1");
  assert.match(await idle.reply(), /^421 4\.7\.0 Your address is banned/);
  await assert.rejects(idle.reply(), /closed|reset/i);
  await assertRefused("192.0.2.1", test);
  assert.match(await neighbour.say("NOOP"), /^250 /);
});

Deno.test("a ban survives a restart and holds on other nodes", async () => {
  const clock = new FakeClock();
  const settings = (node: string) =>
    `${PROXIED}${RECIPIENTS}cluster.node-id = "${node}"\nserver.auto-ban.abuse.rate = "1/1d"\n`;
  await using other = await startTestServer(settings("other"), { clock });
  {
    await using first = await startTestServer(settings("first"), { folder: other.folder });
    using client = await greeted("2001:db8::1", first);
    await client.say("MAIL FROM:<a@example.net>");
    await client.say("RCPT TO:<nobody@example.org>");
    await client.write("RCPT TO:<somebody@elsewhere.example>\r\n");
    await first.event("security.abuse-ban");
  }
  {
    await using again = await startTestServer(settings("first"), { folder: other.folder });
    await assertRefused("2001:db8::1", again);
  }
  // The other node has a session of that address, which ends when it hears of the ban.
  using open = await greeted("2001:db8::1", other);
  await clock.advance(15_000);
  assert.match(await open.reply(), /^421 4\.7\.0 /);
  await assertRefused("2001:db8::1", other);
});

Deno.test("an address in allowed-ip is never banned, and a rate that is false bans nobody", async () => {
  const settings = `${PROXIED}${RECIPIENTS}${LOGINS}server.allowed-ip = ["192.0.2.0/28"]\n` +
    'server.auto-ban = { abuse.rate = "1/1d", auth.rate = false }\n';
  await using test = await startTestServer(settings);
  using trusted = await greeted("192.0.2.1", test);
  await trusted.say("MAIL FROM:<a@example.net>");
  for (let i = 0; i < 5; i++) assert.match(await trusted.say("RCPT TO:<nobody@example.org>"), /^550 /);
  using other = await greeted("192.0.2.200", test);
  for (let i = 0; i < 5; i++) assert.match(await other.say(bad("ana")), /^535 /);
});

Deno.test("a login that failed too often is refused from everywhere, by each mechanism, for that period", async () => {
  const clock = new FakeClock();
  await using test = await startTestServer(
    `${PROXIED}${LOGINS}server.auto-ban.auth.rate = "2/1h"\n`,
    { clock },
  );
  for (let i = 1; i <= 3; i++) {
    using client = await greeted(`192.0.2.${i}`, test);
    assert.match(await client.say(bad("ana")), /^535 /);
    await test.event("auth.failed");
  }
  using client = await greeted("198.51.100.1", test);
  const right = `AUTH PLAIN ${btoa("\0ana\0secret")}`;
  assert.match(await client.say(right), /^535 5\.7\.8 /);
  const [, challenge = ""] = (await client.say("AUTH CRAM-MD5")).split(" ");
  const digest = createHmac("md5", "secret").update(atob(challenge)).digest("hex");
  assert.match(await client.say(btoa(`ana ${digest}`)), /^535 5\.7\.8 /);
  assert.match(await client.say(`AUTH PLAIN ${btoa("\0bob\0hidden")}`), /^235 /);
  // The count is over an hour after it began.
  await clock.advance(3_600_000);
  using later = await greeted("198.51.100.1", test);
  assert.match(await later.say(right), /^235 /);
});

Deno.test("clients that stay until the timeout are banned for loitering", async () => {
  const clock = new FakeClock();
  const settings = `${PROXIED}session.timeout = "1m"\nserver.auto-ban.loiter.rate = "1/1d"\n`;
  await using test = await startTestServer(settings, { clock });
  using one = await greeted("192.0.2.1", test);
  using two = await greeted("192.0.2.1", test);
  await clock.advance(60_000);
  assert.match(await one.reply(), /^421 4\.4\.2 /);
  assert.match(await two.reply(), /^421 4\.4\.2 /);
  await test.event("security.loiter-ban");
  await assertRefused("192.0.2.1", test);
});

Deno.test("clients that connect and leave without a word are banned for scanning", async () => {
  await using test = await startTestServer(`${PROXIED}server.auto-ban.scan.rate = "1/1d"\n`);
  for (let i = 0; i < 2; i++) {
    const client = await connectFrom("192.0.2.1", test.address("smtp"));
    await client.reply();
    client[Symbol.dispose]();
    await test.event("smtp.connection-end");
  }
  await test.event("security.scan-ban");
  await assertRefused("192.0.2.1", test);
  // Whoever says QUIT is no scanner.
  for (let i = 0; i < 3; i++) {
    using client = await connectFrom("192.0.2.2", test.address("smtp"));
    await client.reply();
    await client.say("QUIT");
    await test.event("smtp.connection-end");
  }
  using client = await connectFrom("192.0.2.2", test.address("smtp"));
  assert.match(await client.reply(), /^220 /);
});

Deno.test("HTTP clients that ask for a scanner's paths are banned on all services", async () => {
  const settings = 'server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }\nhttp.use-x-forwarded = true\n' +
    'server.auto-ban.scan.rate = "2/1d"\n';
  await using test = await startTestServer(settings);
  const { hostname, port } = test.address("http");
  const get = async (path: string) => {
    const response = await fetch(`http://${hostname}:${port}${path}`, { headers: { "x-forwarded-for": "192.0.2.1" } });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await get("/healthz"), 200);
  for (let i = 0; i < 3; i++) assert.notEqual(await get("/wp-login.php"), 200);
  await test.event("security.scan-ban");
  assert.equal(await get("/healthz"), 403);
});

Deno.test("failed logins on the HTTP listener count too, for the address and for the name", async () => {
  await using test = await startTestServer(
    `
server.hostname = "mx.example.org"
server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }
server.auto-ban.auth.rate = "1/1d"
http.use-x-forwarded = true
store.data = { type = "libsql", url = "file:{folder}/godwit.db" }
storage = { data = "data", directory = "staff" }
tracer.quiet = { type = "console", enable = false }
directory.staff = { type = "memory", principals = [
  { name = "boss", class = "admin", secret = "right" },
  { name = "chief", class = "admin", secret = "right" },
] }
`,
    { base: false },
  );
  const { hostname, port } = test.address("http");
  const get = async (ip: string, password: string, name = "boss") => {
    const response = await fetch(`http://${hostname}:${port}/api/queue/stats`, {
      headers: { "x-forwarded-for": ip, authorization: `Basic ${btoa(`${name}:${password}`)}` },
    });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await get("192.0.2.1", "wrong"), 401);
  assert.equal(await get("192.0.2.1", "wrong"), 401);
  await test.event("security.authentication-ban");
  assert.equal(await get("192.0.2.1", "right", "chief"), 403);
  // The name is over the rate as well, the other one is not.
  assert.equal(await get("192.0.2.2", "right"), 401);
  assert.notEqual(await get("192.0.2.2", "right", "chief"), 401);
});

Deno.test("an administrator sees the bans, and takes one off for all nodes", async () => {
  const clock = new FakeClock();
  const settings = (node: string) =>
    `${RECIPIENTS}cluster.node-id = "${node}"\nserver.auto-ban.abuse.rate = "1/1d"\n` +
    'server.listener.mx = { bind = "127.0.0.1:0", protocol = "smtp", proxy.trusted-networks = ["127.0.0.0/8"] }\n' +
    'server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }\n';
  await using test = await startTestServer(settings("a"), { clock });
  await using other = await startTestServer(settings("b"), { folder: test.folder, clock });
  {
    using client = await connectFrom("192.0.2.1", test.address("mx"));
    await client.reply();
    await client.say("EHLO client.example");
    await client.say("MAIL FROM:<a@example.net>");
    await client.say("RCPT TO:<nobody@example.org>");
    await client.write("RCPT TO:<nobody@example.org>\r\n");
    await test.event("security.abuse-ban");
  }
  const api = async (method: string, path: string) => {
    const { hostname, port } = test.address("http");
    const response = await fetch(`http://${hostname}:${port}/api/bans${path}`, { method });
    return { status: response.status, body: await response.json() };
  };
  assert.deepEqual((await api("GET", "")).body, {
    bans: [{ ip: "192.0.2.1", reason: "abuse", created: "2026-01-05T12:00:00.000Z", expires: null }],
  });
  assert.equal((await api("DELETE", "/192.0.2.2")).status, 404);
  assert.equal((await api("DELETE", "/nonsense")).status, 400);
  assert.equal((await api("DELETE", "/192.0.2.1")).status, 200);
  assert.deepEqual((await api("GET", "")).body, { bans: [] });
  await clock.advance(15_000);
  for (const server of [other, test]) {
    using client = await connectFrom("192.0.2.1", server.address("mx"));
    assert.match(await client.reply(), /^220 /);
    // The count begins anew as well, here for both nodes together.
    await client.say("EHLO client.example");
    await client.say("MAIL FROM:<a@example.net>");
    assert.match(await client.say("RCPT TO:<nobody@example.org>"), server === other ? /^550 / : /^(?:550|421) /);
  }
  await test.event("security.abuse-ban");
});
