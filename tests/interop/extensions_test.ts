/** What each extension of SMTP does for clients that others have written. */

import assert from "node:assert/strict";
import { startSink } from "../../scripts/mail/sink.ts";
import { queued, run, type ServerSettings, tryRun, withServer } from "./server.ts";
import { smtplib } from "./smtplib.ts";

const LOGIN = `smtp = connect(port)
smtp.login("ana", "secret-ana")
`;

const ANSWERS = `[session.extensions]
vrfy = true
expn = true
dsn = true
no-soliciting = "'org.example:ADULT'"
[[directory.people.principals]]
name = "carol"
email = ["carol@example.net", "ca+rol@example.net"]
email-list = ["all@example.net"]
[[directory.people.principals]]
name = "dave"
email = ["dave@example.net", "jürgen@example.net"]
email-list = ["all@example.net"]
`;

Deno.test("a session offers what works in it: before TLS, after it, and on the other listeners", async () => {
  await withServer({}, async ({ ports, certificate }) => {
    const offered = async (port: number, ca?: string) =>
      (await smtplib(`print(" ".join(sorted(connect(port).esmtp_features)))`, { port, ...ca !== undefined && { ca } }))
        .trim().split(" ");
    const always = ["8bitmime", "binarymime", "chunking", "enhancedstatuscodes", "help", "limits", "pipelining"];
    const basic = [...always, "size", "smtputf8"];
    assert.deepEqual(await offered(ports.mx), [...basic, "starttls"]);
    assert.deepEqual(await offered(ports.submission), [...basic, "starttls"]);
    assert.deepEqual(await offered(ports.mx, certificate), [...always, "requiretls", "size", "smtputf8"]);
    const secure = ["auth", ...always, "requiretls", "size", "smtputf8"];
    assert.deepEqual((await offered(ports.submission, certificate)).sort(), secure.sort());
    const afterLogin = await smtplib(`${LOGIN}smtp.ehlo()\nprint(" ".join(smtp.esmtp_features))`, {
      port: ports.submission,
      ca: certificate,
    });
    for (const extension of ["dsn", "futurerelease", "deliverby", "mt-priority"]) {
      assert.ok(afterLogin.split(" ").includes(extension), extension);
    }
  });
});

Deno.test("binary content in chunks arrives octet for octet", async () => {
  await withServer({}, async ({ ports, folder, mail }) => {
    const output = await smtplib(
      `smtp = connect(port)
content = b"Subject: binary\\r\\nContent-Type: application/octet-stream\\r\\nContent-Transfer-Encoding: binary\\r\\n\\r\\n"
content += bytes(range(256)) * 40 + b"\\r\\n.\\r\\n\\n.\\n\\r.\\r" + b"x" * 5000
show(smtp.mail("carol@example.org", ["BODY=BINARYMIME"]))
show(smtp.rcpt("bob@example.net"))
for start in range(0, len(content), 1000):
  chunk = content[start:start + 1000]
  smtp.send(b"BDAT %d\\r\\n" % len(chunk) + chunk)
  assert smtp.getreply()[0] == 250
smtp.send(b"BDAT 0 LAST\\r\\n")
show(smtp.getreply())
open(folder + "/sent", "wb").write(content)`,
      { port: ports.mx, folder },
    );
    assert.match(output, /^250 2\.1\.0 .*\n250 2\.1\.5 .*\n250 2\.0\.0 /);
    await mail("bob");
    const sent = await Deno.readFile(`${folder}/sent`);
    const [entry] = [...Deno.readDirSync(`${folder}/mail/bob/new`)];
    const kept = await Deno.readFile(`${folder}/mail/bob/new/${entry!.name}`);
    assert.deepEqual(kept.slice(-sent.length), sent);
  });
});

Deno.test("a message that is larger than SIZE allows is refused before it is sent", async () => {
  await withServer({}, async ({ ports, certificate, mail }) => {
    const output = await smtplib(
      `smtp = connect(port)
show(smtp.mail("carol@example.org", ["SIZE=" + str(int(smtp.esmtp_features["size"]) + 1)]))
show(smtp.mail("carol@example.org", ["SIZE=" + smtp.esmtp_features["size"]]))`,
      { port: ports.mx, ca: certificate },
    );
    assert.match(output, /^552 5\.3\.4 .*\n250 2\.1\.0 /);
    // It did not begin a transaction that would be delivered.
    await run("swaks", ["--server", `127.0.0.1:${ports.mx}`, "--from", "c@example.org", "--to", "bob@example.net"]);
    assert.equal((await mail("bob")).length, 1);
  });
});

