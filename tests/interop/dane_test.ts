/** DANE end to end: DNSSEC by unbound, the other end by Postfix, and OpenSSL's opinion of the same certificates. */

import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import type { TlsaRecord } from "../../src/dns/mod.ts";
import { makeCertificate, type TestCertificate } from "../support/certificates.ts";
import { startTestServer } from "../support/server.ts";
import { tlsaFor } from "../support/tlsa.ts";
import { tryRun } from "./server.ts";
import { tlsaLine, withUnbound } from "./signed_zone.ts";
import { fateOf, keepingSink, withTlsHosts } from "./tls_hosts.ts";

const DAY = 86_400_000;
const past = { notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) };
const stranger = await makeCertificate({ names: ["stranger.example"] });
const anchor = await makeCertificate({ names: ["anchor"], authority: true });

interface Host {
  /** The domain is `<name>.d.example`, its mail host `mx.<name>.d.example`. */
  readonly name: string;
  readonly certificate: TestCertificate;
  readonly tlsa: readonly TlsaRecord[];
  /** What becomes of mail: delivered over TLS, or the error that keeps it back. */
  readonly becomes: "delivered" | "dane" | "tls";
  /** `false` if what goes wrong is not the certificate's fault. */
  readonly oracle?: false;
  readonly isStripped?: true;
}

async function host(
  name: string,
  becomes: Host["becomes"],
  tlsa: (own: TestCertificate) => Promise<readonly TlsaRecord[]>,
  more: {
    readonly names?: readonly string[];
    readonly issuer?: TestCertificate;
    readonly notBefore?: Date;
    readonly notAfter?: Date;
    readonly oracle?: false;
    readonly isStripped?: true;
  } = {},
): Promise<Host> {
  const { oracle, isStripped, ...options } = more;
  const made = await makeCertificate({ names: [`mx.${name}.d.example`], ...options });
  // The anchor is sent, as RFC 7672 §3.1.2 wants it.
  const certificate = options.issuer === undefined ? made : { ...made, cert: `${made.cert}${options.issuer.cert}` };
  return {
    ...{ name, certificate, tlsa: await tlsa(made), becomes },
    ...(oracle === undefined ? {} : { oracle }),
    ...(isStripped === undefined ? {} : { isStripped }),
  };
}

const ee = (certificate: TestCertificate) => tlsaFor(certificate, 3, 1, 1);
const HOSTS: readonly Host[] = [
  await host("good", "delivered", async (own) => [await ee(own)]),
  await host("expired", "delivered", async (own) => [await ee(own)], past),
  await host("misnamed", "delivered", async (own) => [await ee(own)], { names: ["other.example"] }),
  await host("whole", "delivered", async (own) => [await tlsaFor(own, 3, 0, 2)]),
  await host("rolling", "delivered", async (own) => [await ee(stranger), await ee(own)]),
  await host("rolled", "dane", async () => [await ee(stranger)]),
  await host("anchored", "delivered", async () => [await tlsaFor(anchor, 2, 0, 1)], { issuer: anchor }),
  await host("anchorkey", "delivered", async () => [await tlsaFor(anchor, 2, 1, 2)], { issuer: anchor }),
  await host("wronganchor", "dane", async () => [await tlsaFor(stranger, 2, 0, 1)], { issuer: anchor }),
  await host("anchoredexpired", "dane", async () => [await tlsaFor(anchor, 2, 0, 1)], { issuer: anchor, ...past }),
  await host("anchoredmisnamed", "dane", async () => [await tlsaFor(anchor, 2, 0, 1)], {
    issuer: anchor,
    names: ["other.example"],
  }),
  await host("agility", "dane", async (own) => [await ee(own), await tlsaFor(stranger, 3, 1, 2)]),
  await host("unusable", "delivered", async () => [await tlsaFor(stranger, 1, 0, 1)], { oracle: false }),
  await host("bogus", "dane", async (own) => [await ee(own)], { oracle: false }),
  await host("withheld", "dane", async (own) => [await ee(own)], { oracle: false }),
  // Somebody on the way takes STARTTLS out of the reply to EHLO.
  await host("stripped", "dane", async (own) => [await ee(own)], { isStripped: true, oracle: false }),
  await host("silent", "tls", () => Promise.resolve([]), { oracle: false }),
];

const addressOf = (index: number) => `127.0.7.${index + 1}`;

const RECORDS = HOSTS.flatMap(({ name, tlsa }, index) => [
  `${name}.d.example. 300 IN MX 10 mx.${name}.d.example.`,
  `mx.${name}.d.example. 300 IN A ${addressOf(index)}`,
  ...(name === "withheld"
    // A part of the zone whose server answers nobody.
    ? ["_tcp.mx.withheld.d.example. 300 IN NS ns.withheld.d.example.", "ns.withheld.d.example. 300 IN A 127.0.7.99"]
    : tlsa.map((record) => tlsaLine(`_PORT._tcp.mx.${name}.d.example.`, record))),
]);

