/**
 * The dialogue of Thunderbird, command for command: an address literal in EHLO, STARTTLS, EHLO again, and AUTH in the
 * order of its settings. "Normal password" is PLAIN with the response in the command, then LOGIN; "Encrypted password"
 * is CRAM-MD5.
 */

import assert from "node:assert/strict";
import { withServer } from "./server.ts";
import { smtplib } from "./smtplib.ts";

const DIALOGUE = `import hmac
smtp = smtplib.SMTP("localhost", port, timeout=20)
smtp.ehlo("[127.0.0.1]")
assert "auth" not in smtp.esmtp_features and smtp.has_extn("starttls")
smtp.starttls(context=ssl.create_default_context(cafile=ca))
smtp.ehlo("[127.0.0.1]")
encode = lambda text: base64.b64encode(text.encode()).decode()
offered = smtp.esmtp_features["auth"].split()

def plain(password): return smtp.docmd("AUTH PLAIN " + encode("\\0ana\\0" + password))

def login(password):
  code, challenge = smtp.docmd("AUTH LOGIN")
  assert (code, base64.b64decode(challenge).lower()) == (334, b"username:")
  code, challenge = smtp.docmd(encode("ana"))
  assert (code, base64.b64decode(challenge).lower()) == (334, b"password:")
  return smtp.docmd(encode(password))

def cram(password):
  code, challenge = smtp.docmd("AUTH CRAM-MD5")
  assert code == 334
  digest = hmac.new(password.encode(), base64.b64decode(challenge), "md5").hexdigest()
  return smtp.docmd(encode("ana " + digest))

ways = {"PLAIN": plain, "LOGIN": login, "CRAM-MD5": cram}
tried = [name for name in wanted.split() if name in offered]
for password in passwords.split():
  for name in tried:
    reply = ways[name](password)
    print(name, end=" ")
    show(reply)
    if reply[0] == 235: break
  if reply[0] == 235: break
content = b"Subject: from Thunderbird\\r\\n\\r\\n\\xc3\\xbc\\r\\n"
print(smtp.docmd("MAIL FROM:<ana@example.net> BODY=8BITMIME SIZE=%d" % len(content))[0], end=" ")
print(smtp.docmd("RCPT TO:<bob@example.net>")[0], end=" ")
print(smtp.data(content)[0], end=" ")
print(smtp.docmd("QUIT")[0])
`;

const CASES = [
  { offered: "'plain', 'login', 'cram-md5'", wanted: "PLAIN LOGIN", passwords: "secret-ana", dialogue: /^PLAIN 235 / },
  { offered: "'login'", wanted: "PLAIN LOGIN", passwords: "secret-ana", dialogue: /^LOGIN 235 / },
  { offered: "'plain', 'cram-md5'", wanted: "CRAM-MD5", passwords: "secret-ana", dialogue: /^CRAM-MD5 235 / },
  // A wrong password is tried in both ways; then the user is asked and the session goes on.
  {
    offered: "'plain', 'login'",
    wanted: "PLAIN LOGIN",
    passwords: "wrong secret-ana",
    dialogue: /^PLAIN 535 .*\nLOGIN 535 .*\nPLAIN 235 /,
  },
] as const;

for (const { offered, wanted, passwords, dialogue } of CASES) {
  Deno.test(`Thunderbird, offered ${offered}, logs in with the passwords: ${passwords}; it wants ${wanted}`, async () => {
    await withServer({ mechanisms: offered }, async ({ ports, certificate, mail }) => {
      const output = await smtplib(DIALOGUE, { port: ports.submission, ca: certificate, wanted, passwords });
      assert.match(output, dialogue);
      assert.match(output, /^250 250 250 221$/m);
      const [text] = await mail("bob");
      assert.match(text!, /^Received: from \[127\.0\.0\.1\] [^]*?with ESMTPSA/m);
      assert.match(text!, /^ü\r?$/m);
    });
  });
}
