/** Milters that people run: OpenDKIM, OpenDMARC, rspamd, ClamAV and SpamAssassin, as they are, behind godwit. */

import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { milterSettings, relayed, send, withGodwitRelay } from "./milters.ts";
import { withPeer } from "./peer.ts";
import { eventually, run } from "./server.ts";

function message(number: number, fields = "", body = "Hello Dave,\r\nhow are you?\r\n"): string {
  return `From: Ana <ana@example.net>\r\nTo: dave@elsewhere.example\r\nSubject: hello\r\nMessage-ID: <${number}@example.net>\r\n` +
    `Date: Mon, 5 Jan 2026 12:00:00 +0000\r\nX-Number: ${number}\r\n${fields}\r\n${body}`;
}

/** Runs `body` with a folder that anybody may read. */
async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-milter-" });
  await Deno.chmod(folder, 0o777);
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes a file and gives its path. */
async function file(folder: string, name: string, text: string, mode = 0o644): Promise<string> {
  const path = `${folder}/${name}`;
  await Deno.writeTextFile(path, text);
  await Deno.chmod(path, mode);
  return path;
}

/** Runs OpenDKIM once to sign for example.net and once to verify; `body` gets both ports. */
async function withOpenDkim(folder: string, body: (signer: number, verifier: number) => Promise<void>): Promise<void> {
  await run("opendkim-genkey", ["-D", folder, "-d", "example.net", "-s", "sel", "-b", "2048"]);
  const record = (await Deno.readTextFile(`${folder}/sel.txt`)).match(/"([^"]*)"/g)?.map((part) => part.slice(1, -1))
    .join("");
  const keys = await file(folder, "keys", `sel._domainkey.example.net ${record}\n`);
  const common = "Syslog no\nBackground no\nRequireSafeKeys no\n";
  const signer = freePort();
  const signing = await file(
    folder,
    "sign.conf",
    `${common}Mode s\nDomain example.net\nSelector sel\nKeyFile ${folder}/sel.private\nSocket inet:${signer}@127.0.0.1\n`,
  );
  const verifier = freePort();
  const verifying = await file(
    folder,
    "verify.conf",
    `${common}Mode v\nInternalHosts 192.0.2.99\nAuthservID mx.example.net\nTestPublicKeys ${keys}\nSocket inet:${verifier}@127.0.0.1\n`,
  );
  await withPeer("opendkim", ["-f", "-x", signing], signer, async () => {
    await withPeer("opendkim", ["-f", "-x", verifying], verifier, () => body(signer, verifier));
  });
}

for (
  const [offer, more] of [["as usual", ""], [
    "of everything",
    "options.flags.actions = 0x1ff\noptions.flags.protocol = 0x1fffff\n",
  ]]
) {
  Deno.test(`OpenDKIM signs, and another one verifies what it has signed, after an offer ${offer}`, async () => {
    await withFolder(async (folder) => {
      await withOpenDkim(folder, async (signer, verifier) => {
        await withGodwitRelay(milterSettings([signer, verifier], more), async (relay) => {
          const fields = "X-Folded: one\r\n\ttwo\r\nX-None:none\r\n";
          for (const [index, body] of ["one\r\n", "", ".dot\r\n\r\n\r\n", "gr\xfc\xdfe\r\n"].entries()) {
            assert.match(await send(relay, message(index, fields, body)), /^250/);
            const { content } = await relayed(relay, index);
            assert.match(content, /^Authentication-Results: mx\.example\.net;/);
            assert.match(content, /dkim=pass/);
            assert.match(content, /^DKIM-Signature: v=1; a=rsa-sha256;.* d=example\.net; s=sel;/m);
            assert.ok(content.endsWith(`${fields}\r\n${body.replace(/^\./, "..")}`), content);
          }
          // What was changed on the way does not verify.
          const signed = (await relayed(relay, 0)).content.replace(/^Authentication-Results:.*\r\n(?:\s.+\r\n)*/, "");
          await withGodwitRelay(milterSettings([verifier], more), async (second) => {
            assert.match(await send(second, signed), /^250/);
            assert.match((await relayed(second, 0)).content, /dkim=pass/);
            assert.match(
              await send(second, signed.replace("X-Number: 0", "X-Number: 9").replace(/one\r\n$/, "two\r\n")),
              /^250/,
            );
            assert.match((await relayed(second, 9)).content, /dkim=fail/);
          });
        });
      });
    });
  });
}

Deno.test("OpenDMARC reads what OpenDKIM has found, and adds its own result", async () => {
  await withFolder(async (folder) => {
    await withOpenDkim(folder, async (signer, verifier) => {
      const port = freePort();
      const config = await file(
        folder,
        "opendmarc.conf",
        `Syslog false\nBackground false\nAuthservID mx.example.net\nTrustedAuthservIDs mx.example.net\nSPFIgnoreResults true\n` +
          `RejectFailures false\nRequiredHeaders false\nIgnoreHosts ${await file(
            folder,
            "ignore",
            "192.0.2.99\n",
          )}\nSocket inet:${port}@127.0.0.1\n`,
      );
      await withPeer("opendmarc", ["-f", "-c", config], port, async () => {
        await withGodwitRelay(milterSettings([signer, verifier, port]), async (relay) => {
          assert.match(await send(relay, message(1)), /^250/);
          const { content } = await relayed(relay, 1);
          // There is no DNS here, so what it finds is chance; that it looked is in the field.
          assert.match(content, /^Authentication-Results: mx\.example\.net;\s+dmarc=\w+.*header\.from=example\.net/m);
          assert.match(content, /dkim=pass/);
        });
      });
    });
  });
});

