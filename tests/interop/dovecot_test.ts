import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { withPeer } from "./peer.ts";
import { eventually, queued, run, submit, waitForMail, withServer } from "./server.ts";

/** Runs a Dovecot of its own whose LMTP service delivers to any user, into `mail/USER`. */
async function withDovecot(body: (port: number, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-dovecot-" });
  const port = freePort();
  try {
    await Deno.mkdir(`${folder}/mail`);
    // Its delivery process is not root and must get through to the mail.
    await Deno.chmod(folder, 0o755);
    await run("chown", ["nobody", `${folder}/mail`]);
    await Deno.writeTextFile(`${folder}/dovecot.conf`, configuration(folder, port));
    await withPeer("dovecot", ["-F", "-c", `${folder}/dovecot.conf`], port, () => body(port, folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function configuration(folder: string, port: number): string {
  return `protocols = lmtp
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
ssl = no
mail_location = maildir:${folder}/mail/%u
first_valid_uid = 1
passdb {
  driver = static
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${folder}/mail/%u allow_all_users=yes
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
}
`;
}

Deno.test("Dovecot takes mail over LMTP", async () => {
  await withDovecot(async (port, folder) => {
    await withServer({ relayPort: port, relayProtocol: "lmtp", openRelay: true }, async (server) => {
      await submit(server, "dave@elsewhere.example", { headers: { Subject: "for Dovecot" } });
      const [text] = await waitForMail(`${folder}/mail/dave@elsewhere.example`, 1);
      assert.match(text!, /^Subject: for Dovecot$/m);
      assert.match(text!, /^Return-Path: <ana@example\.net>/m);
      await eventually("the queue is empty", async () => (await queued(server)).length === 0 || undefined);
    });
  });
});

Deno.test("Dovecot takes a message of 5 MB over LMTP", async () => {
  await withDovecot(async (port, folder) => {
    await withServer({ relayPort: port, relayProtocol: "lmtp", openRelay: true }, async (server) => {
      await submit(server, "dave@elsewhere.example", { size: 5_000_000 });
      const [text] = await waitForMail(`${folder}/mail/dave@elsewhere.example`, 1);
      // Dovecot keeps line ends as LF.
      assert.ok(text!.length > 4_900_000);
    });
  });
});
