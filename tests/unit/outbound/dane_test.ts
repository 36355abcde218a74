/** DANE for SMTP: the decisions of RFC 7672, each with a server at the other end. */

import assert from "node:assert/strict";
import type { TlsPolicyConfig } from "../../../src/config/config.ts";
import type { TlsaRecord } from "../../../src/dns/mod.ts";
import type { TlsResult } from "../../../src/outbound/mod.ts";
import { makeCertificate, type TestCertificate } from "../../support/certificates.ts";
import { type FakePeerOptions, startFakePeer } from "../../support/fake_peer.ts";
import { versionOne } from "../../support/odd_certificate.ts";
import { tlsaFor } from "../../support/tlsa.ts";
import { createZone, type ZoneEntry } from "../../support/zone.ts";
import { inShort, jobFor, messageWith, mxRoute, queueConfig, relay, setUp, textOf, tlsPolicy } from "./setting.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 5, 12);
// Valid by the fake clock; the server at the other end goes by the machine's.
const notBefore = new Date(Date.UTC(2025, 0, 1));
const past = { notBefore, notAfter: new Date(NOW - DAY) };

const own = await makeCertificate({ names: ["mx.d.example"], notBefore });
const next = await makeCertificate({ names: ["mx.d.example"], notBefore });
const stranger = await makeCertificate({ names: ["mx.d.example"], notBefore });
const expired = await makeCertificate({ names: ["mx.d.example"], ...past });
const old = await versionOne(own);
const misnamed = await makeCertificate({ names: ["other.example"], notBefore });

const anchor = await makeCertificate({ names: ["anchor"], authority: true, notBefore });
const middle = await makeCertificate({ names: ["middle"], authority: true, issuer: anchor, notBefore });
const noAuthority = await makeCertificate({ names: ["pretender"], issuer: anchor, notBefore });
const oldAnchor = await makeCertificate({ names: ["old"], authority: true, ...past });

/** A certificate below `issuer` whose chain, the anchor included, is sent as RFC 7672 §3.1.2 wants it. */
async function below(issuer: TestCertificate, names: readonly string[], more: Partial<typeof past> = {}) {
  const made = await makeCertificate({ names, issuer, notBefore, ...more });
  return { ...made, cert: `${made.signer.certificate.toString("pem")}\n${issuer.cert}\n${anchor.cert}` };
}
const issued = await below(anchor, ["mx.d.example"]);
const issuedLong = await below(middle, ["mx.d.example"]);

interface Case {
  readonly what: string;
  /** Records at `_25._tcp.mx.d.example`, or how the lookup fails. */
  readonly tlsa: readonly TlsaRecord[] | "bogus" | "servfail" | "timeout";
  readonly certificate?: TestCertificate;
  readonly zone?: Readonly<Record<string, ZoneEntry>>;
  readonly policy?: Partial<TlsPolicyConfig>;
  readonly peer?: FakePeerOptions;
  readonly header?: string;
  readonly requiretls?: true;
  /** `delivered` means over TLS. */
  readonly becomes: string;
  readonly text?: RegExp;
}

const OFFER = ["PIPELINING", "STARTTLS", "REQUIRETLS"];
const PORT = "PORT";

/** The zone of d.example, signed unless a case says otherwise; `PORT` stands for that of the peer. */
function zoneOf({ tlsa, zone = {} }: Case, port: number) {
  const table: Record<string, ZoneEntry> = {
    "d.example": { mx: [[10, "mx.d.example"]], security: "secure" },
    "mx.d.example": { a: ["127.0.0.1"], security: "secure" },
    [`_${PORT}._tcp.mx.d.example`]: typeof tlsa === "string" ? { error: tlsa } : { tlsa, security: "secure" },
    ...zone,
  };
  const named = Object.entries(table).map(([name, entry]) => [name.replace(PORT, String(port)), entry]);
  return createZone(Object.fromEntries(named));
}

