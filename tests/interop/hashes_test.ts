/** Logins with hashes that other programs have made, one account for each. */

import assert from "node:assert/strict";
import { run, withServer } from "./server.ts";
import { smtplib } from "./smtplib.ts";

const PASSWORD = "s3cret wörd";
/** DES looks at eight characters only. */
const SHORT_PASSWORD = "s3cret";

/** The system's Python has the packages of the system. */
const PASSLIB = `
import sys
from passlib import hash
made = {
  "pbkdf2_sha1": hash.pbkdf2_sha1, "pbkdf2_sha256": hash.pbkdf2_sha256, "pbkdf2_sha512": hash.pbkdf2_sha512,
  "scrypt": hash.scrypt.using(rounds=12), "sha1_crypt": hash.sha1_crypt.using(rounds=5000),
  "bsdi_crypt": hash.bsdi_crypt.using(rounds=1001), "md5_crypt": hash.md5_crypt,
  "sha256_crypt": hash.sha256_crypt.using(rounds=6000), "sha512_crypt": hash.sha512_crypt.using(rounds=6000),
  "ldap_salted_sha256": hash.ldap_salted_sha256, "ldap_salted_sha512": hash.ldap_salted_sha512,
  "ldap_bcrypt": hash.ldap_bcrypt.using(rounds=5), "ldap_bsdi_crypt": hash.ldap_bsdi_crypt.using(rounds=1001),
}
for name, scheme in made.items(): print(name, scheme.hash(sys.argv[1]))
`;

interface Account {
  readonly maker: string;
  readonly secret: string;
  readonly password: string;
}

/** Has each program hash the password in each way that it and godwit know. */
async function makeAccounts(): Promise<Account[]> {
  const accounts: Account[] = [];
  const add = (maker: string, secret: string, password = PASSWORD) => {
    accounts.push({ maker, secret: secret.trim(), password });
  };
  for (const kind of ["-1", "-5", "-6"]) {
    add(`openssl passwd ${kind}`, await run("openssl", ["passwd", kind, "-stdin"], `${PASSWORD}\n`));
  }
  for (const kind of ["-B", "-s", "-2", "-5"]) {
    const line = await run("htpasswd", [`-nb${kind.slice(1)}`, "user", PASSWORD]);
    add(`htpasswd ${kind}`, line.slice(line.indexOf(":") + 1));
  }
  for (const scheme of ["SHA", "SSHA", "SHA256", "SSHA256", "SHA512", "SSHA512", "MD5", "CRYPT", "PLAIN", "CLEAR"]) {
    add(`doveadm pw -s ${scheme}`, await run("doveadm", ["pw", "-s", scheme, "-p", PASSWORD]));
  }
  for (const scheme of ["{SSHA}", "{SHA}", "{MD5}"]) {
    add(`slappasswd -h ${scheme}`, await run("slappasswd", ["-n", "-h", scheme, "-s", PASSWORD]));
  }
  const crypt = (salt: string, password: string) =>
    run("slappasswd", ["-n", "-h", "{CRYPT}", "-c", salt, "-s", password]);
  add("slappasswd -h {CRYPT}, SHA-512", await crypt("$6$%.12s", PASSWORD));
  add("slappasswd -h {CRYPT}, DES", await crypt("%.2s", SHORT_PASSWORD), SHORT_PASSWORD);
  for (const kind of ["-i", "-d", "-id"]) {
    const options = ["sixteen-octets-s", kind, "-t", "2", "-m", "12", "-p", "2", "-e"];
    add(`argon2 ${kind}`, await run("argon2", options, PASSWORD));
  }
  for (const line of (await run("/usr/bin/python3", ["-c", PASSLIB, PASSWORD])).trim().split("\n")) {
    const [maker, ...secret] = line.split(" ");
    add(`passlib ${maker}`, secret.join(" "));
  }
  return accounts;
}

Deno.test("each kind of hash that other programs make lets the right password in, and no other", async () => {
  const accounts = await makeAccounts();
  const toml = accounts.map(({ secret }, index) =>
    `[[directory.people.principals]]
name = "user${index}"
secret = ${JSON.stringify(secret)}
`
  ).join("");
  await withServer({ toml }, async ({ ports, certificate, folder }) => {
    const script = `import json
for index, account in enumerate(json.load(open(folder + "/accounts"))):
  codes = []
  for password in [account["password"] + "x", account["password"][:-1], account["password"]]:
    smtp = connect(port)
    login = base64.b64encode(("\\0user%d\\0%s" % (index, password)).encode()).decode()
    codes.append(smtp.docmd("AUTH PLAIN " + login)[0])
  print(account["maker"], codes)`;
    await Deno.writeTextFile(`${folder}/accounts`, JSON.stringify(accounts));
    const output = await smtplib(script, { port: ports.submission, ca: certificate, folder });
    // DES crypt ignores what comes after the eighth character; this password is shorter.
    assert.deepEqual(
      output.trim().split("\n"),
      accounts.map(({ maker }) => `${maker} [535, 535, 235]`),
    );
    assert.equal(accounts.length, 38);
  });
});
