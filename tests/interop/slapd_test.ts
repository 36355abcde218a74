import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { systemClock } from "../../src/clock/mod.ts";
import type { LdapDirectoryConfig } from "../../src/config/config.ts";
import { closePasswordPool, createDirectory, type Directory, resolveRecipient } from "../../src/directory/mod.ts";
import { LookupUnavailable } from "../../src/expression/mod.ts";
import { createZone } from "../support/zone.ts";
import { withPeer } from "./peer.ts";
import { run, tryRun, withServer } from "./server.ts";

const ENTRIES = `dn: dc=example,dc=net
objectClass: domain
dc: example

dn: ou=people,dc=example,dc=net
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=net
objectClass: organizationalUnit
ou: groups

dn: ou=domains,dc=example,dc=net
objectClass: organizationalUnit
ou: domains

dn: associatedDomain=example.net,ou=domains,dc=example,dc=net
objectClass: domainRelatedObject
objectClass: organizationalUnit
ou: example.net
associatedDomain: example.net

dn: uid=searcher,dc=example,dc=net
objectClass: account
objectClass: simpleSecurityObject
uid: searcher
userPassword: searching

dn: uid=ana,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: ana
cn: Ana
sn: Lima
description: Ana Lima
mail: ana@example.net
mail: postmaster@example.net
departmentNumber: cn=staff,ou=groups,dc=example,dc=net
userPassword: {SSHA}ANA_HASH

dn: uid=bob,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: B
mail: bob@example.net
departmentNumber: interns
userPassword: bob's (plain) secret

dn: uid=o'neill \\+ co*,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: o'neill + co*
cn: Shane
sn: O'Neill
mail: shane@example.net
userPassword: sesame

dn: cn=staff,ou=groups,dc=example,dc=net
objectClass: posixGroup
objectClass: extensibleObject
cn: staff
uid: staff
gidNumber: 1000
mail: staff@example.net

dn: cn=interns,ou=groups,dc=example,dc=net
objectClass: posixGroup
objectClass: extensibleObject
cn: interns
uid: interns
gidNumber: 1001
mail: interns@example.net
departmentNumber: staff
`;

interface Slapd {
  readonly url: string;
  readonly secureUrl: string;
  readonly folder: string;
}

