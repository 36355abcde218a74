/** Clear text behind STARTTLS, over real sockets and a real handshake. */

import assert from "node:assert/strict";
import { connectClient } from "../support/client.ts";
import { startTestServer } from "../support/server.ts";

const INJECTED = "EHLO evil.example\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<ana@example.org>\r\n";

for (const segments of [["STARTTLS\r\n", INJECTED], ["START", "TLS\r", `\n${INJECTED}`], [`STARTTLS\r\n${INJECTED}`]]) {
  Deno.test(`nothing injected behind STARTTLS is obeyed: ${segments.length} segments`, async () => {
    await using test = await startTestServer();
    // Deno.startTls takes the connection over, whatever becomes of it.
    const client = await connectClient(test.address("smtp"));
    await client.reply();
    await client.say("EHLO client.example.net");
    for (const segment of segments) await client.write(segment);
    assert.match(await client.reply(), /^220 /);
    // Text that came too late to be dropped meets the handshake, which fails on it.
    try {
      const tls = await Deno.startTls(client.conn as Deno.TcpConn, {
        hostname: "mx.example.org",
        caCerts: [test.certificate.cert],
      });
      await tls.write(new TextEncoder().encode("RCPT TO:<ana@example.org>\r\n"));
      const buffer = new Uint8Array(1000);
      const count = await tls.read(buffer);
      if (count !== null) {
        assert.match(new TextDecoder().decode(buffer.subarray(0, count)), /^503 5\.5\.1 Send MAIL first/);
      }
      tls.close();
    } catch (error) {
      assert.ok(error instanceof Error);
    }
    const names = test.events.filter(({ name }) => name === "smtp.ehlo").map(({ fields }) => fields.domain);
    assert.deepEqual(names, ["client.example.net"]);
    assert.equal(test.events.some(({ name }) => name === "smtp.mail-from" || name === "smtp.rcpt-to"), false);
  });
}
