/** Logins of ours at relays that others have written. */

import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { startSink } from "../../scripts/mail/sink.ts";
import { withPeer } from "./peer.ts";
import { eventually, queued, run, submit, withServer } from "./server.ts";

const USER = "mx1";
const SECRET = "s3cret ü";
const TOKEN = "ya29.token";

/** A Dovecot whose submission service asks for a login by `mechanisms` and hands on to `next`. */
async function withSubmission(
  { mechanisms, next, passdb }: { readonly mechanisms: string; readonly next: number; readonly passdb: string },
  body: (port: number, log: () => Promise<string>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-dovecot-" });
  const port = freePort();
  try {
    await Deno.mkdir(`${folder}/mail`);
    await Deno.chmod(folder, 0o755);
    await run("chown", ["nobody", `${folder}/mail`]);
    await Deno.writeTextFile(`${folder}/users`, `${USER}:{PLAIN}${SECRET}\n`);
    await Deno.writeTextFile(
      `${folder}/dovecot.conf`,
      `protocols = submission
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = ${mechanisms}
mail_location = maildir:${folder}/mail/%u
first_valid_uid = 1
hostname = dovecot.example
submission_relay_host = 127.0.0.1
submission_relay_port = ${next}
${passdb.replaceAll("{folder}", folder)}
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
`,
    );
    await withPeer(
      "dovecot",
      ["-F", "-c", `${folder}/dovecot.conf`],
      port,
      () => body(port, () => Deno.readTextFile(`${folder}/dovecot.log`)),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const FILE = `passdb {
  driver = passwd-file
  args = {folder}/users
}`;

const credentials = (secret: string) => `[queue.route.peer.auth]\nusername = "${USER}"\nsecret = "${secret}"\n`;

/** Hands a message to a godwit that logs in at Dovecot. */
async function relayThrough(
  mechanisms: string,
  secret: string,
  passdb: string,
  body: (parts: {
    readonly taken: () => number;
    readonly waiting: () => ReturnType<typeof queued>;
    readonly log: () => Promise<string>;
  }) => Promise<void>,
): Promise<void> {
  const sink = startSink();
  await withSubmission({ mechanisms, next: sink.port, passdb }, async (port, log) => {
    await withServer({ relayPort: port, openRelay: true, toml: credentials(secret) }, async (server) => {
      await submit(server, "dave@elsewhere.example");
      await body({ taken: () => sink.count, waiting: () => queued(server), log });
    });
  });
  sink.close();
}

for (const mechanism of ["plain", "login", "cram-md5", "scram-sha-256"]) {
  Deno.test(`Dovecot lets us in with ${mechanism.toUpperCase()}, and does not with a wrong password`, async () => {
    await relayThrough(mechanism, SECRET, FILE, async ({ taken, log }) => {
      await eventually("the mail is handed on", () => taken() === 1 || undefined);
      assert.match(await log(), new RegExp(`user=<${USER}>, method=${mechanism}`, "i"));
    });
    await relayThrough(mechanism, "wrong", FILE, async ({ taken, waiting }) => {
      const [first] = await eventually("an attempt is recorded", async () => {
        const list = await waiting();
        return (list[0]?.attempts ?? 0) > 0 ? list : undefined;
      });
      assert.equal(first?.lastStatus, 535);
      assert.equal(taken(), 0);
    });
  });
}

Deno.test("Dovecot takes a token by XOAUTH2, also where it refuses it as a password before", async () => {
  // What an OpenID provider says about a token.
  const provider = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) =>
      request.url.endsWith(`access_token=${TOKEN}`)
        ? Response.json({ email: USER, active: true })
        : new Response("{}", { status: 401 }),
  );
  const file = await Deno.makeTempFile({ prefix: "godwit-oauth2-", suffix: ".conf" });
  await Deno.writeTextFile(
    file,
    `tokeninfo_url = http://127.0.0.1:${provider.addr.port}/?access_token=
username_attribute = email
active_attribute = active
active_value = true
openid_configuration_url =
`,
  );
  await Deno.chmod(file, 0o644);
  const oauth2 = `${FILE}
passdb {
  driver = oauth2
  mechanisms = xoauth2
  args = ${file}
}`;
  for (const mechanisms of ["xoauth2", "plain xoauth2"]) {
    await relayThrough(mechanisms, TOKEN, oauth2, async ({ taken, log }) => {
      await eventually("the mail is handed on", () => taken() === 1 || undefined);
      assert.match(await log(), /method=XOAUTH2/i);
    });
  }
  await provider.shutdown();
  await Deno.remove(file);
});
