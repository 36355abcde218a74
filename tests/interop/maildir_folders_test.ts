import assert from "node:assert/strict";
import { eventually, queued, run, submit, withServer } from "./server.ts";

const SCRIPT = `
[session.data]
script = "'filing'"
[sieve.trusted.scripts.filing]
contents = '''
if header :matches "Subject" "* flagged *" { setflag ["\\\\Flagged", "\\\\\${1}"]; }
if header :matches "Subject" "*to *" { fileinto "\${2}"; }
'''
`;

/** What Dovecot finds in a Maildir: mailbox and flags of each message. */
async function seenByDovecot(maildir: string): Promise<readonly string[]> {
  const home = await Deno.makeTempDir({ prefix: "godwit-doveadm-" });
  try {
    // It refuses to read mail as root, and keeps indexes beside it.
    await run("cp", ["-r", maildir, `${home}/mail`]);
    await Deno.writeTextFile(
      `${home}/dovecot.conf`,
      `log_path = /dev/stderr\nssl = no\nbase_dir = ${home}/run\nmail_location = maildir:~/mail\nfirst_valid_uid = 1\n` +
        "namespace inbox {\n  inbox = yes\n  separator = /\n}\n",
    );
    await run("chown", ["-R", "nobody", home]);
    const doveadm = ["doveadm", "-c", `${home}/dovecot.conf`, "-f", "tab", "fetch", "mailbox flags", "all"];
    const user = ["-u", "nobody", "--", "env", `HOME=${home}`, "USER=nobody"];
    const lines = (await run("runuser", [...user, ...doveadm])).trim().split("\n");
    return lines.slice(1).map((line) => line.replace(/\\Recent/, "").trimEnd()).sort();
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("Dovecot finds mail in the folders and with the flags that a script gave it", async () => {
  await withServer({ toml: SCRIPT }, async (server) => {
    for (const subject of ["plain", "to Lists/Deno ", "Seen flagged to R&D ", "Answered flagged as it is"]) {
      await submit(server, "bob@example.net", { headers: { Subject: subject } });
    }
    await submit(server, "bob@example.net", {
      headers: { Subject: "=?utf-8?q?to_Entw=C3=BCrfe/=E5=8F=B0=E5=8C=97_?=" },
    });
    const wanted = ["Entwürfe/台北", "INBOX", "INBOX\t\\Answered \\Flagged", "Lists/Deno", "R&D\t\\Flagged \\Seen"];
    await eventually("everything is delivered", async () => (await queued(server)).length === 0 || undefined);
    const found = await seenByDovecot(`${server.folder}/mail/bob`);
    assert.deepEqual(found, wanted);
  });
});
