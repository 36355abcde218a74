import assert from "node:assert/strict";
import { run, withServer } from "./server.ts";

/** Runs a script with `mail`, a ready `EmailMessage`, and the named values. */
async function python(script: string, values: Readonly<Record<string, string | number>>): Promise<string> {
  const assignments = Object.entries(values).map(([name, value]) => `${name} = ${JSON.stringify(value)}`).join("\n");
  return await run("python3", [
    "-c",
    `import smtplib, ssl
from email.message import EmailMessage
mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = "ana@example.net", "bob@example.net", "from smtplib"
mail.set_content("a line\\n.a dot\\n")
${assignments}
${script}`,
  ]);
}

Deno.test("smtplib sends a message", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await python(`with smtplib.SMTP("127.0.0.1", port) as smtp: smtp.send_message(mail)`, { port: ports.mx });
    const [text] = await mail("bob");
    assert.match(text!, /^Subject: from smtplib$/m);
    assert.match(text!, /^\.a dot$/m);
  });
});

Deno.test("smtplib logs in over STARTTLS, certificate verified", async () => {
  await withServer({}, async ({ ports, certificate, mail }) => {
    await python(
      `with smtplib.SMTP("localhost", port) as smtp:
  smtp.starttls(context=ssl.create_default_context(cafile=ca))
  smtp.login("ana", "secret-ana")
  smtp.send_message(mail)`,
      { port: ports.submission, ca: certificate },
    );
    assert.equal((await mail("bob")).length, 1);
  });
});

Deno.test("smtplib logs in over implicit TLS, certificate verified", async () => {
  await withServer({}, async ({ ports, certificate, mail }) => {
    await python(
      `with smtplib.SMTP_SSL("localhost", port, context=ssl.create_default_context(cafile=ca)) as smtp:
  smtp.login("ana", "secret-ana")
  smtp.send_message(mail)`,
      { port: ports.submissions, ca: certificate },
    );
    assert.equal((await mail("bob")).length, 1);
  });
});

Deno.test("smtplib sends 8-bit UTF-8 headers when SMTPUTF8 is offered", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await python(
      `from email.policy import SMTPUTF8
with smtplib.SMTP("127.0.0.1", port) as smtp:
  smtp.ehlo()
  assert smtp.has_extn("smtputf8") and smtp.has_extn("8bitmime")
  text = "From: j\\u00fcrgen@example.org\\r\\nTo: bob@example.net\\r\\nSubject: gr\\u00fc\\u00dfe\\r\\n\\r\\nhallo\\r\\n"
  smtp.sendmail("j\\u00fcrgen@example.org", ["bob@example.net"], text.encode(), ["SMTPUTF8", "BODY=8BITMIME"])`,
      { port: ports.mx },
    );
    const [text] = await mail("bob");
    assert.match(text!, /^Subject: gr\u00fc\u00dfe\r?$/m);
    assert.match(text!, /^Return-Path: <j\u00fcrgen@example\.org>/m);
  });
});

Deno.test("smtplib speaks LMTP", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await python(`with smtplib.LMTP("127.0.0.1", port) as lmtp: lmtp.send_message(mail)`, { port: ports.lmtp });
    assert.equal((await mail("bob")).length, 1);
  });
});

Deno.test("smtplib hears which of several recipients were refused", async () => {
  await withServer({}, async ({ ports, mail }) => {
    const output = await python(
      `with smtplib.SMTP("127.0.0.1", port) as smtp:
  refused = smtp.send_message(mail, to_addrs=["bob@example.net", "nobody@example.net"])
  print({address: reply[0] for address, reply in refused.items()})`,
      { port: ports.mx },
    );
    assert.equal(output.trim(), "{'nobody@example.net': 550}");
    assert.equal((await mail("bob")).length, 1);
  });
});
