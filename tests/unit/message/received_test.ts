import assert from "node:assert/strict";
import { receivedField, type ReceivedOptions, receivedProtocol } from "../../../src/message/mod.ts";

const BASE: ReceivedOptions = {
  helo: "client.example",
  ip: "192.0.2.1",
  hostname: "mx.example.org",
  with: "ESMTP",
  id: "1a2b3c",
  date: Date.UTC(2026, 0, 5, 12),
};

function field(options: Partial<ReceivedOptions>): string {
  return new TextDecoder().decode(receivedField({ ...BASE, ...options }));
}

Deno.test("the with keyword is the registered one", () => {
  const table: [boolean, boolean, boolean, boolean, string, string][] = [
    // esmtp, tls, auth, utf8, SMTP, LMTP
    [false, false, false, false, "SMTP", "LMTP"],
    [true, false, false, false, "ESMTP", "LMTP"],
    [true, true, false, false, "ESMTPS", "LMTPS"],
    [true, false, true, false, "ESMTPA", "LMTPA"],
    [true, true, true, false, "ESMTPSA", "LMTPSA"],
    [true, false, false, true, "UTF8SMTP", "UTF8LMTP"],
    [true, true, false, true, "UTF8SMTPS", "UTF8LMTPS"],
    [true, false, true, true, "UTF8SMTPA", "UTF8LMTPA"],
    [true, true, true, true, "UTF8SMTPSA", "UTF8LMTPSA"],
  ];
  for (const [esmtp, tls, auth, utf8, smtp, lmtp] of table) {
    assert.equal(receivedProtocol({ protocol: "smtp", esmtp, tls, auth, utf8 }), smtp);
    assert.equal(receivedProtocol({ protocol: "lmtp", esmtp, tls, auth, utf8 }), lmtp);
  }
});

Deno.test("the plain field", () => {
  assert.equal(
    field({}),
    "Received: from client.example ([192.0.2.1])\r\n" +
      "\tby mx.example.org with ESMTP id 1a2b3c;\r\n" +
      "\tMon, 05 Jan 2026 12:00:00 +0000\r\n",
  );
});

Deno.test("the field with everything", () => {
  assert.equal(
    field({
      helo: "[IPv6:2001:db8::2]",
      clientName: "host.example",
      ip: "2001:db8::1",
      with: "ESMTPSA",
      rcpt: "b@example.org",
      tls: { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256 },
      authenticatedAs: "alice",
      offsetMinutes: 60,
    }),
    "Received: from [IPv6:2001:db8::2] (host.example [IPv6:2001:db8::1])\r\n" +
      "\tby mx.example.org with ESMTPSA id 1a2b3c\r\n" +
      "\t(TLSv1.3 cipher TLS_AES_256_GCM_SHA384 bits 256)\r\n" +
      "\t(authenticated as alice)\r\n" +
      "\tfor <b@example.org>;\r\n" +
      "\tMon, 05 Jan 2026 13:00:00 +0100\r\n",
  );
});

Deno.test("a message made here came from nowhere", () => {
  assert.match(field({ ip: "" }), /^Received: by mx\.example\.org with/);
});

Deno.test("a name that is no domain goes into a comment and cannot leave it", () => {
  assert.match(
    field({ helo: "my_pc (x)\\" }),
    /^Received: from \[192\.0\.2\.1\] \(\[192\.0\.2\.1\]\) \(helo my_pc \?x\?\?\)\r\n/,
  );
  assert.match(field({ helo: "" }), /^Received: from \[192\.0\.2\.1\] \(\[192\.0\.2\.1\]\)\r\n/);
  assert.match(field({ helo: "a\r\nBcc: evil" }), /\(helo a\?\?Bcc: evil\)\r\n/);
  assert.ok(!field({ clientName: "evil) from (x" }).includes("evil"));
  assert.match(field({ authenticatedAs: "a)b\r\n" }), /\(authenticated as a\?b\?\?\)/);
  assert.match(field({ id: "a b\r\n" }), / id a_b__;/);
  assert.ok(field({ helo: "x".repeat(5000) }).split("\r\n").every((line) => line.length <= 998));
});

Deno.test("an international recipient is named only in an international message", () => {
  assert.ok(!field({ rcpt: "ä@example.org" }).includes("for"));
  assert.match(field({ rcpt: "ä@example.org", with: "UTF8SMTP" }), /\tfor <ä@example\.org>;/);
  // Where only the domain is international it has another spelling.
  assert.match(field({ rcpt: "b@bücher.example", with: "UTF8SMTP" }), /\tfor <b@xn--bcher-kva\.example>;/);
});