async function deliver(one: Case) {
  await using peer = await startFakePeer({ extensions: OFFER, tls: one.certificate ?? own, ...one.peer });
  const resolver = zoneOf(one, peer.port);
  const results: TlsResult[] = [];
  const { deliver, delivery, events } = setUp(
    queueConfig([mxRoute], { tls: [{ ...tlsPolicy, ...one.policy }] }),
    {
      resolver,
      mxPort: peer.port,
      tlsResults: { record: (result) => void results.push(result) },
      ...(one.requiretls === undefined ? {} : { ca: [anchor.cert] }),
    },
  );
  const [outcome] = await deliver(jobFor(["u@d.example"], { route: "mx", message: messageWith(one) }));
  await delivery.close();
  return { outcome, peer, resolver, results, events: events.map(({ name }) => name) };
}

const ee = (certificate: TestCertificate, selector = 1, type = 1) => tlsaFor(certificate, 3, selector, type);
const ta = (certificate: TestCertificate, selector = 0, type = 1) => tlsaFor(certificate, 2, selector, type);
const broken = (record: TlsaRecord, change: Partial<TlsaRecord>): TlsaRecord => ({ ...record, ...change });
const insecure = (entry: ZoneEntry): ZoneEntry => ({ ...entry, security: "insecure" });
const NO = "TLS-Required: No\r\n";

const MISMATCH = "deferred dane 0 4.7.5";
const UNSIGNED_ALIAS = {
  "mx.d.example": { cname: "host.e.example", security: "secure" },
  "host.e.example": { a: ["127.0.0.1"] },
} as const;
const SIGNED_ALIAS = {
  "mx.d.example": { cname: "host.e.example", security: "secure" },
  "host.e.example": { a: ["127.0.0.1"], security: "secure" },
} as const;

