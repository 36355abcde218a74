/** MTA-STS end to end: policies from the HTTPS server of Python, mail hosts by Postfix. */

import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { decodeTlsRow } from "../../src/report/tls/recorder.ts";
import { makeCertificate, type TestCertificate } from "../support/certificates.ts";
import { startTestServer } from "../support/server.ts";
import { openTemporaryStore } from "../support/store.ts";
import { createZone, type ZoneEntry } from "../support/zone.ts";
import { withPeer } from "./peer.ts";
import { fateOf, keepingSink, withTlsHosts } from "./tls_hosts.ts";

/** The Python that Debian's packages are for. */
const PYTHON = "/usr/bin/python3";
const SERVER = new URL("policies.py", import.meta.url).pathname;

const DAY = 86_400_000;
const past = { notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) };
const root = await makeCertificate({ names: ["test root"], authority: true });

interface Domain {
  /** The domain is `<name>.example`, its mail host `mx.<name>.example`. */
  readonly name: string;
  readonly mode: "enforce" | "testing";
  /** What the mail host shows, and the policy host if it is not good. */
  readonly certificate: TestCertificate;
  readonly policyCertificate?: TestCertificate;
  /** A host that the policy names instead. */
  readonly mx?: string;
  /** Delivered, or the error that keeps mail back. */
  readonly becomes: "delivered" | "mta-sts";
  readonly counted: readonly string[];
  readonly isStripped?: true;
}

const KINDS = [
  ["good", {}, { issuer: root }, ""],
  ["expired", past, { issuer: root }, "certificate-expired"],
  ["misnamed", { names: ["mx.other.example"] }, { issuer: root }, "certificate-host-mismatch"],
  ["selfsigned", {}, {}, "certificate-not-trusted"],
] as const;

const DOMAINS: Domain[] = [];
for (const mode of ["enforce", "testing"] as const) {
  for (const [kind, more, issuer, result] of KINDS) {
    const name = `${kind}.${mode}`;
    DOMAINS.push({
      name,
      mode,
      certificate: await makeCertificate({ names: [`mx.${name}.example`], ...issuer, ...more }),
      becomes: mode === "testing" || kind === "good" ? "delivered" : "mta-sts",
      counted: [`${result} sts`],
    });
  }
  const name = `unnamed.${mode}`;
  DOMAINS.push({
    name,
    mode,
    certificate: await makeCertificate({ names: [`mx.${name}.example`], issuer: root }),
    mx: "mx.elsewhere.example",
    becomes: mode === "testing" ? "delivered" : "mta-sts",
    counted: ["validation-failure sts"],
  });
  // Somebody on the way takes STARTTLS out of the reply to EHLO.
  DOMAINS.push({
    name: `stripped.${mode}`,
    mode,
    certificate: await makeCertificate({ names: [`mx.stripped.${mode}.example`], issuer: root }),
    becomes: mode === "testing" ? "delivered" : "mta-sts",
    counted: ["starttls-not-supported sts"],
    isStripped: true,
  });
}
for (const [kind, more, issuer] of KINDS.slice(1)) {
  const name = `policy.${kind}`;
  const isMisnamed = kind === "misnamed";
  DOMAINS.push({
    name,
    mode: "enforce",
    certificate: await makeCertificate({ names: [`mx.${name}.example`] }),
    policyCertificate: await makeCertificate({
      names: [isMisnamed ? "www.example" : `mta-sts.${name}.example`],
      ...issuer,
      ...(isMisnamed ? {} : more),
    }),
    // Nobody has ever seen a policy that could be believed.
    becomes: "delivered",
    counted: [" no-policy-found", "sts-webpki-invalid sts"],
  });
}

const addressOf = (index: number) => `127.0.8.${index + 1}`;
const pem = ({ privateKey, cert }: TestCertificate) => privateKey + cert;

