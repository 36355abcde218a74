/** Automatic bans through a whole server, or two on one store. */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { run } from "../../src/cli/mod.ts";
import type { Client } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { connectFrom, PROXIED } from "../support/proxied.ts";
import { baseConfiguration, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/store.ts";

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
  assert.deepEqual(test.events.filter(({ name }) => /^security\..*-ban$/.test(name)), []);
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

Deno.test("where TLS comes first, clients that say nothing loiter or scan as on other ports", async () => {
  const clock = new FakeClock();
  const settings = `${PROXIED}server.tls.timeout = "1m"
server.listener.smtps = { bind = "127.0.0.1:0", protocol = "smtp", tls.implicit = true }
server.auto-ban = { loiter.rate = "1/1d", scan.rate = "1/1d" }
`;
  await using test = await startTestServer(settings, { clock });
  const connect = (ip: string, words = "") => connectFrom(ip, test.address("smtps"), words);
  const failed = (idle: string | undefined) => test.event("tls.handshake-error", ({ fields }) => fields.idle === idle);
  for (let i = 0; i < 2; i++) {
    (await connect("192.0.2.1"))[Symbol.dispose]();
    await failed("left");
  }
  await test.event("security.scan-ban", ({ fields }) => fields.remoteIp === "192.0.2.1");
  // One that cannot agree with us on TLS may be a client with a setting that is wrong.
  for (let i = 0; i < 3; i++) {
    using client = await connect("192.0.2.2", "EHLO client.example\r\n");
    await failed(undefined);
    await assert.rejects(client.reply());
  }
  using one = await connect("192.0.2.3");
  using two = await connect("192.0.2.3");
  for (let i = 0; i < 2; i++) {
    await test.event("network.proxy-accepted", ({ fields }) => fields.remoteIp === "192.0.2.3");
  }
  await clock.advance(60_000);
  await test.event("security.loiter-ban", ({ fields }) => fields.remoteIp === "192.0.2.3");
  for (const client of [one, two]) await assert.rejects(client.reply());
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
  // The node whose count reaches the store second bans: mostly this one, but the store may see them the other way round.
  const bans = () => [test, other].flatMap(({ events }) => events).filter(({ name }) => name === "security.abuse-ban");
  await until(() => bans().length === 2, "a second ban");
});

Deno.test("administrators ban a network through the API, with an end, and its clients are shown out", async () => {
  const clock = new FakeClock();
  const settings = `${PROXIED}server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }\n` +
    'server.allowed-ip = ["192.0.2.9"]\n';
  await using test = await startTestServer(settings, { clock });
  const { hostname, port } = test.address("http");
  const api = async (method: string, path: string) => {
    const response = await fetch(`http://${hostname}:${port}/api/bans${path}`, { method });
    return { status: response.status, body: await response.json() };
  };
  using inside = await greeted("192.0.2.1", test);
  using outside = await greeted("198.51.100.1", test);
  const ban = {
    ip: "192.0.2.0/24",
    reason: "manual",
    created: "2026-01-05T12:00:00.000Z",
    expires: "2026-01-05T13:00:00.000Z",
  };
  assert.deepEqual(await api("POST", "?ip=192.0.2.44%2F24&expire=1h"), { status: 201, body: ban });
  assert.match(await inside.reply(), /^421 4\.7\.0 Your address is banned/);
  assert.match(await outside.say("NOOP"), /^250 /);
  await assertRefused("192.0.2.7", test);
  using trusted = await greeted("192.0.2.9", test);
  assert.match(await trusted.say("NOOP"), /^250 /);
  assert.deepEqual((await api("GET", "")).body, { bans: [ban] });

  for (const bad of ["", "?ip=mx.example.org", "?ip=192.0.2.1&expire=soon", "?ip=192.0.2.1&expire=0s"]) {
    assert.equal((await api("POST", bad)).status, 400, bad);
  }
  await clock.advance(60 * 60 * 1000);
  using again = await greeted("192.0.2.7", test);
  assert.match(await again.say("NOOP"), /^250 /);
  assert.equal((await api("DELETE", "/192.0.2.0/24")).status, 404);

  assert.equal((await api("POST", "?ip=2001:db8::/32")).body.expires, null);
  await assertRefused("2001:db8::1", test);
  assert.equal((await api("DELETE", "/2001:db8::/32")).status, 200);
  using free = await greeted("2001:db8::1", test);
  assert.match(await free.say("NOOP"), /^250 /);
});

Deno.test("an automatic ban ends by itself where server.auto-ban.expire says so", async () => {
  const clock = new FakeClock();
  const settings = `${PROXIED}${LOGINS}server.auto-ban = { auth.rate = "1/1d", expire = "2h" }\n`;
  await using test = await startTestServer(settings, { clock });
  using guesser = await greeted("192.0.2.1", test);
  assert.match(await guesser.say(bad("ana")), /^535 /);
  await guesser.write(`${bad("bob")}\r\n`);
  await test.event("security.authentication-ban");
  await clock.advance(2 * 60 * 60 * 1000 - 1);
  await assertRefused("192.0.2.1", test);
  await clock.advance(1);
  using later = await greeted("192.0.2.1", test);
  assert.match(await later.say("NOOP"), /^250 /);
});

Deno.test("godwit ban lists, adds and removes, beside a running server and without one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  try {
    const file = join(folder, "config.toml");
    await Deno.writeTextFile(file, baseConfiguration(folder));
    const said: string[] = [];
    const output = {
      print: (line: string) => said.push(line),
      error: (line: string) => said.push(line),
      write: () => Promise.resolve(),
      colours: false,
    };
    const ban = async (...args: string[]) => {
      said.length = 0;
      const status = await run(["ban", ...args, "--config", file], output);
      return { status, said: said.join("\n") };
    };
    {
      await using test = await startTestServer(
        `${PROXIED}server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }\n`,
        { folder },
      );
      const { hostname, port } = test.address("http");
      const url = `http://${hostname}:${port}`;
      using client = await greeted("192.0.2.1", test);
      assert.deepEqual(await ban("add", "192.0.2.1", "--url", url), { status: 0, said: "192.0.2.1 is banned" });
      // The running server follows at once.
      assert.match(await client.reply(), /^421 4\.7\.0 /);
      await assertRefused("192.0.2.1", test);
      assert.deepEqual(await ban("remove", "192.0.2.1", "--url", url, "--json"), {
        status: 0,
        said: '{"ip":"192.0.2.1","action":"remove"}',
      });
      using free = await greeted("192.0.2.1", test);
      assert.match(await free.say("NOOP"), /^250 /);
    }
    assert.deepEqual(await ban("list"), { status: 0, said: "no bans" });
    assert.deepEqual(await ban("add", "192.0.2.0/24"), {
      status: 0,
      said: "192.0.2.0/24 is banned; a running server sees it within 15 seconds",
    });
    assert.equal((await ban("add", "2001:db8::1", "--expire", "1d")).status, 0);
    const listed = JSON.parse((await ban("list", "--json")).said);
    const reduced = listed.map((one: Record<string, string | null>) => [one.ip, one.reason, one.expires === null]);
    assert.deepEqual(reduced.sort(), [["192.0.2.0/24", "manual", true], ["2001:db8::1", "manual", false]]);
    assert.match((await ban("list")).said, /^ADDRESS +REASON +SINCE +UNTIL\n/);
    assert.deepEqual(await ban("remove", "192.0.2.1"), {
      status: 1,
      said: "192.0.2.1 is not banned; godwit ban list shows what is",
    });
    for (const wrong of [["add", "mx.example.org"], ["add", "192.0.2.1", "--expire", "soon"], ["remove", "x"]]) {
      assert.equal((await ban(...wrong)).status, 2, wrong.join(" "));
    }
    await using test = await startTestServer(PROXIED, { folder });
    await assertRefused("192.0.2.200", test);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
