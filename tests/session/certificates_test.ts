/** Certificates through the whole program: files that change while sessions go on. */

import assert from "node:assert/strict";
import tls from "node:tls";
import { makeCertificate } from "../support/certificates.ts";
import { connectClient } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startTestServer } from "../support/server.ts";

const DAY = 86_400_000;

function open(address: { hostname: string; port: number }): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = address;
    const socket = tls.connect({ host, port, servername: "files.example", rejectUnauthorized: false }, () => {
      resolve(socket);
    });
    socket.on("error", reject);
  });
}

Deno.test("files that change are used for new sessions, and those that run go on", async () => {
  const clock = new FakeClock(Date.now());
  const soon = await makeCertificate({
    names: ["files.example"],
    notBefore: new Date(Date.now() - 86.5 * DAY),
    notAfter: new Date(Date.now() + 3.5 * DAY),
  });
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  await Deno.writeTextFile(`${folder}/cert.pem`, soon.cert);
  await Deno.writeTextFile(`${folder}/key.pem`, soon.privateKey, { mode: 0o600 });
  await using test = await startTestServer(
    `server.listener.smtps = { bind = "127.0.0.1:0", protocol = "smtp", tls.implicit = true }
http.auth.token = "token"
server.listener.web = { bind = "127.0.0.1:0", protocol = "http" }
metrics.prometheus.enable = true
certificate.files = { cert = "{folder}/cert.pem", private-key = "{folder}/key.pem", default = true }
`,
    { clock, folder },
  );
  const warning = await test.event("tls.certificate-expires");
  assert.deepEqual([warning.fields.id, warning.fields.details?.toString().slice(-9)], ["files", "in 3 days"]);

  const held = await open(test.address("smtps"));
  const lines = held.setEncoding("utf8")[Symbol.asyncIterator]();
  assert.match(String((await lines.next()).value), /^220 /);
  using running = await connectClient(test.address("smtp"));
  await running.reply();

  const renewed = await makeCertificate({ names: ["files.example"], notAfter: new Date(Date.now() + 90 * DAY) });
  await Deno.writeTextFile(`${folder}/cert.pem`, renewed.cert);
  await Deno.writeTextFile(`${folder}/key.pem`, renewed.privateKey);
  await clock.advance(60_000);
  const loaded = await test.event("tls.certificate-loaded");
  assert.equal(loaded.fields.id, "files");

  const fresh = await open(test.address("smtps"));
  assert.deepEqual(new Uint8Array(fresh.getPeerCertificate().raw), renewed.der);
  fresh.destroy();
  held.write("EHLO a.example\r\n");
  assert.match(String((await lines.next()).value), /^250/);
  held.destroy();
  assert.match(await running.say("EHLO a.example"), /^250/);

  const { hostname, port } = test.address("web");
  const metrics = await (await fetch(`http://${hostname}:${port}/metrics`)).text();
  const told = /^godwit_certificate_expiry_timestamp_seconds\{certificate="files"\} (\d+)$/m.exec(metrics)?.[1];
  // Certificates tell whole seconds.
  assert.equal(Number(told), Math.floor((Date.parse(String(loaded.fields.expires))) / 1000));
  assert.ok(Number(told) * 1000 > Date.now() + 89 * DAY);
});