/** The test pattern for filters of unwanted mail, put together here so that no filter takes this file for such. */
const GTUBE = ["XJS", "C4JDBQADN1.NSBN3", "2IDNEN", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL", "C.34X"].join("*");

Deno.test("rspamd as milter rejects its test pattern, and adds fields to the rest", async () => {
  await withFolder(async (folder) => {
    const port = freePort();
    // All the suffixes that it comes with take half a minute to compile.
    const suffixes = await file(folder, "suffixes", "com\nnet\norg\n");
    const config = await file(
      folder,
      "rspamd.conf",
      `options { pidfile = "${folder}/pid"; dns { nameserver = ["127.0.0.1:9:1"]; timeout = 0.1s; retransmits = 1; } ` +
        `filters = ""; url_tld = "${suffixes}"; cache_file = "${folder}/symbols.cache"; ` +
        `hs_cache_dir = "${folder}"; rrd = null; history_file = "${folder}/history"; }
logging { type = "console"; level = "error"; }
lua = "/usr/share/rspamd/rules/rspamd.lua";
worker "rspamd_proxy" { bind_socket = "127.0.0.1:${port}"; milter = yes; timeout = 10s; count = 1;
  upstream "local" { default = yes; self_scan = yes; } }
metric { name = "default"; actions { reject = 15; add_header = 6; greylist = null; } }
milter_headers { use = ["x-spamd-bar", "x-rspamd-server"]; skip_local = false; skip_authenticated = false; }
modules { path = "/usr/share/rspamd/plugins/"; }
`,
    );
    await withPeer("rspamd", ["-f", "-i", "-c", config], port, async () => {
      await withGodwitRelay(milterSettings([port]), async (relay) => {
        assert.match(await send(relay, message(1)), /^250/);
        const { content } = await relayed(relay, 1);
        assert.match(content, /^X-Rspamd-Server: /m);
        assert.ok(content.endsWith("Hello Dave,\r\nhow are you?\r\n"));
        assert.match(await send(relay, message(2, "", `${GTUBE}\r\n`)), /^554 .*Gtube/);
        assert.match(await send(relay, message(3)), /^250/);
        await relayed(relay, 3);
      });
    });
  });
});

Deno.test("ClamAV rejects the EICAR test file, and marks the rest as clean", async () => {
  await withFolder(async (folder) => {
    // Put together here, so that no scanner takes this file for infected.
    const eicar = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE", "!$H+H*"].join("");
    await Deno.mkdir(`${folder}/db`);
    await file(`${folder}/db`, "local.ndb", `Test.Eicar:0:*:${new TextEncoder().encode(eicar.slice(0, 40)).toHex()}\n`);
    const socket = `${folder}/clamd.sock`;
    const tcp = freePort();
    const clamd = await file(
      folder,
      "clamd.conf",
      `Foreground yes\nDatabaseDirectory ${folder}/db\nLocalSocket ${socket}\nLocalSocketMode 666\nTCPSocket ${tcp}\nTCPAddr 127.0.0.1\nUser root\n`,
    );
    const port = freePort();
    const milter = await file(
      folder,
      "milter.conf",
      `Foreground yes\nUser root\nMilterSocket inet:${port}@127.0.0.1\nClamdSocket unix:${socket}\nOnInfected Reject\nRejectMsg infected by %v\nAddHeader Replace\nTemporaryDirectory ${folder}\n`,
    );
    await withPeer("clamd", ["--config-file", clamd], tcp, async () => {
      await withPeer("clamav-milter", ["--config-file", milter], port, async () => {
        await withGodwitRelay(milterSettings([port]), async (relay) => {
          assert.match(await send(relay, message(1)), /^250/);
          assert.match((await relayed(relay, 1)).content, /^X-Virus-Status: Clean\r$/m);
          const attachment = `begin 644 x\r\n${eicar}\r\n`;
          assert.match(await send(relay, message(2, "", attachment)), /^550 .*infected by Test\.Eicar/);
        });
      });
    });
  });
});

Deno.test("SpamAssassin marks its test pattern through spamass-milter, and lets the rest pass", async () => {
  await withFolder(async (folder) => {
    const spamd = freePort();
    await withPeer("spamd", ["-L", "-x", "--port", String(spamd), "-i", "127.0.0.1", "-m", "2"], spamd, async () => {
      const socket = `${folder}/milter.sock`;
      const child = new Deno.Command("spamass-milter", {
        args: ["-p", socket, "--", "-d", "127.0.0.1", "-p", String(spamd)],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      try {
        await eventually("spamass-milter listens", async () => {
          try {
            (await Deno.connect({ transport: "unix", path: socket })).close();
            return true;
          } catch {
            return undefined;
          }
        });
        const toml = milterSettings([1]).replace('hostname = "127.0.0.1"', `hostname = "${socket}"`);
        await withGodwitRelay(toml, async (relay) => {
          assert.match(await send(relay, message(1)), /^250/);
          assert.match((await relayed(relay, 1)).content, /^X-Spam-Checker-Version: SpamAssassin/m);
          assert.match(await send(relay, message(2, "", `${GTUBE}\r\n`)), /^250/);
          assert.match((await relayed(relay, 2)).content, /^X-Spam-Flag: YES\r$/m);
        });
      } finally {
        child.kill("SIGKILL");
        await child.status;
      }
    });
  });
});
