/** A signed message on its way through Postfix, where OpenDKIM verifies it as a milter. */

import assert from "node:assert/strict";
import { postfix } from "../../scripts/bench/postfix.ts";
import { freePort } from "../../scripts/bench/server.ts";
import { openDialogue } from "../../scripts/mail/dialogue.ts";
import { startSink } from "../../scripts/mail/sink.ts";
import { publicKeyText, signingKey } from "../support/signing_keys.ts";
import { withPeer } from "./peer.ts";
import { eventually, run, withServer } from "./server.ts";

const rsa = signingKey("rsa-sha256", "r1");
const ed = signingKey("ed25519-sha256", "e1");

/** Runs a Postfix that takes 7 bits only and has OpenDKIM look at what comes in. */
async function withVerifier(nextHop: number, body: (port: number) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-postfix-" });
  const port = freePort();
  const milter = freePort();
  const keys = [rsa, ed].map((key) => `${key.selector}._domainkey.example.net ${publicKeyText(key)}\n`).join("");
  await Deno.writeTextFile(`${folder}/keys`, keys);
  // By default it does not look at mail from the same machine.
  const settings = [
    "Mode v",
    `TestPublicKeys ${folder}/keys`,
    "InternalHosts 192.0.2.1",
    "AuthservID verifier.example",
  ];
  await Deno.writeTextFile(`${folder}/opendkim.conf`, `${settings.join("\n")}\n`);
  const args = ["-f", "-x", `${folder}/opendkim.conf`, "-p", `inet:${milter}@127.0.0.1`];
  try {
    await withPeer("opendkim", Deno.uid() === 0 ? [...args, "-u", "root"] : args, milter, async () => {
      const running = await postfix.start({ folder, port, nextHop, httpPort: 0, deferAll: false });
      try {
        await run("postconf", [
          ...["-c", `${folder}/config`, "smtpd_discard_ehlo_keywords=8bitmime,smtputf8,chunking"],
          ...[`smtpd_milters=inet:127.0.0.1:${milter}`, "milter_default_action=tempfail"],
        ]);
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

const SIGNING = `[auth.dkim]
sign = "['rsa', 'ed']"
[signature.rsa]
private-key = """${rsa.pem}"""
domain = "example.net"
selector = "r1"
algorithm = "rsa-sha256"
canonicalization = "simple/simple"
[signature.ed]
private-key = """${ed.pem}"""
domain = "example.net"
selector = "e1"
algorithm = "ed25519-sha256"
`;

const HEADER = "From: Ana <ana@example.net>\r\nTo: dave@elsewhere.example\r\nSubject: on the way,\r\n\tand folded\r\n" +
  "MIME-Version: 1.0\r\n";

Deno.test("text, 8-bit text and attachments arrive with their signatures where only 7 bits pass", async () => {
  const contents: string[] = [];
  const sink = startSink({
    keepContent: true,
    onMessage({ content }) {
      contents.push(new TextDecoder("latin1").decode(content));
      return undefined;
    },
  });
  const bodies = [
    "Content-Type: text/plain\r\n\r\nHello  Dave \r\n\t.\r\n..\r\nFrom here\r\n\r\n\r\n",
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n.dot\r\n",
    `Content-Type: text/html\r\n\r\n<p>${"long ".repeat(5000)}</p>\r\n`,
    "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n" +
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u00e4\u00f6\u00fc\r\n--b\r\n" +
    "Content-Type: application/x-data\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u00ff\u00fe\r\n--b--\r\n",
  ];
  await withVerifier(sink.port, async (port) => {
    await withServer({ relayPort: port, openRelay: true, toml: SIGNING }, async ({ ports }) => {
      const dialogue = await openDialogue(ports.mx);
      await dialogue.command("EHLO client.example");
      for (const body of bodies) {
        for (
          const line of ["MAIL FROM:<ana@example.net> BODY=8BITMIME", "RCPT TO:<dave@elsewhere.example>", "DATA"]
        ) {
          assert.ok((await dialogue.command(line)).code < 400);
        }
        const stuffed = `${HEADER}${body}`.replaceAll(/^\./gm, "..");
        assert.equal((await dialogue.send(new TextEncoder().encode(`${stuffed}.\r\n`))).code, 250);
      }
      dialogue.close();
      await eventually("all arrive", () => contents.length === bodies.length || undefined);
    });
  });
  sink.close();
  for (const content of contents) {
    assert.match(content, /^[\t\r\n -~]*$/, "7 bits");
    const [results = ""] = /^Authentication-Results: verifier\.example;[^]*?\r\n(?=\S)/m.exec(content) ?? [];
    assert.match(results, /dkim=pass [^;]*header\.a=rsa-sha256 header\.s=r1/, results);
    assert.match(results, /dkim=pass [^;]*header\.a=ed25519-sha256 header\.s=e1/, results);
  }
});
