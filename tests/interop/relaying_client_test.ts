/** Postfix and Dovecot as clients that log in here and hand on what their own users send. */

import assert from "node:assert/strict";
import { postfix } from "../../scripts/bench/postfix.ts";
import { freePort } from "../../scripts/bench/server.ts";
import { withPeer } from "./peer.ts";
import { run, type ServerSettings, type TestServer, withServer } from "./server.ts";
import { smtplib } from "./smtplib.ts";

// Neither says EHLO again after its login, so DSN has to be offered before it.
const SETTINGS: ServerSettings = {
  openRelay: true,
  toml: `[session.extensions]
dsn = "listener != 'mx'"
[[directory.people.principals]]
name = "jürgen"
email = ["jürgen@example.net"]
`,
};

/** Runs a Postfix that relays to the server, logging in as ana over TLS; `body` gets its port. */
async function withPostfix(
  { ports, certificate, folder }: TestServer,
  settings: readonly string[],
  body: (port: number) => Promise<void>,
): Promise<void> {
  const own = await Deno.makeTempDir({ prefix: "godwit-postfix-" });
  const port = freePort();
  // Its daemons are not root and read the certificate of the server.
  await Deno.chmod(folder, 0o755);
  const running = await postfix.start({ folder: own, port, nextHop: ports.submission, httpPort: 0, deferAll: false });
  try {
    await Deno.writeTextFile(`${own}/config/passwords`, "localhost ana:secret-ana\n");
    await run("postconf", [
      ...["-c", `${own}/config`, `relayhost=[localhost]:${ports.submission}`, "smtp_connection_cache_destinations="],
      ...["smtp_host_lookup=native", "smtp_tls_security_level=secure", "smtp_tls_secure_cert_match=localhost"],
      ...[`smtp_tls_CAfile=${certificate}`, "smtp_sasl_auth_enable=yes", "smtp_sasl_security_options=noanonymous"],
      ...[`smtp_sasl_password_maps=texthash:${own}/config/passwords`, "smtputf8_enable=yes", ...settings],
    ]);
    // The bench has no use for TLS; its key material is the work of a daemon of its own.
    await run("postconf", ["-c", `${own}/config`, "-M", "tlsmgr/unix=tlsmgr unix - - n 1000? 1 tlsmgr"]);
    await run("postfix", ["-c", `${own}/config`, "reload"]);
    await body(port);
  } finally {
    await running.stop();
    await Deno.remove(own, { recursive: true });
  }
}

const MESSAGE = `"Subject: gr\\u00fc\\u00dfe\\n\\nhello\\n".encode()`;

for (const mechanism of ["plain", "login", "cram-md5", "scram-sha-256"]) {
  Deno.test(`Postfix logs in with ${mechanism} over TLS that it has verified`, async () => {
    await withServer({ ...SETTINGS, mechanisms: `'${mechanism}'` }, async (server) => {
      await withPostfix(server, [`smtp_sasl_mechanism_filter=${mechanism}`], async (port) => {
        await smtplib(`connect(port).sendmail("ana@example.net", ["bob@example.net"], "Subject: hello\\n\\nhello")`, {
          port,
        });
        assert.match((await server.mail("bob"))[0]!, /^Received: from postfix\.bench\.example [^]*?with ESMTPSA/m);
      });
    });
  });
}

Deno.test("Postfix speaks TLS from the first byte", async () => {
  await withServer(SETTINGS, async (server) => {
    const settings = [`relayhost=[localhost]:${server.ports.submissions}`, "smtp_tls_wrappermode=yes"];
    await withPostfix(server, settings, async (port) => {
      await smtplib(`connect(port).sendmail("ana@example.net", ["bob@example.net"], "Subject: hello\\n\\nhello")`, {
        port,
      });
      assert.match((await server.mail("bob"))[0]!, /with ESMTPSA/);
    });
  });
});

Deno.test("Postfix hands on addresses beyond ASCII, and the wish for a report", async () => {
  await withServer(SETTINGS, async (server) => {
    await withPostfix(server, [], async (port) => {
      await smtplib(
        `smtp = connect(port)
smtp.sendmail("ana@example.net", ["j\\u00fcrgen@example.net"], ${MESSAGE}, ["SMTPUTF8", "BODY=8BITMIME", "RET=HDRS",
  "ENVID=QQ314159"], ["NOTIFY=SUCCESS,FAILURE", "ORCPT=utf-8;j\\\\x{FC}rgen@example.net"])`,
        { port },
      );
      const [text] = await server.mail("jürgen");
      assert.match(text!, /^Subject: grüße/m);
      assert.match(text!, /^Received: from postfix\.bench\.example [^]*?with UTF8SMTPSA/m);
      // The report is ours: Postfix would have written "relayed" had it not been able to hand on the wish.
      const [report] = await server.mail("ana");
      assert.match(report!, /^Reporting-MTA: dns; ?mx\.example\.net/mi);
      assert.match(report!, /^Original-Envelope-Id: QQ314159/m);
      assert.match(report!, /^Action: delivered/m);
      assert.match(report!, /^Original-Recipient: utf-8; ?jürgen@example\.net/mi);
    });
  });
});

