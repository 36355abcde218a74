/** Every mechanism with clients that others have written. */

import assert from "node:assert/strict";
import { run, type TestServer, tryRun, withServer } from "./server.ts";

const SECRETS = "'plain', 'login', 'cram-md5', 'scram-sha-256'";

for (const mechanism of ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"]) {
  Deno.test(`GNU SASL logs in with ${mechanism}, and does not with a wrong password`, async () => {
    await withServer({ mechanisms: SECRETS }, async ({ ports, certificate }) => {
      const login = (password: string) =>
        tryRun("gsasl", [
          ...["--smtp", `--connect=localhost:${ports.submission}`, `--x509-ca-file=${certificate}`, "--verbose"],
          ...["--starttls", `--mechanism=${mechanism}`, "--authentication-id=ana", `--password=${password}`],
          ...["--authorization-id=", "--no-cb"],
        ]);
      const { output } = await login("secret-ana");
      assert.match(output, /^235 2\.7\.0 /m);
      assert.match((await login("wrong")).output, /^535 5\.7\.8 /m);
    });
  });
}

Deno.test("swaks logs in with CRAM-MD5 and sends mail", async () => {
  await withServer({ mechanisms: SECRETS }, async ({ ports, mail }) => {
    const as = (password: string) => [
      ...["--server", `127.0.0.1:${ports.submission}`, "--tls", "--auth", "CRAM-MD5", "--auth-user", "ana"],
      ...["--auth-password", password, "--from", "ana@example.net", "--to", "bob@example.net"],
    ];
    await run("swaks", as("secret-ana"));
    assert.match((await mail("bob"))[0]!, /with ESMTPSA/);
    assert.match((await tryRun("swaks", as("wrong"))).output, /535 5\.7\.8/);
  });
});

Deno.test("Python's smtplib picks CRAM-MD5 by itself", async () => {
  await withServer({ mechanisms: SECRETS }, async ({ ports, certificate }) => {
    const program = `
import smtplib, ssl
context = ssl.create_default_context(cafile="${certificate}")
for password in ("secret-ana", "wrong"):
    with smtplib.SMTP("localhost", ${ports.submission}) as client:
        client.starttls(context=context)
        client.ehlo()
        client.user, client.password = "ana", password
        try:
            print(client.auth("CRAM-MD5", client.auth_cram_md5))
        except smtplib.SMTPAuthenticationError as error:
            print(error)
    with smtplib.SMTP("localhost", ${ports.submission}) as client:
        client.starttls(context=context)
        try:
            print(client.login("ana", password))
        except smtplib.SMTPAuthenticationError as error:
            print(error)
`;
    const output = await run("python3", ["-c", program]);
    assert.equal(output.match(/\(235, b'2\.7\.0 /g)?.length, 2);
    // With a wrong password it goes on to PLAIN and LOGIN, and the third failure is the last.
    assert.equal(output.match(/\(535, b'5\.7\.8 /g)?.length, 1);
    assert.equal(output.match(/\(421, b'4\.7\.0 /g)?.length, 1);
  });
});

/** Runs a server whose logins a provider checks that knows one token, `good`, which is Ana's. */
async function withProvider(body: (server: TestServer) => Promise<void>): Promise<void> {
  const provider = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) =>
      request.headers.get("Authorization") === "Bearer good"
        ? Response.json({ preferred_username: "ana", email: "ana@example.net", email_verified: true })
        : Response.json({ error: "invalid_token" }, { status: 401 }),
  );
  const toml = `
[directory.provider]
type = "oidc"
endpoint.url = "http://127.0.0.1:${provider.addr.port}/userinfo"
endpoint.method = "userinfo"
`;
  try {
    await withServer({ toml, logins: "provider", mechanisms: "'plain', 'oauthbearer', 'xoauth2'" }, body);
  } finally {
    await provider.shutdown();
  }
}

for (const mechanism of ["OAUTHBEARER", "XOAUTH2"]) {
  Deno.test(`curl logs in with ${mechanism} and sends mail, and is told that a token is bad`, async () => {
    await withProvider(async ({ ports, certificate, folder, mail }) => {
      await Deno.writeTextFile(`${folder}/message`, "Subject: by token\r\n\r\nhello\r\n");
      const send = (token: string) =>
        tryRun("curl", [
          ...["--silent", "--show-error", "--verbose", "--cacert", certificate, "--ssl-reqd"],
          ...["--user", "ana", "--oauth2-bearer", token, "--login-options", `AUTH=${mechanism}`],
          ...["--mail-from", "ana@example.net", "--mail-rcpt", "bob@example.net", "--upload-file", `${folder}/message`],
          `smtp://localhost:${ports.submission}/client.example`,
        ]);
      const { code, output } = await send("good");
      assert.equal(code, 0, output);
      // A directory of tokens takes no passwords.
      assert.match(output, new RegExp("250-AUTH OAUTHBEARER XOAUTH2"));
      assert.match((await mail("bob"))[0]!, /^Subject: by token$/m);
      const refused = await send("bad");
      assert.notEqual(refused.code, 0);
      assert.match(refused.output, /^< 535 5\.7\.8 |^< 501 5\.7\.0 /m);
    });
  });
}

Deno.test("Python's smtplib logs in with XOAUTH2 and answers the failure with an empty line", async () => {
  await withProvider(async ({ ports, certificate }) => {
    const program = `
import smtplib, ssl
context = ssl.create_default_context(cafile="${certificate}")
for token in ("bad", "good"):
    with smtplib.SMTP("localhost", ${ports.submission}) as client:
        client.starttls(context=context)
        client.ehlo()
        first = "user=ana@example.net\\x01auth=Bearer %s\\x01\\x01" % token
        try:
            print(client.auth("XOAUTH2", lambda challenge=None: first if challenge is None else ""))
        except smtplib.SMTPAuthenticationError as error:
            print(error)
`;
    assert.match(await run("python3", ["-c", program]), /^\(535, b'5\.7\.8 [^]*^\(235, b'2\.7\.0 /m);
  });
});