const CASES: readonly Case[] = [
  // RFC 7671 §5.1: DANE-EE
  ...await Promise.all(
    [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]].map(async ([selector, type]): Promise<Case> => ({
      what: `3 ${selector} ${type} agrees`,
      tlsa: [await ee(own, selector, type)],
      becomes: "delivered",
    })),
  ),
  { what: "3 1 1 of another certificate", tlsa: [await ee(stranger)], becomes: MISMATCH, text: /none of the TLSA/ },
  { what: "3 1 1, certificate expired", tlsa: [await ee(expired)], certificate: expired, becomes: "delivered" },
  { what: "3 1 1, certificate misnamed", tlsa: [await ee(misnamed)], certificate: misnamed, becomes: "delivered" },
  { what: "3 1 1 of the next certificate beside", tlsa: [await ee(next), await ee(own)], becomes: "delivered" },
  { what: "rolled over too early", tlsa: [await ee(next)], becomes: MISMATCH },
  {
    what: "3 1 1 is that of the anchor, not of the server",
    tlsa: [await ee(anchor)],
    certificate: issued,
    becomes: MISMATCH,
  },
  {
    what: "3 0 1 agrees, but whoever shows it need not have its key",
    tlsa: [await ee(old, 0)],
    certificate: { ...old, privateKey: stranger.privateKey },
    becomes: MISMATCH,
    text: /nothing shows that the server has the key/,
  },
  // RFC 7671 §9: digest agility
  {
    what: "SHA2-256 agrees, SHA2-512 of the same kind does not",
    tlsa: [await ee(own, 1, 1), await ee(stranger, 1, 2)],
    becomes: MISMATCH,
  },
  {
    what: "SHA2-512 does not agree, SHA2-256 of another selector does",
    tlsa: [await ee(own, 0, 1), await ee(stranger, 1, 2)],
    becomes: "delivered",
  },
  {
    what: "full data agrees beside a stronger digest",
    tlsa: [await ee(own, 1, 0), await ee(stranger, 1, 2)],
    becomes: "delivered",
  },
  // RFC 7671 §5.2: DANE-TA
  ...await Promise.all(
    [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]].map(async ([selector, type]): Promise<Case> => ({
      what: `2 ${selector} ${type} is the anchor`,
      tlsa: [await ta(anchor, selector, type)],
      certificate: issued,
      becomes: "delivered",
    })),
  ),
  { what: "2 0 1 over two steps", tlsa: [await ta(anchor)], certificate: issuedLong, becomes: "delivered" },
  { what: "2 0 1 of the certificate between", tlsa: [await ta(middle)], certificate: issuedLong, becomes: "delivered" },
  {
    what: "2 0 0, the anchor is not sent",
    tlsa: [await ta(anchor, 0, 0)],
    certificate: await makeCertificate({ names: ["mx.d.example"], issuer: anchor, notBefore }),
    becomes: "delivered",
  },
  {
    what: "2 1 0, the anchor is not sent",
    tlsa: [await ta(anchor, 1, 0)],
    certificate: await makeCertificate({ names: ["mx.d.example"], issuer: anchor, notBefore }),
    becomes: "delivered",
  },
  {
    what: "2 0 1, the anchor is not sent",
    tlsa: [await ta(anchor)],
    certificate: await makeCertificate({ names: ["mx.d.example"], issuer: anchor, notBefore }),
    becomes: MISMATCH,
  },
  { what: "2 0 1 of another anchor", tlsa: [await ta(oldAnchor)], certificate: issued, becomes: MISMATCH },
  { what: "2 1 1 of the server's own certificate", tlsa: [await ta(own, 1)], becomes: MISMATCH },
  {
    what: "2 0 1, certificate misnamed",
    tlsa: [await ta(anchor)],
    certificate: await below(anchor, ["other.example"]),
    becomes: MISMATCH,
    text: /is for other\.example, not for mx\.d\.example or d\.example/,
  },
  {
    what: "2 0 1, certificate names the domain (RFC 7672 §3.2.3)",
    tlsa: [await ta(anchor)],
    certificate: await below(anchor, ["d.example"]),
    becomes: "delivered",
  },
  {
    what: "2 0 1, wildcard for the host",
    tlsa: [await ta(anchor)],
    certificate: await below(anchor, ["*.d.example"]),
    becomes: "delivered",
  },
  {
    what: "2 0 1, wildcard that would stand for two labels",
    tlsa: [await ta(anchor)],
    certificate: await below(anchor, ["*.example"]),
    becomes: MISMATCH,
  },
  {
    what: "2 0 1, certificate expired",
    tlsa: [await ta(anchor)],
    certificate: await below(anchor, ["mx.d.example"], past),
    becomes: MISMATCH,
    text: /expired/,
  },
  {
    what: "2 0 1, anchor expired",
    tlsa: [await ta(oldAnchor)],
    certificate: await below(oldAnchor, ["mx.d.example"]),
    becomes: MISMATCH,
    text: /expired/,
  },
  {
    what: "2 0 1, signed by what is no authority",
    tlsa: [await ta(anchor)],
    certificate: await below(noAuthority, ["mx.d.example"]),
    becomes: MISMATCH,
  },
  {
    what: "2 0 1 does not agree, 3 1 1 does",
    tlsa: [await ta(oldAnchor), await ee(own)],
    becomes: "delivered",
  },
  // RFC 7672 §2.2, §3.1.3: records that cannot be used
  ...await Promise.all(
    ([
      ["PKIX-TA", { usage: 0 }],
      ["PKIX-EE", { usage: 1 }],
      ["an unknown usage", { usage: 4 }],
      ["an unknown selector", { selector: 2 }],
      ["an unknown matching type", { matchingType: 3 }],
      ["a digest of a wrong length", { data: new Uint8Array(31) }],
      ["no digest", { data: new Uint8Array(0) }],
      ["full data that is no certificate", { selector: 0, matchingType: 0, data: Uint8Array.of(1, 2, 3) }],
      ["full data that is no key", { selector: 1, matchingType: 0, data: Uint8Array.of(0x30, 0) }],
    ] as const).map(async ([what, change]): Promise<Case> => ({
      what: `${what}: encrypted, whoever it is`,
      tlsa: [broken(await ee(stranger), change)],
      becomes: "delivered",
    })),
  ),
  {
    what: "nothing usable and no STARTTLS",
    tlsa: [broken(await ee(own), { usage: 1 })],
    peer: { extensions: [] },
    becomes: "deferred dane 0 4.7.4",
  },
  {
    what: "nothing usable where DANE is required",
    tlsa: [broken(await ee(own), { usage: 1 })],
    policy: { dane: "require" },
    becomes: "deferred dane 0 4.7.4",
  },
  {
    what: "unusable records beside one that agrees",
    tlsa: [broken(await ee(own), { usage: 1 }), await ee(own)],
    becomes: "delivered",
  },
  {
    what: "unusable records beside one that does not agree",
    tlsa: [broken(await ee(own), { usage: 1 }), await ee(stranger)],
    becomes: MISMATCH,
  },
  // Downgrades
  { what: "STARTTLS stripped", tlsa: [await ee(own)], peer: { extensions: [] }, becomes: "deferred dane 0 4.7.4" },
  {
    what: "STARTTLS refused",
    tlsa: [await ee(own)],
    peer: { on: ({ verb }) => verb === "STARTTLS" ? "454 4.7.0 not now" : undefined },
    becomes: "deferred dane 454 4.7.4",
  },
  {
    what: "handshake broken",
    tlsa: [await ee(own)],
    peer: { on: ({ verb }) => verb === "STARTTLS" ? { then: "close", say: "220 go ahead\r\nno TLS" } : undefined },
    becomes: MISMATCH,
  },
  { what: "TLSA bogus", tlsa: "bogus", becomes: MISMATCH, text: /could not be looked up/ },
  { what: "TLSA answered with SERVFAIL", tlsa: "servfail", becomes: MISMATCH },
  { what: "TLSA withheld", tlsa: "timeout", becomes: MISMATCH },
  ...(["starttls", "mtaSts"] as const).map((key): Case => ({
    what: `TLSA withheld, ${key} disabled`,
    tlsa: "timeout",
    policy: { [key]: "disable" },
    becomes: MISMATCH,
  })),
  {
    what: "certificate disagrees, invalid ones are allowed",
    tlsa: [await ee(stranger)],
    policy: { allowInvalidCerts: true },
    becomes: MISMATCH,
  },
  {
    what: "certificate disagrees, starttls disabled",
    tlsa: [await ee(stranger)],
    policy: { starttls: "disable" },
    becomes: MISMATCH,
  },
  // RFC 7672 §2.1, §2.2: where DANE does not hold
  { what: "no TLSA records", tlsa: [], policy: { allowInvalidCerts: true }, becomes: "delivered" },
  { what: "no TLSA records, certificate does not verify", tlsa: [], becomes: "deferred tls 0 4.7.5" },
  { what: "no TLSA records, DANE required", tlsa: [], policy: { dane: "require" }, becomes: "deferred dane 0 4.7.4" },
  {
    what: "MX records not signed",
    tlsa: [await ee(stranger)],
    zone: { "d.example": insecure({ mx: [[10, "mx.d.example"]] }) },
    policy: { allowInvalidCerts: true },
    becomes: "delivered",
  },
  {
    what: "MX records not signed, DANE required",
    tlsa: [await ee(own)],
    zone: { "d.example": insecure({ mx: [[10, "mx.d.example"]] }) },
    policy: { dane: "require" },
    becomes: "deferred dane 0 4.7.4",
    text: /the MX records of d\.example are not signed/,
  },
  {
    what: "addresses not signed: TLSA is not even asked for",
    tlsa: "servfail",
    zone: { "mx.d.example": insecure({ a: ["127.0.0.1"] }) },
    policy: { allowInvalidCerts: true },
    becomes: "delivered",
  },
  {
    what: "TLSA records not signed",
    tlsa: [],
    zone: { [`_${PORT}._tcp.mx.d.example`]: insecure({ tlsa: [await ee(stranger)] }) },
    policy: { allowInvalidCerts: true },
    becomes: "delivered",
  },
  {
    what: "DANE disabled",
    tlsa: [await ee(stranger)],
    policy: { dane: "disable", allowInvalidCerts: true },
    becomes: "delivered",
  },
  { what: "DANE required and there", tlsa: [await ee(own)], policy: { dane: "require" }, becomes: "delivered" },
  {
    what: "the MX record holds an address",
    tlsa: [],
    zone: { "d.example": { mx: [[10, "127.0.0.1"]], security: "secure" } },
    policy: { dane: "require" },
    becomes: "deferred dane 0 4.7.4",
  },
  // RFC 7672 §2.2.2: no MX records, aliases
  {
    what: "a domain that is its own mail host",
    tlsa: [],
    zone: {
      "d.example": { a: ["127.0.0.1"], security: "secure" },
      [`_${PORT}._tcp.d.example`]: { tlsa: [await ee(own)], security: "secure" },
    },
    policy: { dane: "require" },
    becomes: "delivered",
  },
  {
    what: "TLSA records behind a CNAME",
    tlsa: [],
    zone: {
      [`_${PORT}._tcp.mx.d.example`]: { cname: "_dane.d.example", security: "secure" },
      "_dane.d.example": { tlsa: [await ee(own)], security: "secure" },
    },
    policy: { dane: "require" },
    becomes: "delivered",
  },
  {
    what: "TLSA records behind a CNAME that leads out of what is signed",
    tlsa: [],
    zone: {
      [`_${PORT}._tcp.mx.d.example`]: { cname: "_dane.e.example", security: "secure" },
      "_dane.e.example": insecure({ tlsa: [await ee(stranger)] }),
    },
    policy: { allowInvalidCerts: true },
    becomes: "delivered",
  },
  {
    what: "a signed alias: the name behind it comes first",
    tlsa: [await ee(stranger)],
    zone: { ...SIGNED_ALIAS, [`_${PORT}._tcp.host.e.example`]: { tlsa: [await ee(own)], security: "secure" } },
    becomes: "delivered",
  },
  {
    what: "a signed alias: its own name comes second",
    tlsa: [await ee(stranger)],
    zone: SIGNED_ALIAS,
    becomes: MISMATCH,
  },
  {
    what: "a signed alias: a failing lookup of the name behind it ends it",
    tlsa: [await ee(own)],
    zone: { ...SIGNED_ALIAS, [`_${PORT}._tcp.host.e.example`]: { error: "servfail" } },
    becomes: MISMATCH,
  },
  {
    what: "a signed alias of what is not signed: its own name is asked",
    tlsa: [await ee(stranger)],
    zone: UNSIGNED_ALIAS,
    becomes: MISMATCH,
  },
  {
    what: "an alias that is not signed itself: nothing is asked",
    tlsa: "servfail",
    zone: { ...UNSIGNED_ALIAS, "mx.d.example": insecure({ cname: "host.e.example" }) },
    policy: { allowInvalidCerts: true },
    becomes: "delivered",
  },
  // RFC 8689
  { what: "REQUIRETLS is content with DANE", tlsa: [await ee(own)], requiretls: true, becomes: "delivered" },
  {
    what: "REQUIRETLS, nothing usable: the roots decide",
    tlsa: [broken(await ee(own), { usage: 1 })],
    requiretls: true,
    becomes: "deferred tls 0 4.7.5",
  },
  {
    what: "REQUIRETLS, nothing usable, certificate of a root",
    tlsa: [broken(await ee(own), { usage: 1 })],
    certificate: issued,
    requiretls: true,
    becomes: "delivered",
  },
  {
    what: "TLS-Required: No, certificate disagrees",
    tlsa: [await ee(stranger)],
    header: NO,
    becomes: "delivered",
  },
  { what: "TLS-Required: No, TLSA withheld", tlsa: "timeout", header: NO, becomes: "delivered" },
  {
    what: "TLS-Required: No with REQUIRETLS",
    tlsa: [await ee(stranger)],
    header: NO,
    requiretls: true,
    becomes: MISMATCH,
  },
  {
    what: "TLS-Required: No, DANE required by the administrator",
    tlsa: [await ee(stranger)],
    header: NO,
    policy: { dane: "require" },
    becomes: MISMATCH,
  },
];

