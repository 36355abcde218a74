import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { systemClock } from "../../src/clock/mod.ts";
import type { RemoteDirectoryConfig } from "../../src/config/config.ts";
import { createDirectory, type Directory } from "../../src/directory/mod.ts";
import { LookupUnavailable } from "../../src/expression/mod.ts";
import { createZone } from "../support/zone.ts";
import { withPeer } from "./peer.ts";
import { run, tryRun, withServer } from "./server.ts";

interface Dovecot {
  readonly lmtp: number;
  readonly imap: number;
  readonly submission: number;
}

/** Runs a Dovecot of its own with the users ana and bob at example.net, whose passwords are `secret-ana` and `sécrèt`. */
async function withDovecot(body: (ports: Dovecot) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-dovecot-" });
  const ports = { lmtp: freePort(), imap: freePort(), submission: freePort() };
  try {
    await run("openssl", [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
      ...["-keyout", `${folder}/key.pem`, "-out", `${folder}/certificate.pem`],
    ]);
    await Deno.mkdir(`${folder}/mail`);
    await Deno.chmod(folder, 0o755);
    await run("chown", ["nobody", `${folder}/mail`]);
    await Deno.writeTextFile(
      `${folder}/users`,
      "ana@example.net:{PLAIN}secret-ana::::::\nbob@example.net:{PLAIN}sécrèt::::::\n",
    );
    await Deno.writeTextFile(`${folder}/dovecot.conf`, configuration(folder, ports));
    await withPeer("dovecot", ["-F", "-c", `${folder}/dovecot.conf`], ports.lmtp, () => body(ports));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function configuration(folder: string, { lmtp, imap, submission }: Dovecot): string {
  const listener = (name: string, port: number) =>
    `  inet_listener ${name} {
    address = 127.0.0.1
    port = ${port}
  }`;
  const off = (name: string) =>
    `  inet_listener ${name} {
    port = 0
  }`;
  return `protocols = lmtp imap submission
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
ssl = yes
ssl_cert = <${folder}/certificate.pem
ssl_key = <${folder}/key.pem
disable_plaintext_auth = yes
auth_mechanisms = plain login
auth_failure_delay = 0 secs
auth_username_format = %Lu
mail_location = maildir:${folder}/mail/%u
first_valid_uid = 1
submission_relay_host = 127.0.0.1
passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = username_format=%u ${folder}/users
  default_fields = uid=nobody gid=nogroup home=${folder}/mail/%u
}
# Failures of all users come from one address here, and would be slowed down for it.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service lmtp {
${listener("lmtp", lmtp)}
}
service imap-login {
${listener("imap", imap)}
${off("imaps")}
}
service submission-login {
${listener("submission", submission)}
${off("submissions")}
}
`;
}

async function withDirectory(
  changes: Pick<RemoteDirectoryConfig, "type" | "port"> & Partial<RemoteDirectoryConfig>,
  body: (directory: Directory) => Promise<void>,
): Promise<void> {
  const config: RemoteDirectoryConfig = {
    id: "dovecot",
    domains: ["example.net"],
    cache: { size: 0, positive: 0, negative: 0 },
    pool: { maxConnections: 2, create: 10_000, wait: 10_000, recycle: 10_000 },
    address: "127.0.0.1",
    tls: { implicit: false, allowInvalidCerts: true },
    limits: { rcpt: 25, authErrors: 3 },
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
  }
}

Deno.test("Dovecot's LMTP service tells who gets mail", async () => {
  await withDovecot(async ({ lmtp }) => {
    await withDirectory({ type: "lmtp", port: lmtp, limits: { rcpt: 3, authErrors: 3 } }, async (directory) => {
      for (let round = 0; round < 4; round++) {
        assert.deepEqual(await directory.recipients("ana@example.net"), ["ana@example.net"]);
        assert.deepEqual(await directory.recipients("nobody@example.net"), []);
      }
      await assert.rejects(
        directory.login("ana@example.net", "secret-ana"),
        (error) => error instanceof LookupUnavailable && /does not offer AUTH/.test(error.message),
      );
    });
  });
});

for (const [type, service] of [["imap", "imap"], ["smtp", "submission"]] as const) {
  Deno.test(`Dovecot's ${service} service tells who may log in, over STARTTLS`, async () => {
    await withDovecot(async (ports) => {
      await withDirectory({ type, port: ports[service] }, async (directory) => {
        for (const [name, password] of [["ana@example.net", "secret-ana"], ["bob@example.net", "sécrèt"]] as const) {
          const result = await directory.login(name, password);
          assert.deepEqual(result.kind === "accepted" && result.account.emails, [name]);
          // More failures than one session takes.
          for (let round = 0; round < 5; round++) assert.equal((await directory.login(name, "wrong")).kind, "refused");
          assert.equal((await directory.login(name, password)).kind, "accepted");
        }
        assert.equal((await directory.login("nobody@example.net", "secret-ana")).kind, "refused");
      });
      const tls = { implicit: false, allowInvalidCerts: false };
      await withDirectory({ type, port: ports[service], tls }, async (directory) => {
        await assert.rejects(
          directory.login("ana@example.net", "secret-ana"),
          (error) => error instanceof LookupUnavailable && /does not verify/.test(error.message),
        );
      });
    });
  });
}

Deno.test("a Dovecot that is away refuses nobody", async () => {
  let port = 0;
  await withDovecot(({ lmtp }) => {
    port = lmtp;
    return Promise.resolve();
  });
  await withDirectory({ type: "lmtp", port }, async (directory) => {
    await assert.rejects(async () => await directory.recipients("ana@example.net"), LookupUnavailable);
  });
});

Deno.test("swaks sends mail through a server that knows nobody but by Dovecot", async () => {
  await withDovecot(async ({ lmtp, imap }) => {
    const toml = `
[directory.recipients]
type = "lmtp"
address = "127.0.0.1"
port = ${lmtp}
lookup.domains = "example.net"
tls.allow-invalid-certs = true
[directory.logins]
type = "imap"
address = "127.0.0.1"
port = ${imap}
tls.allow-invalid-certs = true
`;
    const settings = { toml, directory: "recipients", logins: "logins" };
    await withServer(settings, async ({ ports, mail }) => {
      const login = (password: string) => [
        ...["--server", `127.0.0.1:${ports.submission}`, "--tls", "--auth", "PLAIN", "--auth-user", "ana@example.net"],
        ...["--auth-password", password, "--from", "ana@example.net", "--to", "bob@example.net"],
      ];
      await run("swaks", login("secret-ana"));
      assert.match((await mail("bob@example.net"))[0]!, /with ESMTPSA/);
      assert.match((await tryRun("swaks", login("wrong"))).output, /535 5\.7\.8/);
      const { output } = await tryRun("swaks", [
        ...["--server", `127.0.0.1:${ports.mx}`, "--from", "carol@example.org", "--to", "nobody@example.net"],
      ]);
      assert.match(output, /550 5\.1\.1/);
    });
  });
});
