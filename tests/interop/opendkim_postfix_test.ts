/** A message on its whole way: into Postfix, signed there by OpenDKIM, and verified by godwit, which asks DNS for the key. */

import assert from "node:assert/strict";
import { postfix } from "../../scripts/bench/postfix.ts";
import { freePort } from "../../scripts/bench/server.ts";
import { openDialogue } from "../../scripts/mail/dialogue.ts";
import { record, startDnsServer } from "../support/dns_server.ts";
import { rsaKey } from "../support/signed_message.ts";
import { withPeer } from "./peer.ts";
import { run, type TestServer, withServer } from "./server.ts";

const KEY = rsaKey(2048);

const MESSAGE = new TextEncoder().encode(
  "From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Gr\u00fc\u00dfe\r\n\tund mehr \r\n\r\n" +
    "One  two \r\n..\r\nend\r\n\r\n\r\n.\r\n",
);

/** Runs Postfix with OpenDKIM as its milter; what it takes is relayed to `nextHop`. */
async function withSigningPostfix(nextHop: number, body: (port: number) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-postfix-" });
  const port = freePort();
  const milter = freePort();
  await Deno.writeTextFile(`${folder}/key`, String(KEY.privateKey.export({ type: "pkcs8", format: "pem" })));
  await Deno.writeTextFile(
    `${folder}/opendkim`,
    `Mode s\nRequireSafeKeys no\nUserID root\nDomain example.org\nSelector mail\nKeyFile ${folder}/key\n` +
      `Canonicalization relaxed/simple\nOversignHeaders From\nSocket inet:${milter}@127.0.0.1\n`,
  );
  try {
    await withPeer("opendkim", ["-f", "-x", `${folder}/opendkim`], milter, async () => {
      const running = await postfix.start({ folder, port, nextHop, httpPort: 0, deferAll: false });
      try {
        const settings = [`smtpd_milters=inet:127.0.0.1:${milter}`, "milter_default_action=tempfail"];
        await run("postconf", ["-c", `${folder}/config`, "-e", ...settings]);
        await run("postfix", ["-c", `${folder}/config`, "reload"]);
        await body(port);
      } finally {
        await running.stop();
      }
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function send(port: number, content: Uint8Array): Promise<void> {
  const dialogue = await openDialogue(port);
  try {
    for (const line of ["EHLO client.example", "MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.net>", "DATA"]) {
      const reply = await dialogue.command(line);
      assert.ok(reply.code < 400, `${line}: ${reply.text}`);
    }
    const reply = await dialogue.send(content);
    assert.equal(reply.code, 250, reply.text);
  } finally {
    dialogue.close();
  }
}

function results(mail: string): string {
  return (/^Authentication-Results:((?:.*\r?\n[ \t])*.*)/m.exec(mail)?.[1] ?? "").replace(/\s+/g, " ");
}

Deno.test("what OpenDKIM signs in Postfix passes DKIM and DMARC", async () => {
  await using dns = await startDnsServer(({ name, type }) => {
    // A record holds texts of at most 255 octets.
    const texts: Readonly<Record<string, readonly string[]>> = {
      "mail._domainkey.example.org": KEY.record.match(/.{1,255}/g) ?? [],
      "_dmarc.example.org": ["v=DMARC1; p=reject"],
    };
    const text = type === "TXT" ? texts[name.toLowerCase()] : undefined;
    return text === undefined ? { rcode: 3 } : { answers: [record(name, "TXT", text)] };
  });
  const toml = `
[auth]
dkim.verify = "strict"
dmarc.verify = "strict"
[session.data.add-headers]
auth-results = true
[resolver]
type = "custom"
custom = ["127.0.0.1:${dns.port}"]
`;
  await withServer({ toml }, async (server: TestServer) => {
    await withSigningPostfix(server.ports.mx, async (port) => {
      await send(port, MESSAGE);
      const [mail = ""] = await server.mail("bob");
      assert.match(mail, /^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed\/simple; d=example\.org;/m);
      assert.match(results(mail), /dkim=pass header\.d=example\.org header\.s=mail header\.a=rsa-sha256/);
      assert.match(results(mail), /dmarc=pass/);
    });
  });
});
