import assert from "node:assert/strict";
import { connect, type PeerCertificate } from "node:tls";
import { connectClient } from "../support/client.ts";
import { makeCertificate } from "../support/certificates.ts";
import { startTestServer, testConfiguration, type TestServer } from "../support/server.ts";

/** An authority that nobody is. */
const ACME =
  `acme.le = { directory = "http://127.0.0.1:1/dir", contact = "a@example.org", domains = "ordered.example.org", challenge = "http-01", cache = "{folder}/keys" }
server.listener.web = { bind = "127.0.0.1:0", protocol = "http" }
server.listener.secure = { bind = "127.0.0.1:0", protocol = "http", tls = { implicit = true, certificate = "le" } }
`;

/** The certificate that a listener with TLS shows for a name. */
function shownTo(servername: string, { hostname, port }: { hostname: string; port: number }): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port, servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

async function named(test: TestServer, name: string): Promise<string> {
  return (await shownTo(name, test.address("secure"))).subjectaltname ?? "";
}

Deno.test("a server starts without its authority, offers TLS meanwhile, and says what is wrong", async () => {
  await using test = await startTestServer(ACME);
  const event = await test.event("acme.error");
  assert.match(String(event.fields["reason"]), /^GET http:\/\/127\.0\.0\.1:1\/dir: /);
  assert.equal((await test.event("acme.renew-backoff")).fields["id"], "le");
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  assert.match(await client.say("EHLO client.example"), /STARTTLS/);
  assert.equal(await named(test, "ordered.example.org"), "DNS:ordered.example.org");
  // The listener names it as the one for everybody else.
  assert.equal(await named(test, "nobody.example"), "DNS:ordered.example.org");
  assert.equal(await named(test, "mx.example.org"), "DNS:mx.example.org");
});

Deno.test("a token that nobody has been given is not found", async () => {
  await using test = await startTestServer(ACME);
  const { hostname, port } = test.address("web");
  for (const token of ["x", "a".repeat(43), "..%2f..%2fetc%2fpasswd", ""]) {
    const response = await fetch(`http://${hostname}:${port}/.well-known/acme-challenge/${token}`);
    assert.equal(response.status, 404, token);
    await response.body?.cancel();
  }
});

Deno.test("a reload keeps, adds and takes away ordered certificates, and a certificate of a file beside them", async () => {
  await using test = await startTestServer(ACME);
  const { folder } = test;
  const before = (await shownTo("ordered.example.org", test.address("secure"))).fingerprint256;
  const certificate = await makeCertificate({ names: ["mx.example.org", "renewed.example.org"] });
  const second = ACME.replace(
    "acme.le",
    'acme.two = { directory = "http://127.0.0.1:1/dir", contact = "a@example.org", domains = "two.example.org", challenge = "http-01" }\nacme.le',
  );
  await test.server.reload(testConfiguration(second, { folder, certificate }));
  assert.equal((await shownTo("ordered.example.org", test.address("secure"))).fingerprint256, before);
  assert.equal(await named(test, "two.example.org"), "DNS:two.example.org");
  assert.equal(await named(test, "renewed.example.org"), "DNS:mx.example.org, DNS:renewed.example.org");
  await test.server.reload(testConfiguration(ACME, { folder, certificate }));
  assert.equal(await named(test, "two.example.org"), "DNS:ordered.example.org");
  // What cannot come into force leaves everything as it was.
  const taken = test.address("smtp").port;
  const impossible =
    `${second}server.socket.reuse-port = false\nserver.listener.more = { bind = "127.0.0.1:${taken}", protocol = "smtp" }\n`;
  await assert.rejects(test.server.reload(testConfiguration(impossible, { folder, certificate })));
  assert.equal(await named(test, "two.example.org"), "DNS:ordered.example.org");
  assert.equal((await shownTo("ordered.example.org", test.address("secure"))).fingerprint256, before);
});
