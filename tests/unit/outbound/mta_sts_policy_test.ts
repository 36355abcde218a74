/** The decisions of RFC 8461 §4 and §5 as a table, each made by a delivery to a peer. */

import assert from "node:assert/strict";
import type { TlsPolicyConfig } from "../../../src/config/config.ts";
import { createStsCache, createStsPolicy } from "../../../src/outbound/mod.ts";
import { StsFetchError } from "../../../src/outbound/mta_sts_fetch.ts";
import type { TlsResult } from "../../../src/outbound/tls_result.ts";
import { makeCertificate, type TestCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { tlsaFor } from "../../support/tlsa.ts";
import { createZone, type ZoneEntry } from "../../support/zone.ts";
import { inShort, jobFor, messageWith, mxRoute, queueConfig, relay, setUp, textOf, tlsPolicy } from "./setting.ts";

// Valid by the fake clock as well as by the machine's.
const notBefore = new Date(Date.UTC(2025, 0, 1));
const root = await makeCertificate({ names: ["test root"], authority: true, notBefore });
const good = await makeCertificate({ names: ["mx.d.example"], issuer: root, notBefore });
const wildcard = await makeCertificate({ names: ["*.d.example"], issuer: root, notBefore });
const domainOnly = await makeCertificate({ names: ["d.example"], issuer: root, notBefore });
const expired = await makeCertificate({
  names: ["mx.d.example"],
  issuer: root,
  notBefore,
  notAfter: new Date(Date.UTC(2025, 5, 1)),
});
const selfSigned = await makeCertificate({ names: ["mx.d.example"], notBefore });

interface Case {
  readonly what: string;
  /** The policy, `"down"` if it cannot be fetched; without any there is no record. */
  readonly policy?: string;
  /** What the peer shows; none: it offers no TLS. */
  readonly certificate?: TestCertificate | "none";
  readonly config?: Partial<TlsPolicyConfig>;
  readonly zone?: Readonly<Record<string, ZoneEntry>>;
  readonly header?: string;
  readonly requiretls?: true;
  readonly becomes: string;
  readonly text?: RegExp;
  /** Result type and policy type of what is counted. */
  readonly counted: readonly string[];
}

const body = (mode: string, ...mx: readonly string[]) =>
  `version: STSv1\nmode: ${mode}\n${mx.map((name) => `mx: ${name}\n`).join("")}max_age: 86400\n`;

const ENFORCE = body("enforce", "mx.d.example");
const TESTING = body("testing", "mx.d.example");
const ELSEWHERE = "mx.other.example";
const LAX = { allowInvalidCerts: true } as const;
const OK = "delivered";
const UNUSABLE: Readonly<Record<string, ZoneEntry>> = {
  "_PORT._tcp.mx.d.example": { tlsa: [await tlsaFor(selfSigned, 1, 1, 1)], security: "secure" },
};

const CASES: readonly Case[] = [
  { what: "enforce, all is well", policy: ENFORCE, becomes: OK, counted: ["ok sts"] },
  {
    what: "enforce, the policy has a wildcard",
    policy: body("enforce", "*.d.example"),
    becomes: OK,
    counted: ["ok sts"],
  },
  {
    what: "enforce, the certificate has one",
    policy: ENFORCE,
    certificate: wildcard,
    becomes: OK,
    counted: ["ok sts"],
  },
  {
    what: "enforce, the host is not named",
    policy: body("enforce", ELSEWHERE),
    becomes: "deferred mta-sts 0 4.7.0",
    text: /policy of d\.example does not name mx\.d\.example/,
    counted: ["validation-failure sts"],
  },
  {
    what: "enforce, STARTTLS is stripped",
    policy: ENFORCE,
    certificate: "none",
    becomes: "deferred mta-sts 0 4.7.4",
    counted: ["starttls-not-supported sts"],
  },
  ...([
    ["self-signed", selfSigned, "certificate-not-trusted"],
    ["of the domain only", domainOnly, "certificate-host-mismatch"],
    ["expired", expired, "certificate-expired"],
  ] as const).flatMap(([kind, certificate, type]): Case[] => [
    {
      what: `enforce, the certificate is ${kind}`,
      policy: ENFORCE,
      certificate,
      // Settings of this side do not weaken it.
      config: LAX,
      becomes: "deferred mta-sts 0 4.7.5",
      counted: [`${type} sts`],
    },
    {
      what: `testing, the certificate is ${kind}`,
      policy: TESTING,
      certificate,
      config: LAX,
      becomes: OK,
      counted: [`${type} sts`],
    },
    {
      what: `without a policy, the certificate is ${kind}`,
      certificate,
      config: LAX,
      becomes: OK,
      counted: ["ok no-policy-found"],
    },
  ]),
  {
    what: "enforce, starttls is disabled here",
    policy: ENFORCE,
    config: { starttls: "disable" },
    becomes: OK,
    counted: ["ok sts"],
  },
  {
    what: "enforce, STARTTLS is stripped and disabled here",
    policy: ENFORCE,
    certificate: "none",
    config: { starttls: "disable" },
    becomes: "deferred mta-sts 0 4.7.4",
    counted: ["starttls-not-supported sts"],
  },
  {
    what: "enforce, not used here",
    policy: ENFORCE,
    certificate: "none",
    config: { mtaSts: "disable" },
    becomes: OK,
    counted: ["starttls-not-supported no-policy-found"],
  },
  {
    what: "enforce, the sender does not mind (RFC 8689)",
    policy: ENFORCE,
    certificate: selfSigned,
    header: "TLS-Required: No\r\n",
    becomes: OK,
    counted: ["certificate-not-trusted sts"],
  },
  {
    what: "enforce, REQUIRETLS although the MX record is not signed (RFC 8689)",
    policy: ENFORCE,
    zone: { "d.example": { mx: [[10, "mx.d.example"]] } },
    requiretls: true,
    becomes: OK,
    counted: ["ok sts"],
  },
  {
    what: "testing, REQUIRETLS although the MX record is not signed",
    policy: TESTING,
    zone: { "d.example": { mx: [[10, "mx.d.example"]] } },
    requiretls: true,
    becomes: "failed tls 0 5.7.30",
    counted: [],
  },
  { what: "testing, all is well", policy: TESTING, becomes: OK, counted: ["ok sts"] },
  {
    what: "testing, the host is not named",
    policy: body("testing", ELSEWHERE),
    becomes: OK,
    counted: ["validation-failure sts"],
  },
  {
    what: "testing, no STARTTLS",
    policy: TESTING,
    certificate: "none",
    becomes: OK,
    counted: ["starttls-not-supported sts"],
  },
  {
    what: "testing, the certificate is one that this side refuses",
    policy: TESTING,
    certificate: selfSigned,
    becomes: "deferred tls 0 4.7.5",
    counted: ["certificate-not-trusted sts"],
  },
  {
    what: "testing, MTA-STS is required here",
    policy: TESTING,
    certificate: selfSigned,
    config: { ...LAX, mtaSts: "require" },
    becomes: "deferred mta-sts 0 4.7.5",
    counted: ["certificate-not-trusted sts"],
  },
  {
    what: "none",
    policy: body("none"),
    certificate: "none",
    becomes: OK,
    counted: ["starttls-not-supported no-policy-found"],
  },
  {
    what: "none, MTA-STS is required here",
    policy: body("none"),
    config: { mtaSts: "require" },
    becomes: "deferred mta-sts 0 4.7.4",
    text: /policy of mode none/,
    counted: [],
  },
  { what: "no policy", certificate: "none", becomes: OK, counted: ["starttls-not-supported no-policy-found"] },
  {
    what: "no policy, MTA-STS is required here",
    config: { mtaSts: "require" },
    becomes: "deferred mta-sts 0 4.7.4",
    text: /queue\.tls\.default\.mta-sts.*d\.example has no MTA-STS policy/,
    counted: [],
  },
  {
    what: "the policy cannot be fetched",
    policy: "down",
    becomes: OK,
    counted: ["sts-webpki-invalid sts", "ok no-policy-found"],
  },
  {
    what: "the policy is none",
    policy: "version: STSv1\n",
    becomes: OK,
    counted: ["sts-policy-invalid sts", "ok no-policy-found"],
  },
  {
    what: "the policy cannot be fetched, MTA-STS is required here",
    policy: "down",
    config: { mtaSts: "require" },
    becomes: "deferred mta-sts 0 4.7.0",
    text: /could not be fetched/,
    counted: ["sts-webpki-invalid sts"],
  },
  {
    what: "the record cannot be looked up",
    zone: { "_mta-sts.d.example": { error: "servfail" } },
    becomes: OK,
    counted: ["ok no-policy-found"],
  },
  {
    what: "DANE agrees, MTA-STS would not (RFC 8461 §2)",
    policy: body("enforce", ELSEWHERE),
    certificate: selfSigned,
    zone: { "_PORT._tcp.mx.d.example": { tlsa: [await tlsaFor(selfSigned, 3, 1, 1)], security: "secure" } },
    becomes: OK,
    counted: ["ok tlsa"],
  },
  {
    what: "DANE disagrees, MTA-STS would not",
    policy: ENFORCE,
    zone: { "_PORT._tcp.mx.d.example": { tlsa: [await tlsaFor(selfSigned, 3, 1, 1)], security: "secure" } },
    becomes: "deferred dane 0 4.7.5",
    counted: ["validation-failure tlsa"],
  },
  // Usages 0 and 1 say nothing about mail (RFC 7672 §3.1.3): such records ask for TLS with whoever answers.
  {
    what: "enforce beside TLSA records that say nothing, all is well",
    policy: ENFORCE,
    zone: UNUSABLE,
    becomes: OK,
    counted: ["ok sts"],
  },
  {
    what: "enforce beside TLSA records that say nothing, the certificate is self-signed",
    policy: ENFORCE,
    certificate: selfSigned,
    config: LAX,
    zone: UNUSABLE,
    becomes: "deferred mta-sts 0 4.7.5",
    counted: ["certificate-not-trusted sts"],
  },
  {
    what: "enforce beside TLSA records that say nothing, the host is not named",
    policy: body("enforce", ELSEWHERE),
    zone: UNUSABLE,
    becomes: "deferred mta-sts 0 4.7.0",
    counted: ["validation-failure sts"],
  },
  {
    what: "no policy beside TLSA records that say nothing, MTA-STS is required here",
    config: { mtaSts: "require" },
    zone: UNUSABLE,
    becomes: "deferred mta-sts 0 4.7.4",
    counted: [],
  },
  {
    what: "no policy beside TLSA records that say nothing",
    certificate: selfSigned,
    zone: UNUSABLE,
    becomes: OK,
    counted: ["ok tlsa"],
  },
  {
    what: "no policy beside TLSA records that say nothing, STARTTLS is stripped",
    certificate: "none",
    zone: UNUSABLE,
    becomes: "deferred dane 0 4.7.4",
    counted: ["starttls-not-supported tlsa"],
  },
];

async function deliver(one: Case, route = "mx") {
  const { certificate = good } = one;
  await using peer = await startFakePeer(
    certificate === "none"
      ? { extensions: ["PIPELINING"] }
      : { extensions: ["PIPELINING", "STARTTLS", "REQUIRETLS"], tls: certificate },
  );
  const zone: Record<string, ZoneEntry> = {
    "d.example": { mx: [[10, "mx.d.example"]], security: "secure" },
    "mx.d.example": { a: ["127.0.0.1"], security: "secure" },
    ...(one.policy === undefined ? {} : { "_mta-sts.d.example": { txt: ["v=STSv1; id=1;"] } }),
  };
  for (const [name, entry] of Object.entries(one.zone ?? {})) zone[name.replace("PORT", String(peer.port))] = entry;
  const resolver = createZone(zone);
  const results: TlsResult[] = [];
  const tlsResults = { record: (result: TlsResult) => results.push(result) };
  const cache = createStsCache({
    resolver,
    fetch: () =>
      one.policy === undefined || one.policy === "down"
        ? Promise.reject(new StsFetchError("the certificate has expired", "sts-webpki-invalid"))
        : Promise.resolve(one.policy),
    store: {
      write: (statements) => Promise.resolve(statements.map(() => ({ changes: 0, rows: [] }))),
      read: () => Promise.resolve({ columns: [], rows: [] }),
      close: () => Promise.resolve(),
    },
    clock: new FakeClock(),
    emit: () => {},
    results: tlsResults,
    capacity: 100_000,
  });
  const { deliver, delivery } = setUp(
    queueConfig([mxRoute, relay(peer.port, { address: "mx.d.example" })], { tls: [{ ...tlsPolicy, ...one.config }] }),
    {
      resolver,
      mxPort: peer.port,
      ca: [root.cert],
      mtaSts: createStsPolicy({ cache, emit: () => {} }),
      tlsResults,
    },
  );
  const [outcome] = await deliver(jobFor(["u@d.example"], { route, message: messageWith(one) }));
  await delivery.close();
  await cache.close();
  return { outcome, peer, results, resolver };
}

for (const one of CASES) {
  Deno.test(`MTA-STS: ${one.what}`, async () => {
    const { outcome, results } = await deliver(one);
    assert.equal(inShort(outcome), one.becomes, textOf(outcome));
    assert.match(textOf(outcome), one.text ?? /./);
    assert.deepEqual(results.map(({ policy, failure }) => `${failure?.type ?? "ok"} ${policy.type}`), one.counted);
    assert.ok(results.every(({ policy }) => policy.domain === "d.example"));
  });
}

Deno.test("a failure is counted with both addresses, the host and the policy that it was held to", async () => {
  const { results } = await deliver({ what: "", policy: ENFORCE, certificate: selfSigned, becomes: "", counted: [] });
  const [{ policy, failure }] = results as [TlsResult];
  assert.deepEqual(policy, {
    type: "sts",
    domain: "d.example",
    strings: ["version: STSv1", "mode: enforce", "mx: mx.d.example", "max_age: 86400"],
    mxHosts: ["mx.d.example"],
  });
  const { details, localIp, ...rest } = failure!;
  assert.deepEqual(rest, { type: "certificate-not-trusted", host: "mx.d.example", remoteIp: "127.0.0.1" });
  assert.match(details, /does not verify/);
  assert.ok(["", "127.0.0.1"].includes(localIp));
});

Deno.test("a relay is held to the policy of its own name (RFC 8461 §3.4)", async () => {
  const setting = { what: "", certificate: selfSigned, config: LAX, becomes: "", counted: [] } as const;
  const zone = { "_mta-sts.mx.d.example": { txt: ["v=STSv1; id=1;"] } };
  const held = await deliver({ ...setting, policy: ENFORCE, zone }, "relay");
  assert.equal(inShort(held.outcome), "deferred mta-sts 0 4.7.5");
  const free = await deliver({ ...setting, policy: ENFORCE }, "relay");
  assert.equal(inShort(free.outcome), "delivered");
  assert.ok(!free.resolver.asked.includes("TXT _mta-sts.d.example"));
});