for (const one of CASES) {
  Deno.test(`${one.what}: ${one.becomes}`, async () => {
    const { outcome, peer, events } = await deliver(one);
    assert.equal(inShort(outcome), one.becomes, textOf(outcome));
    if (one.text !== undefined) assert.match(textOf(outcome), one.text);
    if (one.becomes === "delivered") assert.equal(peer.connections.at(-1)?.encrypted, true);
    else assert.equal(peer.messages.length, 0, events.join(" "));
  });
}

Deno.test("TLS-Required: No goes in plain text where STARTTLS is gone", async () => {
  const { outcome, peer } = await deliver({
    what: "",
    tlsa: [await ee(own)],
    peer: { extensions: [] },
    header: NO,
    becomes: "delivered",
  });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(peer.connections.at(-1)?.encrypted, false);
});

Deno.test("the next host of the domain is tried when the first one disagrees", async () => {
  const { outcome, events } = await deliver({
    what: "",
    tlsa: [await ee(stranger)],
    zone: {
      "d.example": { mx: [[10, "mx.d.example"], [20, "mx2.d.example"]], security: "secure" },
      "mx2.d.example": { a: ["127.0.0.1"], security: "secure" },
      [`_${PORT}._tcp.mx2.d.example`]: { tlsa: [await ee(own)], security: "secure" },
    },
    becomes: "delivered",
  });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.ok(events.includes("dane.authentication-failure") && events.includes("dane.authentication-success"));
});

