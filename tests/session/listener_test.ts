/** Listeners through the whole program: TLS by name, reload, limits, the PROXY header, HTTP. */

import assert from "node:assert/strict";
import tls from "node:tls";
import { makeCertificate, type TestCertificate } from "../support/certificates.ts";
import { connectClient, submit } from "../support/client.ts";
import { startTestServer, testConfiguration } from "../support/server.ts";

function tomlCertificate(id: string, certificate: TestCertificate, more = ""): string {
  return `certificate.${id}.cert = """${certificate.cert}"""
certificate.${id}.private-key = """${certificate.privateKey}"""
${more}
`;
}

/** Common name of the certificate that a listener with TLS from the first byte shows for a name. */
function shownTo(servername: string | undefined, address: { hostname: string; port: number }): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = tls.connect({
    host: address.hostname,
    port: address.port,
    rejectUnauthorized: false,
    ...(servername === undefined ? {} : { servername }),
  }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

const IMPLICIT = `server.listener.smtps = { bind = "127.0.0.1:0", protocol = "smtp", tls.implicit = true }\n`;

Deno.test("the certificate is chosen by the name asked for, and the default serves the rest", async () => {
  const second = await makeCertificate({ names: ["mail.example.com"] });
  await using test = await startTestServer(
    `${IMPLICIT}${tomlCertificate("second", second, "certificate.second.default = true")}`,
  );
  assert.equal(await shownTo("mx.example.org", test.address("smtps")), "mx.example.org");
  assert.equal(await shownTo("mail.example.com", test.address("smtps")), "mail.example.com");
  assert.equal(await shownTo("nobody.example", test.address("smtps")), "mail.example.com");
  assert.equal(await shownTo(undefined, test.address("smtps")), "mail.example.com");
  const unknown = test.events.filter(({ name }) => name === "tls.certificate-not-found");
  assert.deepEqual(unknown.map(({ fields }) => fields.name), ["nobody.example"]);
});

Deno.test("an HTTP listener shows the certificate for the name, else the one that it names", async () => {
  const named = await makeCertificate({ names: ["www.example.org"] });
  const usual = await makeCertificate({ names: ["mail.example.com"] });
  await using test = await startTestServer(`
server.listener.web = { bind = "127.0.0.1:0", protocol = "http", tls.implicit = true, tls.certificate = "named" }
server.listener.other = { bind = "127.0.0.1:0", protocol = "http", tls.implicit = true }
${tomlCertificate("named", named)}${tomlCertificate("usual", usual, "certificate.usual.default = true")}`);
  assert.equal(await shownTo("mail.example.com", test.address("web")), "mail.example.com");
  assert.equal(await shownTo("nobody.example", test.address("web")), "www.example.org");
  assert.equal(await shownTo("www.example.org", test.address("other")), "www.example.org");
  assert.equal(await shownTo("nobody.example", test.address("other")), "mail.example.com");
});

Deno.test("a reload changes certificate and settings for new sessions and drops no running one", async () => {
  await using test = await startTestServer(IMPLICIT);
  using running = await connectClient(test.address("smtp"));
  await running.reply();
  await running.say("EHLO a.example");
  const certificate = await makeCertificate({ names: ["mx.example.org", "renewed.example.org"] });
  const next = testConfiguration(
    `${IMPLICIT}session.connect.greeting = "'after the reload'"\n`,
    { folder: test.folder, certificate },
  );
  await test.server.reload(next);

  assert.match(await running.say("MAIL FROM:<a@example.net>"), /^250 /);
  assert.match(await running.say("RCPT TO:<ana@example.org>"), /^250 /);
  assert.match(await running.say("DATA"), /^354 /);
  assert.match(await running.say("Subject: x\r\n\r\nx\r\n."), /^250 /);
  using fresh = await connectClient(test.address("smtp"));
  assert.equal(await fresh.reply(), "220 mx.example.org after the reload");
  const peer = await new Promise<tls.PeerCertificate>((resolve, reject) => {
    const { hostname, port } = test.address("smtps");
    const socket = tls.connect(
      { host: hostname, port, servername: "mx.example.org", rejectUnauthorized: false },
      () => {
        resolve(socket.getPeerCertificate());
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
  assert.match(peer.subjectaltname ?? "", /renewed\.example\.org/);
});

Deno.test("connections over the limit of a listener are answered with 421", async () => {
  await using test = await startTestServer(
    `server.listener.few = { bind = "127.0.0.1:0", protocol = "smtp", max-connections = 2 }\n`,
  );
  using first = await connectClient(test.address("few"));
  await first.reply();
  const second = await connectClient(test.address("few"));
  await second.reply();
  using third = await connectClient(test.address("few"));
  assert.match(await third.reply(), /^421 4\.3\.2 /);
  await second.say("QUIT");
  second[Symbol.dispose]();
  await test.event("smtp.connection-end");
  using fourth = await connectClient(test.address("few"));
  assert.match(await fourth.reply(), /^220 /);
});

Deno.test("a listener's greeting wins over that of all sessions", async () => {
  await using test = await startTestServer(
    `session.connect.greeting = "'for all'"
server.listener.own = { bind = "127.0.0.1:0", protocol = "smtp", greeting = "ESMTP for partners" }
`,
  );
  using common = await connectClient(test.address("smtp"));
  assert.equal(await common.reply(), "220 mx.example.org for all");
  using own = await connectClient(test.address("own"));
  assert.equal(await own.reply(), "220 mx.example.org ESMTP for partners");
});

Deno.test("processes share a port where server.socket.reuse-port lets them, and only there", async () => {
  const bindTo = (port: number) => `server.listener.shared = { bind = "127.0.0.1:${port}", protocol = "smtp" }\n`;
  await using first = await startTestServer(bindTo(0));
  const { port } = first.address("shared");
  await assert.rejects(startTestServer(`${bindTo(port)}server.socket.reuse-port = false\n`), /127\.0\.0\.1:\d+/);
  await using second = await startTestServer(bindTo(port));
  assert.equal(second.address("shared").port, port);
});

Deno.test("the server's limit is that of each listener without one of its own", async () => {
  await using test = await startTestServer(`server.max-connections = 1
server.listener.more = { bind = "127.0.0.1:0", protocol = "smtp", max-connections = 2 }
`);
  const greetings: string[] = [];
  using clients = new DisposableStack();
  for (const name of ["smtp", "smtp", "lmtp", "more", "more", "more"]) {
    const client = clients.use(await connectClient(test.address(name)));
    greetings.push((await client.reply()).slice(0, 9));
  }
  const full = "421 4.3.2";
  const open = "220 mx.ex";
  assert.deepEqual(greetings, [open, full, open, open, open, full]);
});

Deno.test("a trusted proxy's header names the client, and nobody else's is believed", async () => {
  await using test = await startTestServer(`
server.listener.proxied = { bind = "127.0.0.1:0", protocol = "smtp", proxy.trusted-networks = ["127.0.0.0/8"] }
`);
  using proxied = await connectClient(test.address("proxied"));
  await proxied.write("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n");
  await proxied.reply();
  for (const line of ["EHLO a.example", "MAIL FROM:<a@example.net>", "RCPT TO:<ana@example.org>", "DATA"]) {
    await proxied.say(line);
  }
  assert.match(await proxied.say("Subject: x\r\n\r\nx\r\n."), /^250 /);
  await test.event("delivery.delivered");
  assert.match((await test.mail("example.org/ana"))[0] ?? "", /\r\nReceived: from a\.example \(\[192\.0\.2\.7\]\)/);

  using direct = await connectClient(test.address("smtp"));
  await direct.reply();
  assert.match(await direct.say("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25"), /^500 /);
});

Deno.test("a blocked address is refused unless it is allowed", async () => {
  await using open = await startTestServer(`server.blocked-ip = ["127.0.0.0/8"]\n`);
  // The loopback addresses always belong to the allowed ones.
  using client = await connectClient(open.address("smtp"));
  assert.match(await client.reply(), /^220 /);
  await using closed = await startTestServer(`
server.blocked-ip = ["192.0.2.0/24"]
server.listener.proxied = { bind = "127.0.0.1:0", protocol = "smtp", proxy.trusted-networks = ["127.0.0.1"] }
`);
  using blocked = await connectClient(closed.address("proxied"));
  await blocked.write("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n");
  await assert.rejects(blocked.reply());
});

Deno.test("health, readiness, metrics and the status page are served", async () => {
  await using test = await startTestServer(`
server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }
metrics.prometheus.enable = true
`);
  const { hostname, port } = test.address("http");
  const get = async (path: string) => {
    const response = await fetch(`http://${hostname}:${port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  await submit(test.address("smtp"), {
    from: "a@example.net",
    to: ["ana@example.org"],
    content: "Subject: x\r\n\r\nx\r\n",
  });
  await test.event("delivery.delivered");
  assert.equal((await get("/healthz")).status, 200);
  assert.equal((await get("/readyz")).status, 200);
  assert.match((await get("/metrics")).text, /godwit_events_total\{event="queue\.queue-message"\} 1\n/);
  const page = await get("/");
  assert.equal(page.status, 200);
  assert.match(page.text, /ana@example\.org/);
});

Deno.test("a reload opens and closes HTTP listeners and uses the new settings", async () => {
  const http = (id: string) => `server.listener.${id} = { bind = "127.0.0.1:0", protocol = "http" }\n`;
  await using test = await startTestServer(http("first") + http("second"));
  const kept = test.address("second").port;
  await test.server.reload(
    testConfiguration(`${http("second")}${http("third")}http.headers = ["X-Kept: yes"]\n`, test),
  );
  assert.deepEqual(
    test.server.listeners().filter(({ protocol }) => protocol === "http").map(({ id }) => id),
    ["second", "third"],
  );
  assert.equal(test.address("second").port, kept);
  for (const id of ["second", "third"]) {
    const response = await fetch(`http://127.0.0.1:${test.address(id).port}/healthz`);
    await response.body?.cancel();
    assert.equal(response.headers.get("x-kept"), "yes");
  }
});

Deno.test("a reload says which changes wait for the next start", async () => {
  await using test = await startTestServer();
  const next = testConfiguration("", test);
  await test.server.reload({
    ...next,
    cluster: { ...next.cluster, nodeId: "another" },
    storage: { ...next.storage, lookup: "another" },
  });
  const keys = [await test.event("config.build-warning"), await test.event("config.build-warning")]
    .map(({ fields }) => fields.key);
  assert.deepEqual(keys.sort(), ["cluster", "storage.lookup"]);
});

Deno.test("a reload that cannot bind a port leaves the old configuration in force", async () => {
  await using test = await startTestServer();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const next = testConfiguration(
    `server.listener.extra = { bind = "127.0.0.1:${taken.addr.port}", protocol = "smtp" }\n` +
      `session.connect.greeting = "'new'"\n`,
    test,
  );
  await assert.rejects(test.server.reload(next), new RegExp(`extra.*127\\.0\\.0\\.1:${taken.addr.port}`));
  using client = await connectClient(test.address("smtp"));
  assert.equal(await client.reply(), "220 mx.example.org ESMTP godwit");
});

Deno.test("a server without its store is not ready, and is again when the store works", async () => {
  await using test = await startTestServer(`server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }\n`);
  const { hostname, port } = test.address("http");
  const ready = async () => {
    const response = await fetch(`http://${hostname}:${port}/readyz`);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await ready(), 200);
  test.server.telemetry.emit("store.unavailable", { id: "data", reason: "locked" });
  assert.equal(await ready(), 503);
  test.server.telemetry.emit("store.recovered", { id: "data" });
  assert.equal(await ready(), 200);
});
