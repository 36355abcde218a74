/** Certificates from a real authority (pebble), proved in each way; records by a real name server (BIND). */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { freePort } from "../../scripts/bench/server.ts";
import { createDns01 } from "../../src/acme/dns01.ts";
import { createRfc2136 } from "../../src/acme/rfc2136.ts";
import { systemClock } from "../../src/clock/mod.ts";
import { TSIG_ALGORITHMS } from "../../src/config/acme.ts";
import { startDnsServer } from "../support/dns_server.ts";
import { startSqld } from "../support/sqld.ts";
import { createZone } from "../support/zone.ts";
import { withBind } from "./bind.ts";
import { type Pebble, withPebble } from "./pebble.ts";
import { eventually, run, type TestServer, tryRun, withServer } from "./server.ts";

/** A name server that knows one address for every name, and nothing else. */
function loopbackNames() {
  return startDnsServer(({ name, type }) => ({
    answers: type === "A" ? [{ name, type, class: "IN", ttl: 60, data: "127.0.0.1" }] : [],
  }));
}

/** What openssl thinks of the certificate for a name, by STARTTLS. */
async function verified(server: TestServer, name: string, issuer: string): Promise<string> {
  const { output } = await tryRun("openssl", [
    ...["s_client", "-connect", `127.0.0.1:${server.ports.mx}`, "-starttls", "smtp", "-servername", name],
    ...["-verify_hostname", name, "-CAfile", issuer],
  ], "QUIT\r\n");
  return output;
}

/** Waits until the certificate of the authority is shown for each name. */
async function arrives(server: TestServer, pebble: Pebble, names: readonly string[]): Promise<void> {
  const issuer = `${server.folder}/issuer.pem`;
  await Deno.writeTextFile(issuer, await pebble.issuer());
  for (const name of names) {
    await eventually(`a certificate for ${name} is shown`, async () => {
      const output = await verified(server, name, issuer);
      return output.includes("Verify return code: 0 (ok)") ? output : undefined;
    });
  }
}

Deno.test("http-01: the first certificate arrives, for an account that is bound to another one", async () => {
  await using names = await loopbackNames();
  const [httpPort, tlsPort] = [freePort(), freePort()];
  const secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
  await withPebble({ httpPort, tlsPort, dnsPort: names.port, bindings: { "kid-7": secret } }, async (pebble) => {
    const toml = `
[server.listener.web]
bind = "127.0.0.1:${httpPort}"
protocol = "http"
[acme.test]
directory = "${pebble.directory}"
challenge = "http-01"
contact = "postmaster@acme.example"
domains = ["mx.acme.example", "mail.acme.example"]
eab = { kid = "kid-7", hmac-key = "${secret}" }
`;
    await withServer({ toml, env: { SSL_CERT_FILE: pebble.roots } }, async (server) => {
      await arrives(server, pebble, ["mx.acme.example", "mail.acme.example"]);
      const files: string[] = [];
      for await (const { name } of Deno.readDir(`${server.folder}/acme`)) {
        files.push(name);
        const { mode } = await Deno.stat(`${server.folder}/acme/${name}`);
        assert.equal((mode ?? 0) & 0o777, 0o600, name);
      }
      assert.equal(files.length, 3);
      const asked = await fetch(`http://127.0.0.1:${httpPort}/.well-known/acme-challenge/${"a".repeat(43)}`);
      assert.equal(asked.status, 404);
      await asked.body?.cancel();
    });
  });
});

Deno.test("a node that the authority does not reach orders, another one proves, and a third one takes what comes", async () => {
  await using names = await loopbackNames();
  await using database = await startSqld();
  const [httpPort, tlsPort] = [freePort(), freePort()];
  await withPebble({ httpPort, tlsPort, dnsPort: names.port }, async (pebble) => {
    const node = (id: string, more: string) => ({
      storeUrl: `http://127.0.0.1:${database.port}`,
      env: { SSL_CERT_FILE: pebble.roots },
      toml: `[cluster]\nnode-id = "${id}"\n${more}`,
    });
    const ordered = `[acme.test]
directory = "${pebble.directory}"
challenge = "http-01"
contact = "postmaster@acme.example"
domains = ["mx.acme.example"]
`;
    const web = `[server.listener.web]\nbind = "127.0.0.1:${httpPort}"\nprotocol = "http"\n`;
    await withServer(node("proves", web), async () => {
      await withServer(node("orders", ordered), async (orders) => {
        await arrives(orders, pebble, ["mx.acme.example"]);
        await withServer(node("takes", ordered), async (takes) => {
          await arrives(takes, pebble, ["mx.acme.example"]);
          assert.doesNotMatch(takes.output(), /acme\.order-start/);
        });
      });
    });
  });
});

Deno.test("tls-alpn-01: listeners with TLS from the first byte prove names, of HTTP and of mail", async () => {
  await using names = await loopbackNames();
  for (const protocol of ["http", "smtp"]) {
    const [httpPort, tlsPort] = [freePort(), freePort()];
    await withPebble({ httpPort, tlsPort, dnsPort: names.port }, async (pebble) => {
      const toml = `
[server.listener.secure]
bind = "127.0.0.1:${tlsPort}"
protocol = "${protocol}"
tls.implicit = true
[acme.test]
directory = "${pebble.directory}"
contact = "mailto:postmaster@acme.example"
domains = ["mx.acme.example", "mail.acme.example"]
`;
      await withServer({ toml, env: { SSL_CERT_FILE: pebble.roots } }, async (server) => {
        await arrives(server, pebble, ["mx.acme.example", "mail.acme.example"]);
        if (protocol !== "http") return;
        // The same listener, without a restart.
        const issuer = `${server.folder}/issuer.pem`;
        const health = await run("curl", [
          ...["-sS", "--max-time", "10", "--cacert", issuer],
          ...["--resolve", `mail.acme.example:${tlsPort}:127.0.0.1`, `https://mail.acme.example:${tlsPort}/healthz`],
        ]);
        assert.equal(health, "ok\n");
      });
    });
  }
});