Deno.test("a relay with a name is held to its TLSA records, whatever its route allows", async () => {
  await using peer = await startFakePeer({ extensions: OFFER, tls: own });
  for (const [record, becomes] of [[await ee(own), "delivered"], [await ee(stranger), MISMATCH]] as const) {
    const resolver = createZone({
      "relay.example": { a: ["127.0.0.1"], security: "secure" },
      [`_${peer.port}._tcp.relay.example`]: { tlsa: [record], security: "secure" },
    });
    const route = relay(peer.port, { address: "relay.example", tls: { implicit: false, allowInvalidCerts: true } });
    const { deliver, delivery } = setUp(queueConfig([route]), { resolver });
    const [outcome] = await deliver(jobFor(["u@d.example"]));
    await delivery.close();
    assert.equal(inShort(outcome), becomes, textOf(outcome));
  }
});

Deno.test("a kept connection is not used for a host whose TLSA records have changed", async () => {
  await using peer = await startFakePeer({ extensions: OFFER, tls: own });
  let records = [await ee(own)];
  const zone = zoneOf({ what: "", tlsa: [], becomes: "" }, peer.port);
  const { deliver, delivery } = setUp(queueConfig([mxRoute]), {
    resolver: {
      ...zone,
      tlsa: (name) => Promise.resolve({ records, exists: true, security: "secure", name }),
    },
    mxPort: peer.port,
  });
  const job = () => jobFor(["u@d.example"], { route: "mx" });
  assert.equal(inShort((await deliver(job()))[0]), "delivered");
  assert.equal(inShort((await deliver(job()))[0]), "delivered");
  assert.equal(peer.connections.length, 1, "the same records, the same connection");
  records = [await ee(stranger)];
  assert.equal(inShort((await deliver(job()))[0]), MISMATCH);
  assert.equal(peer.connections.length, 2);
  await delivery.close();
});