Deno.test("LIMITS tells how many recipients are taken, and the rest is told to come later", async () => {
  await withServer({}, async ({ ports, mail }) => {
    const output = await smtplib(
      `smtp = connect(port)
limits = dict(limit.split("=") for limit in smtp.esmtp_features["limits"].split())
most = int(limits["RCPTMAX"])
smtp.mail("carol@example.org")
print([smtp.rcpt("bob+%d@example.net" % number)[0] for number in range(most)].count(250) == most)
show(smtp.rcpt("ana@example.net"))
show(smtp.data("Subject: to many\\n\\nhello"))`,
      { port: ports.mx },
    );
    assert.match(output, /^True\n452 4\.5\.3 .*\n250 2\.0\.0 /);
    await mail("bob", 100);
  });
});

Deno.test("REQUIRETLS counts on encrypted sessions only, and mail does not leave by a peer that lacks it", async () => {
  const sink = startSink();
  const settings = { relayPort: sink.port, openRelay: true };
  await withServer(settings, async ({ ports, certificate, mail }) => {
    const attempt = `smtp = connect(port)
show(smtp.mail("ana@example.net", ["REQUIRETLS"]))`;
    assert.match(await smtplib(attempt, { port: ports.mx }), /^5\d\d 5\.\d+\.\d+ /);
    const sent = `${attempt}
for recipient in ["bob@example.net", "dave@elsewhere.example"]: show(smtp.rcpt(recipient))
show(smtp.data("Subject: not in clear text\\n\\nhello"))`;
    assert.match(await smtplib(sent, { port: ports.mx, ca: certificate }), /^250 2\.1\.0 [^]*\n250 2\.0\.0 /);
    assert.match((await mail("bob"))[0]!, /^Subject: not in clear text/m);
    // RFC 8689 §4.2.1: the message goes back, and says why.
    const [bounce] = await mail("ana");
    assert.match(bounce!, /^Final-Recipient: rfc822; ?dave@elsewhere\.example/mi);
    assert.match(bounce!, /^Status: 5\.7\.\d+/m);
    assert.equal(sink.count, 0);
  });
  sink.close();
});

Deno.test("mail of a kind that NO-SOLICITING names is refused", async () => {
  await withServer({ toml: ANSWERS }, async ({ ports }) => {
    const output = await smtplib(
      `smtp = connect(port)
print(smtp.esmtp_features["no-soliciting"])
show(smtp.mail("carol@example.org", ["SOLICIT=org.example:ADULT"]))
show(smtp.mail("carol@example.org", ["SOLICIT=net.example:OTHER"]))`,
      { port: ports.mx },
    );
    assert.match(output, /^org\.example:ADULT\n550 5\.7\.1 .*\n250 2\.1\.0 /);
  });
});

Deno.test("a message with HOLDFOR or HOLDUNTIL stays in the queue, and asking for too long is refused", async () => {
  await withServer({}, async (server) => {
    const { ports, certificate } = server;
    const output = await smtplib(
      `${LOGIN}import datetime
later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
for parameter in ["HOLDFOR=3600", "HOLDUNTIL=" + later]:
  show(smtp.mail("ana@example.net", [parameter]))
  smtp.rcpt("bob@example.net")
  smtp.data("Subject: held\\n\\nhello")
smtp.sendmail("ana@example.net", ["ana@example.net"], "Subject: at once\\n\\nhello")
show(smtp.mail("ana@example.net", ["HOLDFOR=31536000"]))`,
      { port: ports.submission, ca: certificate },
    );
    assert.match(output, /^250 2\.1\.0 .*\n250 2\.1\.0 .*\n501 5\.5\.4 /);
    // What was sent after them has arrived, they have not.
    await server.mail("ana");
    const waiting = await queued(server);
    assert.deepEqual(waiting.map(({ address, attempts }) => [address, attempts]), [
      ["bob@example.net", 0],
      ["bob@example.net", 0],
    ]);
  });
});

Deno.test("a message that could not be delivered by its deadline comes back, or its sender is told", async () => {
  // Nobody listens where mail for other domains goes.
  await withServer({ openRelay: true }, async ({ ports, certificate, mail }) => {
    await smtplib(
      `${LOGIN}for mode in ["R", "N"]:
  show(smtp.mail("ana@example.net", ["BY=1;" + mode]))
  smtp.rcpt("dave-%s@elsewhere.example" % mode.lower())
  smtp.data("Subject: soon or never\\n\\nhello")`,
      { port: ports.submission, ca: certificate },
    );
    const reports = (await mail("ana", 2)).sort();
    const about = (recipient: string) => reports.find((report) => report.includes(`${recipient}@elsewhere.example`))!;
    // RFC 2852 §4.1: with mode R it is given up, with mode N it is late and still tried; both have expired.
    assert.match(about("dave-r"), /^Action: failed[^]*^Status: 5\.4\.7/m);
    assert.match(about("dave-n"), /^Action: delayed[^]*^Status: 4\.4\.7/m);
  });
});

