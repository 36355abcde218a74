/** The Received field of a message that came over real TLS, from a client that had logged in. */

import assert from "node:assert/strict";
import { connectClient } from "../support/client.ts";
import { startTestServer } from "../support/server.ts";

Deno.test("Received tells the TLS version and suite that were agreed on, and ESMTPSA", async () => {
  await using test = await startTestServer(`session.auth = { require = false, mechanisms = "['plain']" }`);
  const client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example.net");
  assert.match(await client.say("STARTTLS"), /^220 /);
  const tls = await Deno.startTls(client.conn as Deno.TcpConn, {
    hostname: "mx.example.org",
    caCerts: [test.certificate.cert],
  });
  const say = async (lines: string, replies: number) => {
    await tls.write(new TextEncoder().encode(lines));
    let text = "";
    const buffer = new Uint8Array(4096);
    while ((text.match(/^[0-9]{3} [^\n]*\n/gm) ?? []).length < replies) {
      const count = await tls.read(buffer);
      assert.notEqual(count, null, text);
      text += new TextDecoder().decode(buffer.subarray(0, count!));
    }
    return text;
  };
  await say("EHLO client.example.net\r\nAUTH PLAIN AGFuYQBzZWNyZXQ=\r\n", 2);
  await say("MAIL FROM:<ana@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n", 3);
  assert.match(await say("Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n", 2), /^250 2\.0\.0 Message queued/);
  tls.close();
  await test.event("delivery.delivered");
  const [mail] = await test.mail("example.org/bob");
  assert.match(
    mail ?? "",
    / with ESMTPSA id [0-9a-z]{11}\r\n\t\(TLSv1\.3 cipher TLS_[A-Z0-9_]+ bits (?:128|256)\)\r\n\tfor <bob@example\.org>;/,
  );
});