/** Gives the TLSA record of `bogus` other data than what is signed. */
function forge(text: string): string {
  return text.replace(
    /^(_\d+\._tcp\.mx\.bogus\.d\.example\..*TLSA\s+3 1 1 )([0-9a-f])/m,
    (_, before, digit) => `${before}${digit === "0" ? "1" : "0"}`,
  );
}

/** Whether OpenSSL finds that the certificate agrees with the records. */
async function opensslAgrees({ name, tlsa }: Host, address: string): Promise<boolean> {
  const records = tlsa.flatMap(({ usage, selector, matchingType, data }) => [
    "-dane_tlsa_rrdata",
    `${usage} ${selector} ${matchingType} ${data.toHex()}`,
  ]);
  const { output } = await tryRun("openssl", [
    ...["s_client", "-starttls", "smtp", "-connect", address, "-dane_tlsa_domain", `mx.${name}.d.example`],
    ...[...records, "-dane_ee_no_namechecks", "-quiet", "-verify_return_error"],
  ], "QUIT\n");
  return !/verify error|Verification error|DANE TLSA match failed|unable to/i.test(output);
}

async function deliverToAll(dnssec: "trust" | "validate"): Promise<void> {
  const sink = keepingSink();
  const port = freePort();
  const zone = {
    name: "d.example",
    records: RECORDS.map((line) => line.replace("PORT", String(port))),
    algorithm: "ECDSAP256SHA256",
    nsec3: true,
    tamper: forge,
  };
  const unsigned = {
    name: "plain.example",
    records: [
      "plain.example. 300 IN MX 10 mx.plain.example.",
      `mx.plain.example. 300 IN A ${addressOf(HOSTS.findIndex(({ name }) => name === "rolled"))}`,
      tlsaLine(`_${port}._tcp.mx.plain.example.`, await ee(stranger)),
    ],
  };
  // Answers of long ago, played again: their signatures have ended.
  const replayed = {
    name: "replayed.example",
    records: [
      "replayed.example. 300 IN MX 10 mx.replayed.example.",
      `mx.replayed.example. 300 IN A ${addressOf(0)}`,
      tlsaLine(`_${port}._tcp.mx.replayed.example.`, await ee(stranger)),
    ],
    algorithm: "ECDSAP256SHA256",
    options: ["-i", "20200101", "-e", "20200201"],
  };
  const hosts = HOSTS.map((one, index) => ({ ...one, address: addressOf(index) }));
  await withUnbound([zone, unsigned, replayed], async (dns, anchors) => {
    await withTlsHosts(hosts, { port, nextHop: sink.port }, async () => {
      await using server = await startTestServer(
        `
resolver = { type = "custom", custom = ["127.0.0.1:${dns}"], timeout = "2s", attempts = 1, dnssec = "${dnssec}", trust-anchors = ${
          JSON.stringify(anchors)
        } }
session.rcpt.relay = true
`,
        { mxPort: port },
      );
      for (const [index, one] of HOSTS.entries()) {
        assert.equal(await fateOf(server, `u@${one.name}.d.example`), one.becomes, one.name);
        if (one.oracle === false) continue;
        const agrees = await opensslAgrees(one, `${addressOf(index)}:${port}`);
        assert.equal(agrees, one.becomes === "delivered", `OpenSSL about ${one.name}`);
      }
      // TLSA records that are not signed mean nothing, nor do they keep mail back.
      assert.equal(await fateOf(server, "u@plain.example"), "tls");
      assert.equal(await fateOf(server, "u@replayed.example"), "dns");
      const unanswered = server.events.filter(({ name }) => name === "dane.tlsa-record-fetch-error");
      assert.deepEqual(unanswered.map(({ fields }) => fields.host), ["mx.bogus.d.example", "mx.withheld.d.example"]);
    });
  }, dnssec === "trust" ? {} : { server: ['module-config: "iterator"'] });
  sink.close();
  for (const { name, becomes } of HOSTS) {
    const mine = sink.for(`u@${name}.d.example`);
    assert.equal(mine.length, becomes === "delivered" ? 1 : 0, name);
    // Postfix tells in its trace field whether it got the message encrypted.
    if (becomes === "delivered") assert.match(mine[0] ?? "", /with ESMTPS id/);
  }
}

Deno.test("mail goes to a Postfix whose certificate agrees with its signed TLSA records, and to no other", async () => {
  await deliverToAll("trust");
});

Deno.test("and so it does where the resolver only passes signatures on", async () => {
  await deliverToAll("validate");
});