Deno.test("the priority that MT-PRIORITY gives stands in the Received field, and one out of range is refused", async () => {
  await withServer({}, async ({ ports, certificate, mail }) => {
    const output = await smtplib(
      `${LOGIN}smtp.ehlo()
print(smtp.esmtp_features["mt-priority"])
show(smtp.mail("ana@example.net", ["MT-PRIORITY=10"]))
show(smtp.mail("ana@example.net", ["MT-PRIORITY=-3"]))
smtp.rcpt("bob@example.net")
show(smtp.data("Subject: no hurry\\n\\nhello"))`,
      { port: ports.submission, ca: certificate },
    );
    assert.match(output, /^MIXER\n501 5\.5\.4 .*\n250 2\.\d\.\d .*\n250 2\.0\.0 /);
    // RFC 6710 §3.6
    assert.match((await mail("bob"))[0]!, /^Received: (?:[^\r\n]|\r?\n\s)*priority -3/mi);
  });
});

Deno.test("curl asks VRFY and EXPN", async () => {
  await withServer({ toml: ANSWERS }, async ({ ports }) => {
    const ask = (...args: readonly string[]) =>
      tryRun("curl", ["--silent", "--show-error", `smtp://127.0.0.1:${ports.mx}/client.example`, ...args]);
    assert.match((await ask("--mail-rcpt", "bob@example.net")).output, /^250 2\.1\.5 .*<bob@example\.net>/m);
    assert.match((await ask("--mail-rcpt", "bob")).output, /^250 2\.1\.5 .*<bob@example\.net>/m);
    assert.match((await ask("--mail-rcpt", "nobody@example.net", "--verbose")).output, /550 5\.1\.1 /);
    const { output } = await ask("--request", "EXPN", "--mail-rcpt", "all@example.net");
    assert.match(output, /<carol@example\.net>/);
    assert.match(output, /<dave@example\.net>/);
    // RFC 6531 §3.7.4.2: curl says SMTPUTF8 with an address that needs it.
    assert.match((await ask("--mail-rcpt", "jürgen@example.net")).output, /<jürgen@example\.net>/);
    assert.match((await ask("--request", "HELP")).output, /^214 2\.0\.0 /m);
  });
});

Deno.test("curl names the submitter with AUTH=, and is believed after its login", async () => {
  await withServer({}, async ({ ports, certificate, folder, mail }) => {
    await Deno.writeTextFile(`${folder}/message`, "Subject: submitted\r\n\r\nhello\r\n");
    const output = await run("curl", [
      ...["--silent", "--show-error", "--verbose", "--cacert", certificate, "--user", "ana:secret-ana"],
      ...["--mail-from", "ana@example.net", "--mail-auth", "ana@example.net", "--mail-rcpt", "bob@example.net"],
      ...["--upload-file", `${folder}/message`, `smtps://localhost:${ports.submissions}/client.example`],
    ]);
    assert.match(output, /^> MAIL FROM:<ana@example\.net> AUTH=<?ana@example\.net/m);
    await mail("bob");
  });
});

/** Runs `body` with a server and the arguments of msmtp for it. */
async function withMsmtp(
  settings: ServerSettings,
  body: (send: (args: readonly string[], message: string) => Promise<string>, mail: Mail) => Promise<void>,
): Promise<void> {
  await withServer(settings, async ({ ports, certificate, mail }) => {
    const account = [
      ...["--host=localhost", `--port=${ports.submission}`, "--tls=on", `--tls-trust-file=${certificate}`],
      ...["--user=ana", "--passwordeval=echo secret-ana", "--from=ana@example.net", "--domain=client.example"],
    ];
    await body((args, message) => run("msmtp", [...account, ...args], message), mail);
  });
}
type Mail = (account: string, count?: number) => Promise<string[]>;

Deno.test("msmtp asks for a report of delivery and gets one", async () => {
  await withMsmtp({ toml: ANSWERS }, async (send, mail) => {
    const message = "Message-ID: <report@example.net>\nSubject: tell me\n\nthe body\n";
    await send(["--auth=plain", "--dsn-notify=success", "--dsn-return=hdrs", "bob@example.net"], message);
    await mail("bob");
    const [report] = await mail("ana");
    assert.match(report!, /^Content-Type: multipart\/report;[^]*report-type="?delivery-status"?/m);
    assert.match(report!, /^Action: delivered\r?$/m);
    assert.match(report!, /^Status: 2\.\d+\.\d+/m);
    // RET=HDRS: the header comes back, the body does not.
    assert.match(report!, /^Message-ID: <report@example\.net>/m);
    assert.doesNotMatch(report!, /the body/);
  });
});

for (const mechanism of ["scram-sha-256", "cram-md5", "plain", "login"]) {
  Deno.test(`msmtp logs in with ${mechanism}`, async () => {
    await withMsmtp({ mechanisms: `'${mechanism}'` }, async (send, mail) => {
      await send([`--auth=${mechanism}`, "bob@example.net"], "Subject: hello\n\nhello\n");
      assert.match((await mail("bob"))[0]!, /with ESMTPSA/);
    });
  });
}