/** Runs an slapd of its own with the entries above. Anybody may search, only the searcher sees secrets. */
async function withSlapd(body: (slapd: Slapd) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-slapd-" });
  const [port, securePort] = [freePort(), freePort()];
  try {
    await run("openssl", [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ...["-keyout", `${folder}/key.pem`, "-out", `${folder}/certificate.pem`],
    ]);
    await Deno.mkdir(`${folder}/db`);
    await Deno.writeTextFile(
      `${folder}/slapd.conf`,
      `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile ${folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile ${folder}/certificate.pem
TLSCertificateKeyFile ${folder}/key.pem
database mdb
suffix "dc=example,dc=net"
directory ${folder}/db
access to attrs=userPassword by dn.exact="uid=searcher,dc=example,dc=net" read by anonymous auth
access to * by * read
`,
    );
    const hash = (await run("slappasswd", ["-n", "-h", "{SSHA}", "-s", "secret-ana"])).replace("{SSHA}", "");
    await run("slapadd", ["-f", `${folder}/slapd.conf`], ENTRIES.replace("ANA_HASH", hash));
    const urls = { url: `ldap://127.0.0.1:${port}`, secureUrl: `ldaps://localhost:${securePort}` };
    await withPeer(
      "slapd",
      [
        ...["-f", `${folder}/slapd.conf`, "-d", "0"],
        ...["-h", `${urls.url}/ ldap://127.0.0.2:${port}/ ldaps://127.0.0.1:${securePort}/`],
      ],
      port,
      () => body({ ...urls, folder }),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs `body` with a directory that asks slapd. */
async function withDirectory(
  url: string,
  changes: Partial<LdapDirectoryConfig>,
  body: (directory: Directory) => Promise<void>,
): Promise<void> {
  const config: LdapDirectoryConfig = {
    id: "ldap",
    type: "ldap",
    domains: [],
    cache: { size: 0, positive: 0, negative: 0 },
    pool: { maxConnections: 2, create: 10_000, wait: 10_000, recycle: 10_000 },
    url,
    baseDn: "dc=example,dc=net",
    timeout: 10_000,
    tls: { enable: false, allowInvalidCerts: false },
    bind: { dn: "uid=searcher,dc=example,dc=net", secret: "searching" },
    auth: { method: "default" },
    filter: { name: "(&(uid=?)(objectClass=*))", email: "(|(mail=?)(mailAlias=?))", domains: "(associatedDomain=?)" },
    attributes: {
      name: ["uid"],
      class: ["objectClass"],
      description: ["description"],
      secret: ["userPassword"],
      email: ["mail"],
      emailAlias: ["mailAlias"],
      groups: ["departmentNumber"],
    },
    ...changes,
  };
  const directory = createDirectory(config, {
    threadPool: 1,
    clock: systemClock,
    stores: new Map(),
    resolver: createZone({}),
    hostname: "mx.example.org",
  });
  try {
    await body(directory);
  } finally {
    directory.close?.();
    closePasswordPool();
  }
}

const unavailable = (pattern: RegExp) => (error: unknown) =>
  error instanceof LookupUnavailable && pattern.test(error.message) || assert.fail(`${error}`);
const OPTIONS = { subAddressing: true, catchAll: true };
const ODD = "o'neill + co*";

Deno.test("slapd tells domains, accounts, addresses and the members of groups", async () => {
  await withSlapd(async ({ url }) => {
    await withDirectory(url, {}, async (directory) => {
      assert.equal(await directory.isLocalDomain("Example.NET"), true);
      assert.equal(await directory.isLocalDomain("example.org"), false);
      assert.deepEqual(await directory.account("ana"), {
        name: "ana",
        class: "individual",
        description: "Ana Lima",
        emails: ["ana@example.net", "postmaster@example.net"],
      });
      assert.equal((await directory.account("staff"))?.class, "group");
      assert.equal((await directory.account(ODD))?.name, ODD);
      assert.equal(await directory.account("nobody"), undefined);
      // What stands in a filter for more than itself is only itself.
      for (const name of ["*", "a*", "ana)(uid=*", "\\2a", ""]) {
        assert.equal(await directory.account(name), undefined, name);
      }
      assert.deepEqual(await directory.recipients("POSTMASTER@example.net"), ["ana"]);
      assert.deepEqual(await directory.recipients("nobody@example.net"), []);
      assert.deepEqual(await directory.recipients("*@example.net"), []);
      // Ana names the group by its DN, the interns by its name, and Bob the interns.
      assert.deepEqual([...await directory.recipients("staff@example.net")].sort(), ["ana", "bob"]);
      assert.deepEqual(await directory.recipients("interns@example.net"), ["bob"]);
      assert.deepEqual(await resolveRecipient(directory, "ana+tag@example.net", OPTIONS), {
        kind: "local",
        accounts: ["ana"],
        address: "ana+tag@example.net",
      });
      assert.deepEqual(await resolveRecipient(directory, "x@example.net", OPTIONS), { kind: "unknown" });
    });
  });
});

Deno.test("each method of slapd logins takes the right password and no other", async () => {
  const people = "ou=people,dc=example,dc=net";
  const methods: readonly Partial<LdapDirectoryConfig>[] = [
    { auth: { method: "default" } },
    { auth: { method: "lookup" } },
    { auth: { method: "lookup" }, bind: undefined },
    { auth: { method: "template", template: `uid={username},${people}`, search: true } },
    { auth: { method: "template", template: `uid={local},${people}`, search: false } },
  ];
  await withSlapd(async ({ url }) => {
    for (const changes of methods) {
      await withDirectory(
        url,
        { ...changes, pool: { maxConnections: 1, create: 9000, wait: 9000, recycle: 9000 } },
        async (directory) => {
          const what = JSON.stringify(changes);
          for (
            const [name, password] of [["ana", "secret-ana"], ["bob", "bob's (plain) secret"], [ODD, "sesame"]] as const
          ) {
            const result = await directory.login(name, password);
            assert.equal(result.kind === "accepted" && result.account.name, name, `${what} ${name}`);
            for (const wrong of ["", "wrong", `${password} `]) {
              assert.equal((await directory.login(name, wrong)).kind, "refused", `${what} ${name} ${wrong}`);
            }
            // The connection is the searcher's again.
            assert.equal((await directory.account("ana"))?.name, "ana");
          }
          for (const name of ["nobody", "*", "", "ana,ou=people", "a=b"]) {
            assert.equal((await directory.login(name, "secret-ana")).kind, "refused", `${what} ${name}`);
          }
        },
      );
    }
  });
});

Deno.test("the method default tells plain secrets, and one without the right to read secrets lets nobody in", async () => {
  await withSlapd(async ({ url }) => {
    await withDirectory(url, {}, async (directory) => {
      assert.deepEqual(await directory.plainSecrets?.("bob"), ["bob's (plain) secret"]);
      assert.deepEqual(await directory.plainSecrets?.("ana"), []);
    });
    await withDirectory(url, { bind: undefined }, async (directory) => {
      assert.equal((await directory.login("ana", "secret-ana")).kind, "refused");
    });
  });
});

Deno.test("STARTTLS and ldaps are spoken with slapd, whose certificate counts unless it is told not to", async () => {
  await withSlapd(async ({ url, secureUrl }) => {
    for (const allowInvalidCerts of [true, false]) {
      for (const [server, enable] of [[url, true], [secureUrl, false]] as const) {
        await withDirectory(server, { tls: { enable, allowInvalidCerts } }, async (directory) => {
          if (allowInvalidCerts) {
            assert.equal((await directory.login("ana", "secret-ana")).kind, "accepted");
            assert.deepEqual(await directory.recipients("bob@example.net"), ["bob"]);
          } else {
            await assert.rejects(directory.login("ana", "secret-ana"), unavailable(/^directory ldap: /));
          }
        });
      }
    }
  });
});

Deno.test("a certificate that the environment trusts is taken, for the names in it", async () => {
  await withSlapd(async ({ url, secureUrl, folder }) => {
    const known = async (server: string, tls: boolean, trust: Record<string, string>) => {
      const config = `${folder}/config.toml`;
      await Deno.writeTextFile(
        config,
        `server.hostname = "mx.example.org"
store.data = { type = "libsql", url = "file:godwit.db" }
storage.data = "data"
[directory.ldap]
type = "ldap"
url = "${server}"
base-dn = "dc=example,dc=net"
tls.enable = ${tls}
lookup.domains = "example.net"
filter = { name = "(uid=?)", email = "(mail=?)" }
`,
      );
      const main = new URL("../../main.ts", import.meta.url).pathname;
      const { success, stdout } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--quiet",
          "--allow-all",
          main,
          "eval",
          "is_local_address('ldap', 'ana@example.net')",
          "--config",
          config,
        ],
        env: { ...Deno.env.toObject(), ...trust },
        stdin: "null",
        stderr: "null",
      }).output();
      return success && new TextDecoder().decode(stdout).trim().endsWith("true");
    };
    const trust = { SSL_CERT_FILE: `${folder}/certificate.pem` };
    for (const [server, tls] of [[url, true], [secureUrl, false]] as const) {
      assert.equal(await known(server, tls, trust), true, server);
      assert.equal(await known(server, tls, {}), false, server);
    }
    // The certificate does not bear this name.
    assert.equal(await known(url.replace("127.0.0.1", "127.0.0.2"), true, trust), false);
    assert.equal(await known(url.replace("127.0.0.1", "127.0.0.2"), false, trust), true);
  });
});