/** Serves the policies; `body` gets port and folder. */
async function withPolicies(body: (port: number, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-policies-" });
  try {
    for (const { name, mode, mx, policyCertificate } of DOMAINS) {
      const host = `mta-sts.${name}.example`;
      const certificate = policyCertificate ?? await makeCertificate({ names: [host], issuer: root });
      await Deno.writeTextFile(`${folder}/${host}.pem`, pem(certificate));
      const text = `version: STSv1\r\nmode: ${mode}\r\nmx: ${mx ?? `*.${name}.example`}\r\nmax_age: 86400\r\n`;
      await Deno.writeTextFile(`${folder}/${host}.txt`, text);
    }
    const port = freePort();
    await withPeer(PYTHON, [SERVER, String(port), folder], port, () => body(port, folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Lets outbound TLS trust the root of this file. */
async function withTrust(body: () => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "godwit-root-" });
  const before = Deno.env.get("SSL_CERT_FILE");
  try {
    await Deno.writeTextFile(file, root.cert);
    Deno.env.set("SSL_CERT_FILE", file);
    await body();
  } finally {
    if (before === undefined) Deno.env.delete("SSL_CERT_FILE");
    else Deno.env.set("SSL_CERT_FILE", before);
    await Deno.remove(file);
  }
}

Deno.test("mail is held to policies in force, delivered under those on trial, and all of it is counted", () =>
  withTrust(async () => {
    const sink = keepingSink();
    const port = freePort();
    const zone: Record<string, ZoneEntry> = {};
    for (const [index, { name }] of DOMAINS.entries()) {
      zone[`${name}.example`] = { mx: [[10, `mx.${name}.example`]] };
      zone[`mx.${name}.example`] = { a: [addressOf(index)] };
      zone[`_mta-sts.${name}.example`] = { txt: ["v=STSv1; id=20260101;"] };
      zone[`mta-sts.${name}.example`] = { a: ["127.0.0.1"] };
    }
    const folder = await Deno.makeTempDir({ prefix: "godwit-sts-" });
    await withPolicies(async (policyPort, policies) => {
      const hosts = DOMAINS.map((domain, index) => ({ ...domain, address: addressOf(index) }));
      await withTlsHosts(hosts, { port, nextHop: sink.port }, async () => {
        const serve = () =>
          startTestServer(
            "session.rcpt.relay = true\nqueue.strategy.tls = \"'lax'\"\nqueue.tls.lax.allow-invalid-certs = true\n",
            { mxPort: port, policyPort, resolver: createZone(zone), folder },
          );
        {
          await using server = await serve();
          for (const { name, becomes } of DOMAINS) {
            assert.equal(await fateOf(server, `u@${name}.example`), becomes, name);
          }
        }
        // Whoever stops the policy host and forges the record does not get the mail either, nor does a restart help.
        await Deno.remove(`${policies}/mta-sts.selfsigned.enforce.example.txt`);
        zone["_mta-sts.selfsigned.enforce.example"] = { txt: ["v=STSv1; id=20260102;"] };
        {
          await using server = await serve();
          assert.equal(await fateOf(server, "v@selfsigned.enforce.example"), "mta-sts");
        }
        // What was counted is in the store when the server has stopped.
        const store = await openTemporaryStore(folder, { name: "data/godwit.db" });
        const { rows } = await store.read(
          "SELECT r.domain, c.result FROM aggregate_reports r JOIN aggregate_results c ON c.report = r.id " +
            "WHERE r.kind = 'tls'",
        );
        const results = rows.map(([domain, row]) => {
          const { result, policy } = decodeTlsRow(String(row));
          return { domain, result, policy: policy.split(" ")[0] };
        });
        await store.close();
        for (const { name, counted } of DOMAINS) {
          const mine = results.filter(({ domain }) => domain === `${name}.example`)
            // The fetch for the second message of one domain fails.
            .filter(({ result }) => result !== "sts-policy-fetch-error");
          assert.deepEqual(mine.map(({ result, policy }) => `${result} ${policy}`).sort(), counted, name);
        }
        assert.deepEqual(
          results.filter(({ result }) => result === "sts-policy-fetch-error").map(({ domain }) => domain),
          ["selfsigned.enforce.example"],
        );
      });
    });
    sink.close();
    await Deno.remove(folder, { recursive: true });
    for (const { name, becomes, isStripped } of DOMAINS) {
      const mine = sink.for(`u@${name}.example`);
      assert.equal(mine.length, becomes === "delivered" ? 1 : 0, name);
      // Postfix tells in its trace field whether it got the message encrypted.
      if (becomes === "delivered") assert.match(mine[0] ?? "", isStripped ? /with ESMTP id/ : /with ESMTPS id/);
    }
  }));