Deno.test("what becomes of TLS under DANE is counted by the words of RFC 8460 §4.3", async () => {
  const expiredBelow = await below(anchor, ["mx.d.example"], past);
  const cases: readonly (readonly [Omit<Case, "becomes">, string])[] = [
    [{ what: "agreed", tlsa: [await ee(own)] }, "tlsa"],
    [{ what: "no record agrees", tlsa: [await ee(stranger)] }, "tlsa validation-failure"],
    [{ what: "stripped", tlsa: [await ee(own)], peer: { extensions: [] } }, "tlsa starttls-not-supported"],
    [{ what: "DANE-TA, expired", tlsa: [await ta(anchor)], certificate: expiredBelow }, "tlsa certificate-expired"],
    [
      { what: "DANE-TA, misnamed", tlsa: [await ta(anchor)], certificate: await below(anchor, ["other.example"]) },
      "tlsa certificate-host-mismatch",
    ],
    [{ what: "bogus records", tlsa: "bogus" }, "tlsa dnssec-invalid"],
    [{ what: "records that cannot be had", tlsa: "servfail" }, "tlsa tlsa-invalid"],
    [{ what: "records that do not come", tlsa: "timeout" }, "tlsa tlsa-invalid"],
    [{ what: "required and not there", tlsa: [], policy: { dane: "require" } }, "tlsa dane-required"],
  ];
  for (const [one, expected] of cases) {
    const { results } = await deliver({ ...one, becomes: "" });
    const told = results.map(({ policy, failure }) => [policy.type, ...failure ? [failure.type] : []].join(" "));
    assert.deepEqual(told, [expected], one.what);
    assert.equal(results[0]?.policy.domain, "d.example", one.what);
    if (expected === "tlsa") assert.match(results[0]?.policy.strings?.[0] ?? "", /^3 1 1 [0-9A-F]{64}$/);
  }
});