Deno.test("an slapd that is away or lets us not search is no answer, and one that comes back is asked again", async () => {
  let gone = "";
  await withSlapd(async ({ url }) => {
    gone = url;
    await withDirectory(url, { bind: { dn: "uid=searcher,dc=example,dc=net", secret: "wrong" } }, async (directory) => {
      await assert.rejects(
        async () => await directory.recipients("ana@example.net"),
        unavailable(/refuses the login of uid=searcher/),
      );
      await assert.rejects(directory.login("ana", "secret-ana"), unavailable(/refuses the login of uid=searcher/));
    });
    await withDirectory(url, { baseDn: "dc=elsewhere" }, async (directory) => {
      await assert.rejects(async () => await directory.account("ana"), unavailable(/refuses a search/));
    });
  });
  await withDirectory(gone, {}, async (directory) => {
    await assert.rejects(
      async () => await directory.isLocalDomain("example.net"),
      unavailable(/^directory ldap: ldap:/),
    );
  });
});

Deno.test("swaks logs in against slapd and delivers to a group of it", async () => {
  await withSlapd(async ({ url }) => {
    const toml = `
[directory.ldap]
type = "ldap"
url = "${url}"
base-dn = "dc=example,dc=net"
bind.dn = "uid=searcher,dc=example,dc=net"
bind.secret = "searching"
filter.name = "(uid=?)"
filter.email = "(|(mail=?)(mailAlias=?))"
filter.domains = "(associatedDomain=?)"
attributes.groups = "departmentNumber"
`;
    await withServer(
      { toml, directory: "ldap", mechanisms: "'plain', 'login', 'cram-md5'" },
      async ({ ports, mail }) => {
        const server = ["--server", `127.0.0.1:${ports.submission}`, "--tls"];
        const as = (mechanism: string, user: string, password: string) => [
          ...["--auth", mechanism, "--auth-user", user, "--auth-password", password, "--from", `${user}@example.net`],
        ];
        await run("swaks", [...server, ...as("PLAIN", "ana", "secret-ana"), "--to", "staff@example.net"]);
        await mail("ana");
        await mail("bob");
        const plain = "bob's (plain) secret";
        await run("swaks", [...server, ...as("CRAM-MD5", "bob", plain), "--to", "ana@example.net"]);
        const refused = await tryRun("swaks", [...server, ...as("PLAIN", "ana", plain), "--to", "bob@example.net"]);
        assert.match(refused.output, /535 5\.7\.8/);
        const unknown = await tryRun("swaks", [
          ...["--server", `127.0.0.1:${ports.mx}`, "--from", "carol@example.org", "--to", "nobody@example.net"],
        ]);
        assert.match(unknown.output, /550 5\.1\.1/);
      },
    );
  });
});