Deno.test("dns-01: records in a zone of BIND prove a wildcard and the name below which it is", async () => {
  await withBind({ zone: "acme.example", algorithms: ["hmac-sha512"] }, async (bind) => {
    await withPebble({ httpPort: freePort(), tlsPort: freePort(), dnsPort: bind.port }, async (pebble) => {
      const toml = `
[resolver]
type = "custom"
custom = ["udp://127.0.0.1:${bind.port}"]
[acme.test]
directory = "${pebble.directory}"
challenge = "dns-01"
contact = "postmaster@acme.example"
domains = ["acme.example", "*.acme.example"]
provider = "rfc2136-tsig"
host = "127.0.0.1"
port = ${bind.port}
key = "updates-hmac-sha512"
secret = "${bind.secret}"
tsig-algorithm = "hmac-sha512"
`;
      await withServer({ toml, env: { SSL_CERT_FILE: pebble.roots } }, async (server) => {
        await arrives(server, pebble, ["acme.example", "any.acme.example"]);
        assert.equal(await bind.ask("_acme-challenge.acme.example", "TXT"), "");
      });
    });
  });
});

Deno.test("BIND takes updates that are signed by each algorithm, over UDP and TCP, and removes what it took", async () => {
  const resolver = createZone({ "acme.example": { ns: ["ns.acme.example"] }, "ns.acme.example": { a: ["127.0.0.1"] } });
  const world = { clock: systemClock, random: Math.random, resolver, emit: () => {} };
  const { signal } = new AbortController();
  await withBind({ zone: "acme.example", algorithms: TSIG_ALGORITHMS }, async ({ port, secret, ask }) => {
    for (const protocol of ["udp", "tcp"] as const) {
      for (const algorithm of TSIG_ALGORITHMS) {
        const key = { name: `updates-${algorithm}`, secret: Uint8Array.fromBase64(secret), algorithm };
        const provider = createRfc2136({ host: "127.0.0.1", port, protocol, key, origin: undefined }, world);
        const times = { ttl: 60_000, pollingInterval: 1_000, propagationTimeout: 10_000 };
        const solver = createDns01(provider, { id: "test", ...times }, { ...world, zonePort: port });
        const proofs = ["one", "two"].map((token) => ({
          domain: "mx.acme.example",
          token,
          keyAuthorization: `${token}.${algorithm}`,
        }));
        await solver.present(proofs, signal);
        const found = (await ask("_acme-challenge.mx.acme.example", "TXT")).split(" ");
        const wanted = proofs.map(({ keyAuthorization }) =>
          createHash("sha256").update(keyAuthorization).digest("base64url")
        );
        assert.deepEqual(found.toSorted(), wanted.toSorted(), `${algorithm} ${protocol}`);
        await solver.withdraw(proofs);
        assert.equal(await ask("_acme-challenge.mx.acme.example", "TXT"), "", `${algorithm} ${protocol}`);
      }
    }
    const wrong = { name: "updates-hmac-sha256", secret: new Uint8Array(32), algorithm: "hmac-sha256" } as const;
    const provider = createRfc2136({ host: "127.0.0.1", port, protocol: "udp", key: wrong, origin: undefined }, world);
    await assert.rejects(
      provider.add({ name: "x.acme.example", value: "v", ttl: 60 }, signal),
      /BADSIG: its key 'updates-hmac-sha256' has another secret/,
    );
    const key = { ...wrong, secret: Uint8Array.fromBase64(secret) };
    const elsewhere = createRfc2136({ host: "127.0.0.1", port, protocol: "tcp", key, origin: "other.example" }, world);
    await assert.rejects(elsewhere.add({ name: "x.other.example", value: "v", ttl: 60 }, signal), /NOTAUTH/);
  });
});

Deno.test("what an authority refuses is told in its own words, and mail goes on", async () => {
  await using names = await loopbackNames();
  const [httpPort, tlsPort] = [freePort(), freePort()];
  await withPebble({ httpPort, tlsPort, dnsPort: names.port }, async (pebble) => {
    // Nobody answers at the port that the authority connects to.
    const toml = `
[acme.test]
directory = "${pebble.directory}"
challenge = "http-01"
contact = "postmaster@acme.example"
domains = ["mx.acme.example"]
`;
    await withServer({ toml, env: { SSL_CERT_FILE: pebble.roots } }, async (server) => {
      const output = await eventually("the refusal is told", () => {
        const text = server.output();
        return text.includes("acme.renew-backoff") || text.includes("Proof of the name failed") ? text : undefined;
      });
      assert.match(output, /mx\.acme\.example: (?:connection|unauthorized): .*connection refused/);
      const shown = await verified(server, "mx.acme.example", server.certificate);
      // A certificate that nobody vouches for serves meanwhile.
      assert.match(shown, /self-signed certificate/);
      assert.match(shown, /BEGIN CERTIFICATE/);
    });
  });
});
