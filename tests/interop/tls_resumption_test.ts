/** TLS sessions that are resumed: outward with Postfix as the server, inward with Postfix as the client. */

import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { makeCertificate } from "../support/certificates.ts";
import { startTestServer } from "../support/server.ts";
import { tlsaFor } from "../support/tlsa.ts";
import { createZone } from "../support/zone.ts";
import { run } from "./server.ts";
import { fateOf, keepingSink, withTlsHosts } from "./tls_hosts.ts";

const own = await makeCertificate({ names: ["mx.dane.example"] });
const other = await makeCertificate({ names: ["mx.lax.example"] });

Deno.test("sessions with a Postfix are resumed, under DANE as well as where any certificate does", async () => {
  const sink = keepingSink();
  const port = freePort();
  const settings = ["smtpd_tls_received_header=yes"];
  const hosts = [
    { address: "127.0.6.1", certificate: own, settings },
    { address: "127.0.6.2", certificate: other, settings: [...settings, "smtpd_tls_protocols=TLSv1.2"] },
  ];
  const zone = createZone({
    "dane.example": { mx: [[10, "mx.dane.example"]], security: "secure" },
    "mx.dane.example": { a: ["127.0.6.1"], security: "secure" },
    [`_${port}._tcp.mx.dane.example`]: { tlsa: [await tlsaFor(own, 3, 1, 1)], security: "secure" },
    "lax.example": { mx: [[10, "mx.lax.example"]] },
    "mx.lax.example": { a: ["127.0.6.2"] },
  });
  await withTlsHosts(hosts, { port, nextHop: sink.port }, async () => {
    await using server = await startTestServer(
      `session.rcpt.relay = true
queue.strategy.tls = "'lax'"
queue.tls.lax = { allow-invalid-certs = true, mta-sts = "disable" }
queue.connection.default.pool.max-messages = 1
`,
      { mxPort: port, resolver: zone },
    );
    for (let i = 0; i < 4; i++) {
      for (const domain of ["dane.example", "lax.example"]) {
        assert.equal(await fateOf(server, `u${i}@${domain}`), "delivered");
      }
    }
    const started = server.events.filter(({ name }) => name === "delivery.start-tls");
    const of = (host: string) =>
      started.filter(({ fields }) => fields.host === host).map(({ fields }) => `${fields.version} ${fields.resumed}`);
    // With TLS 1.3 Postfix gives one ticket for each full handshake, and a ticket is used once (RFC 8446 §C.4).
    assert.deepEqual(of("mx.dane.example"), ["TLSv1.3 false", "TLSv1.3 true", "TLSv1.3 false", "TLSv1.3 true"]);
    assert.deepEqual(of("mx.lax.example"), ["TLSv1.2 false", "TLSv1.2 true", "TLSv1.2 true", "TLSv1.2 true"]);
  });
  sink.close();
  assert.match(sink.for("u3@dane.example")[0] ?? "", /\(using TLSv1\.3 with cipher TLS_AES_256_GCM_SHA384/);
});

Deno.test("posttls-finger of Postfix resumes its session when it reconnects", async () => {
  await using server = await startTestServer("");
  const { hostname, port } = server.address("smtp");
  // -r: seconds after which it connects again with what it has in its cache; -m: how often.
  const output = await run("posttls-finger", [
    ...[
      "-o",
      "myhostname=client.example",
      "-c",
      "-r",
      "1",
      "-m",
      "1",
      "-L",
      "verbose,cache,summary",
      "-l",
      "may",
      `[${hostname}]:${port}`,
    ],
  ]);
  assert.match(output, /TLS connection (?:established|reused)/);
  assert.match(output, /Reusing old session|TLS session reused|Reused session/i);
});