/** Runs a Dovecot of its own with one service on a free port; `body` gets the port. */
async function withDovecot(
  configuration: (folder: string, port: number) => string,
  body: (port: number) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-dovecot-" });
  const port = freePort();
  try {
    await Deno.mkdir(`${folder}/mail`);
    await Deno.chmod(folder, 0o755);
    await run("chown", ["nobody", `${folder}/mail`]);
    await Deno.writeTextFile(
      `${folder}/dovecot.conf`,
      `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
mail_location = maildir:${folder}/mail/%u
first_valid_uid = 1
hostname = dovecot.example
${configuration(folder, port)}`,
    );
    await withPeer("dovecot", ["-F", "-c", `${folder}/dovecot.conf`], port, () => body(port));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A submission service that hands on what its users send, as ana. */
const submissionRelay = (next: number, ssl: "starttls" | "smtps") => (folder: string, port: number) =>
  `protocols = submission
submission_relay_host = 127.0.0.1
submission_relay_port = ${next}
submission_relay_ssl = ${ssl}
submission_relay_user = ana
submission_relay_password = secret-ana
submission_relay_ssl_verify = no
passdb {
  driver = static
  args = password=pass
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${folder}/mail/%u
}
service submission-login {
  inet_listener submission {
    address = 127.0.0.1
    port = ${port}
  }
  inet_listener submissions {
    port = 0
  }
}
`;

/** An LMTP service that keeps nothing itself. */
const lmtpProxy = (next: number) => (_folder: string, port: number) =>
  `protocols = lmtp
lmtp_proxy = yes
passdb {
  driver = static
  args = proxy=y host=127.0.0.1 port=${next} protocol=lmtp nopassword=y
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
}
`;

for (const ssl of ["starttls", "smtps"] as const) {
  Deno.test(`Dovecot's submission service hands on what its users send, over ${ssl}`, async () => {
    await withServer(SETTINGS, async (server) => {
      const next = ssl === "smtps" ? server.ports.submissions : server.ports.submission;
      await withDovecot(submissionRelay(next, ssl), async (port) => {
        const output = await smtplib(
          `smtp = connect(port)
smtp.login("someone", "pass")
show(smtp.mail("ana@example.net", ["RET=HDRS", "ENVID=abc"]))
show(smtp.rcpt("bob@example.net", ["NOTIFY=SUCCESS"]))
show(smtp.rcpt("nobody@example.net"))
show(smtp.data("Subject: through Dovecot\\n\\n.hello\\n"))
smtp.mail("eve@example.org")
show(smtp.rcpt("bob@example.net"))`,
          { port },
        );
        // What we say about a recipient reaches the user of Dovecot.
        assert.match(output, /^250 .*\n250 2\.1\.5 .*\n550 5\.1\.1 .*\n250 2\.0\.0 .*\n5\d\d /);
        const [text] = await server.mail("bob");
        assert.match(text!, /^Subject: through Dovecot\r?\n\r?\n\.hello/m);
        assert.match(text!, /with ESMTPSA/);
        const [report] = await server.mail("ana");
        assert.match(report!, /^Original-Envelope-Id: abc[^]*^Action: delivered/m);
      });
    });
  });
}

Deno.test("Dovecot's LMTP proxy hands mail on, with our reply for each recipient", async () => {
  await withServer(SETTINGS, async (server) => {
    await withDovecot(lmtpProxy(server.ports.lmtp), async (port) => {
      const output = await smtplib(
        `lmtp = smtplib.LMTP("127.0.0.1", port, timeout=20)
lmtp.ehlo("client.example")
show(lmtp.mail("carol@example.org"))
for name in ["bob", "nobody", "ana"]: show(lmtp.rcpt(name + "@example.net"))
lmtp.putcmd("DATA")
show(lmtp.getreply())
lmtp.send(b"Subject: through the proxy\\r\\n\\r\\nhello\\r\\n.\\r\\n")
for recipient in range(2): show(lmtp.getreply())`,
        { port },
      );
      assert.match(
        output,
        /^250 .*\n250 2\.1\.5 .*\n550 5\.1\.1 .*\n250 2\.1\.5 .*\n354 .*\n250 2\.0\.0 .*\n250 2\.0\.0 /,
      );
      for (const account of ["bob", "ana"]) {
        assert.match((await server.mail(account))[0]!, /^Received: from [^]*?with LMTP /m);
      }
    });
  });
});
