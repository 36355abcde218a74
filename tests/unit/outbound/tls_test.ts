import assert from "node:assert/strict";
import type { OutboundLimiterConfig, TlsPolicyConfig } from "../../../src/config/config.ts";
import { connect } from "../../../src/net/mod.ts";
import type { TlsPolicy } from "../../../src/outbound/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { type FakePeerOptions, startFakePeer } from "../../support/fake_peer.ts";
import { createZone } from "../../support/zone.ts";
import {
  computed,
  inShort,
  jobFor,
  messageWith,
  mxRoute,
  queueConfig,
  relay,
  setUp,
  textOf,
  tlsPolicy,
} from "./setting.ts";

// Valid by the fake clock as well as by the machine's.
const notBefore = new Date(Date.UTC(2025, 0, 1));
const authority = await makeCertificate({ names: ["godwit test authority"], authority: true, notBefore });
const good = await makeCertificate({ names: ["a.example"], issuer: authority, notBefore });
const goodForBoth = await makeCertificate({ names: ["a.example", "b.example"], issuer: authority, notBefore });
const selfSigned = await makeCertificate({ names: ["a.example"], notBefore });
const otherName = await makeCertificate({ names: ["other.example"], issuer: authority, notBefore });

const OFFER = ["PIPELINING", "STARTTLS"];

/** Delivers to `u@d.example`, whose host is `a.example`. */
async function deliverTo(
  peerOptions: FakePeerOptions,
  policy: Partial<TlsPolicyConfig> = {},
  more: {
    readonly policies?: readonly TlsPolicy[];
    readonly requiretls?: true;
    readonly signed?: boolean;
    readonly header?: string;
  } = {},
) {
  await using peer = await startFakePeer({ extensions: OFFER, ...peerOptions });
  const { deliver, delivery, events } = setUp(queueConfig([mxRoute], { tls: [{ ...tlsPolicy, ...policy }] }), {
    resolver: createZone({
      "d.example": { mx: [[10, "a.example"]], security: more.signed === false ? "insecure" : "secure" },
      "a.example": { a: ["127.0.0.1"] },
    }),
    mxPort: peer.port,
    ca: [authority.cert],
    ...(more.policies === undefined ? {} : { policies: more.policies }),
  });
  const [outcome] = await deliver(jobFor(["u@d.example"], { route: "mx", message: messageWith(more) }));
  await delivery.close();
  return { outcome, peer, events: events.map(({ name }) => name), lines: peer.connections[0]?.lines ?? [] };
}

Deno.test("optional: a certificate that does not verify defers for TLS, unless invalid ones are allowed", async () => {
  const refused = await deliverTo({ tls: selfSigned });
  assert.match(inShort(refused.outcome), /^deferred tls /);
  const allowed = await deliverTo({ tls: selfSigned }, { allowInvalidCerts: true });
  assert.equal(allowed.outcome?.kind, "delivered", textOf(allowed.outcome));
  assert.equal(allowed.peer.connections[0]?.encrypted, true);
});

Deno.test("optional: STARTTLS is used where it is offered", async () => {
  const { outcome, peer, lines, events } = await deliverTo({ tls: good });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(peer.connections[0]?.encrypted, true);
  // RFC 3207 §4.2: EHLO again after the handshake.
  assert.deepEqual(lines.slice(0, 4), [
    "EHLO mx.sender.example",
    "STARTTLS",
    "EHLO mx.sender.example",
    "MAIL FROM:<a@sender.example>",
  ]);
  assert.ok(events.includes("delivery.start-tls"));
});

Deno.test("optional: a peer without STARTTLS gets the message in plain text", async () => {
  const { outcome, peer } = await deliverTo({ extensions: ["PIPELINING"] });
  assert.equal(outcome?.kind, "delivered");
  assert.equal(peer.connections[0]?.encrypted, false);
});

Deno.test("optional: a peer that refuses STARTTLS gets the message in plain text", async () => {
  const { outcome, peer } = await deliverTo({
    on: ({ verb }) => verb === "STARTTLS" ? "454 4.7.0 not now" : undefined,
  });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(peer.connections[0]?.encrypted, false);
});

Deno.test("optional: a handshake that fails is a deferral for TLS", async () => {
  // The peer says 220 and then talks plain text.
  const { outcome, events } = await deliverTo({
    on: ({ verb }) => verb === "STARTTLS" ? { then: "close", say: "220 2.0.0 go ahead\r\nno TLS here" } : undefined,
  });
  assert.equal(inShort(outcome), "deferred tls 0 4.7.5");
  assert.ok(events.includes("delivery.start-tls-error"));
});

Deno.test("disable: STARTTLS is not used", async () => {
  const { outcome, peer } = await deliverTo({ tls: good }, { starttls: "disable" });
  assert.equal(outcome?.kind, "delivered");
  assert.equal(peer.connections[0]?.encrypted, false);
});

Deno.test("require: a certificate that verifies is taken", async () => {
  const { outcome, peer } = await deliverTo({ tls: good }, { starttls: "require" });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(peer.connections[0]?.encrypted, true);
});

for (const [what, certificate] of [["self-signed", selfSigned], ["for another name", otherName]] as const) {
  Deno.test(`require: a certificate ${what} is a deferral for TLS, unless invalid ones are allowed`, async () => {
    const strict = await deliverTo({ tls: certificate }, { starttls: "require" });
    assert.equal(inShort(strict.outcome), "deferred tls 0 4.7.5");
    assert.equal(strict.peer.messages.length, 0);
    const lax = await deliverTo({ tls: certificate }, { starttls: "require", allowInvalidCerts: true });
    assert.equal(lax.outcome?.kind, "delivered", textOf(lax.outcome));
  });
}

Deno.test("require: without STARTTLS nothing is delivered", async () => {
  const absent = await deliverTo({ extensions: [] }, { starttls: "require" });
  assert.equal(inShort(absent.outcome), "deferred tls 0 4.7.4");
  const refused = await deliverTo(
    { on: ({ verb }) => verb === "STARTTLS" ? "454 4.7.0 not now" : undefined },
    { starttls: "require" },
  );
  assert.equal(inShort(refused.outcome), "deferred tls 454 4.7.4");
  assert.equal(absent.peer.messages.length + refused.peer.messages.length, 0);
});

Deno.test("what was offered before the handshake is not believed after it", async () => {
  const { outcome, lines } = await deliverTo({
    tls: good,
    extensions: ({ encrypted }) => encrypted ? [] : [...OFFER, "SIZE 1"],
  });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.ok(lines.includes("MAIL FROM:<a@sender.example>"), "SIZE was of the first EHLO only");
});

Deno.test("plain text injected behind the reply to STARTTLS is never taken for a reply", async () => {
  const { outcome, peer } = await deliverTo({
    tls: { ...good, injected: "250-mx.attacker.example\r\n250 SIZE 1\r\n550 5.7.1 injected\r\n" },
  });
  // The message goes encrypted, or not at all.
  if (outcome?.kind === "delivered") assert.equal(peer.connections[0]?.encrypted, true);
  else assert.match(inShort(outcome), /^deferred (tls|connection) 0 /);
  assert.ok(!textOf(outcome).includes("injected") && !textOf(outcome).includes("SIZE"));
});

Deno.test("a policy that is asked first decides, others are not asked", async () => {
  const asked: string[] = [];
  const judge: TlsPolicy = {
    decide({ domain, host, found, config }) {
      asked.push(`${domain} ${host} ${found} ${config.id}`);
      return Promise.resolve({
        kind: "tls",
        required: true,
        verify: "none",
        serverName: host,
        fault: ({ peerCertificates }) =>
          peerCertificates.length === 1
            ? { type: "validation-failure", text: "not the certificate we know" }
            : undefined,
        lastError: "dane",
        key: "dane",
      });
    },
  };
  const { outcome } = await deliverTo({ tls: selfSigned }, {}, { policies: [{ decide: () => undefined }, judge] });
  assert.deepEqual(asked, ["d.example a.example mx default"]);
  assert.equal(inShort(outcome), "deferred dane 0 4.7.5");
  assert.match(textOf(outcome), /not the certificate we know/);
});

Deno.test("a policy can refuse a host", async () => {
  const { failure } = await import("../../../src/outbound/mod.ts");
  const policy: TlsPolicy = {
    decide: () => ({ kind: "refuse", failure: failure("deferred", "mta-sts", "4.7.0", "host is not in the policy") }),
  };
  const { outcome, peer } = await deliverTo({}, {}, { policies: [policy] });
  assert.equal(inShort(outcome), "deferred mta-sts 0 4.7.0");
  assert.equal(peer.connections.length, 0);
});

Deno.test("REQUIRETLS goes only to peers that offer it on a verified connection", async () => {
  const offering = await deliverTo({ tls: good, extensions: [...OFFER, "REQUIRETLS"] }, {}, { requiretls: true });
  assert.equal(offering.outcome?.kind, "delivered", textOf(offering.outcome));
  assert.ok(offering.lines.includes("MAIL FROM:<a@sender.example> REQUIRETLS"));
  const silent = await deliverTo({ tls: good }, {}, { requiretls: true });
  assert.equal(inShort(silent.outcome), "failed unexpected-reply 0 5.7.30");
  const plain = await deliverTo({ extensions: [] }, { starttls: "disable" }, { requiretls: true });
  assert.equal(inShort(plain.outcome), "failed tls 0 5.7.30");
  const invalid = await deliverTo(
    { tls: selfSigned, extensions: [...OFFER, "REQUIRETLS"] },
    { allowInvalidCerts: true },
    { requiretls: true },
  );
  assert.equal(inShort(invalid.outcome), "deferred tls 0 4.7.5");
});

Deno.test("REQUIRETLS: a host that cannot do it is no verdict while the next one waits for a limit", async () => {
  for (
    const [what, options] of Object.entries({
      "no STARTTLS": { extensions: [] },
      "no REQUIRETLS": { tls: goodForBoth },
    })
  ) {
    await using peer = await startFakePeer({ extensions: OFFER, ...options });
    let free = false;
    const limiter: OutboundLimiterConfig = {
      id: "queue.limiter.outbound[0]",
      rate: undefined,
      concurrency: 1,
      key: [],
      match: computed("match", ({ variables }) => variables.mx === "b.example"),
    };
    const { deliver, delivery } = setUp(queueConfig([mxRoute], { outboundLimiters: [limiter] }), {
      resolver: createZone({
        "d.example": { mx: [[10, "a.example"], [20, "b.example"]], security: "secure" },
        "a.example": { a: ["127.0.0.1"] },
        "b.example": { a: ["127.0.0.1"] },
      }),
      mxPort: peer.port,
      ca: [authority.cert],
      counters: {
        rates: { take: () => true, giveBack() {}, fullUntil: () => undefined },
        slots: { acquire: () => free ? () => {} : undefined },
      },
    });
    const message = { envelope: { sender: "a@sender.example", parameters: { requiretls: true as const } } };
    const send = async () => (await deliver(jobFor(["u@d.example"], { route: "mx", message })))[0];
    const waiting = await send();
    // It has not been refused by all of its hosts, so it comes back.
    assert.equal(waiting?.kind, "deferred", `${what}: ${textOf(waiting)}`);
    free = true;
    const told = await send();
    assert.equal(told?.kind === "failed" && told.detail.enhanced, "5.7.30", `${what}: ${textOf(told)}`);
    await delivery.close();
  }
});

Deno.test("REQUIRETLS needs an MX record that is signed, whatever certificate its host has", async () => {
  const { outcome, peer } = await deliverTo(
    { tls: good, extensions: [...OFFER, "REQUIRETLS"] },
    {},
    { requiretls: true, signed: false },
  );
  // RFC 8689 §2 wants the name proved, §5 a code of 5.7.30 where it cannot be.
  assert.equal(inShort(outcome), "failed tls 0 5.7.30");
  assert.match(textOf(outcome), /a\.example is not signed/);
  assert.equal(peer.connections.length, 0);
});

const BROKEN: FakePeerOptions = {
  on: ({ verb, connection }) =>
    verb === "STARTTLS" && connection.number === 1
      ? { then: "close", say: "220 2.0.0 go ahead\r\nno TLS here" }
      : undefined,
};

Deno.test("a peer whose TLS is broken gets plain text on a new connection where nobody need be known", async () => {
  const allowed = await deliverTo(
    {
      on: ({ verb }) => verb === "STARTTLS" ? { then: "close", say: "220 2.0.0 go ahead\r\nno TLS here" } : undefined,
    },
    { allowInvalidCerts: true },
  );
  assert.equal(allowed.outcome?.kind, "delivered", textOf(allowed.outcome));
  assert.equal(allowed.peer.connections.length, 2);
  // The second connection does not ask for what the peer cannot do.
  assert.deepEqual(allowed.peer.connections[1]?.lines.slice(0, 2), [
    "EHLO mx.sender.example",
    "MAIL FROM:<a@sender.example>",
  ]);
  for (const policy of [{ starttls: "require", allowInvalidCerts: true }, { allowInvalidCerts: false }] as const) {
    const { outcome, peer } = await deliverTo(BROKEN, policy);
    assert.equal(inShort(outcome), "deferred tls 0 4.7.5");
    assert.equal(peer.connections.length, 1);
  }
});

const NO = "TLS-Required: No\r\n";

Deno.test("TLS-Required: No goes to a peer whose certificate does not verify, encrypted all the same", async () => {
  const { outcome, peer } = await deliverTo({ tls: selfSigned }, {}, { header: NO });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(peer.connections.at(-1)?.encrypted, true);
});

Deno.test("TLS-Required: No goes in plain text to a peer whose TLS is broken", async () => {
  const { outcome, peer } = await deliverTo(
    { on: ({ verb }) => verb === "STARTTLS" ? { then: "close", say: "220 2.0.0 go ahead\r\nno TLS" } : undefined },
    {},
    { header: "tls-required:\r\n  NO\r\n" },
  );
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(peer.connections.at(-1)?.encrypted, false);
});

for (
  const [what, header, more] of [
    ["with REQUIRETLS", NO, { requiretls: true }],
    ["with another value", "TLS-Required: Nope\r\n", {}],
    ["with two fields that disagree", `${NO}TLS-Required: Yes\r\n`, {}],
    ["in the body", "\r\nTLS-Required: No\r\n", {}],
  ] as const
) {
  Deno.test(`TLS-Required: No means nothing ${what}`, async () => {
    const { outcome, peer } = await deliverTo(
      { tls: selfSigned, extensions: [...OFFER, "REQUIRETLS"] },
      {},
      { header, ...more },
    );
    assert.equal(inShort(outcome), "deferred tls 0 4.7.5");
    assert.equal(peer.messages.length, 0);
  });
}

Deno.test("TLS-Required: No does not overrule what the administrator requires", async () => {
  const { outcome } = await deliverTo({ extensions: [] }, { starttls: "require" }, { header: NO });
  assert.equal(inShort(outcome), "deferred tls 0 4.7.4");
});

Deno.test("a relay with TLS from the first byte is encrypted before the greeting", async () => {
  const certificate = await makeCertificate({ names: ["127.0.0.1"], issuer: authority, notBefore });
  await using peer = await startFakePeer({ tls: { ...certificate, implicit: true } });
  const route = relay(peer.port, { tls: { implicit: true, allowInvalidCerts: false } });
  const { deliver, delivery } = setUp(queueConfig([route]), { ca: [authority.cert] });
  const [outcome] = await deliver(jobFor(["b@rcpt.example"]));
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(peer.connections[0]?.encrypted, true);
  assert.ok(!peer.connections[0]?.lines.includes("STARTTLS"));
  await delivery.close();
});

Deno.test("a relay's certificate is verified unless its route says otherwise", async () => {
  for (const implicit of [true, false]) {
    for (const allowInvalidCerts of [true, false]) {
      await using peer = await startFakePeer({ extensions: OFFER, tls: { ...selfSigned, implicit } });
      const route = relay(peer.port, { tls: { implicit, allowInvalidCerts } });
      const { deliver, delivery } = setUp(queueConfig([route]));
      const [outcome] = await deliver(jobFor(["b@rcpt.example"]));
      assert.equal(inShort(outcome), allowInvalidCerts ? "delivered" : "deferred tls 0 4.7.5");
      await delivery.close();
    }
  }
});

Deno.test("names in other letters than ASCII are verified as their A-labels", async () => {
  const certificate = await makeCertificate({ names: ["mx.xn--bcher-kva.example"], issuer: authority, notBefore });
  await using peer = await startFakePeer({ extensions: OFFER, tls: certificate });
  const route = relay(peer.port, { address: "mx.bücher.example" });
  const { deliver, delivery } = setUp(queueConfig([mxRoute, route], { tls: [{ ...tlsPolicy, starttls: "require" }] }), {
    resolver: createZone({
      "xn--bcher-kva.example": { mx: [[10, "mx.xn--bcher-kva.example"]] },
      "mx.xn--bcher-kva.example": { a: ["127.0.0.1"] },
    }),
    mxPort: peer.port,
    ca: [authority.cert],
  });
  for (const how of ["mx", "relay"]) {
    const [outcome] = await deliver(jobFor(["u@bücher.example"], { route: how }));
    assert.equal(outcome?.kind, "delivered", textOf(outcome));
  }
  assert.ok(peer.connections.every(({ encrypted }) => encrypted));
  await delivery.close();
});

Deno.test("a TLS handshake that takes too long is given up", async () => {
  await using peer = await startFakePeer({
    extensions: OFFER,
    on: ({ verb }) => verb === "STARTTLS" ? "220 2.0.0 go ahead" : undefined,
  });
  const setup = setUp(queueConfig([relay(peer.port)]), { connect });
  let settled = false;
  const outcomes = setup.deliver(jobFor(["b@rcpt.example"])).finally(() => settled = true);
  while (!peer.connections[0]?.lines.includes("STARTTLS")) await new Promise((resolve) => setTimeout(resolve, 0));
  while (!settled) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await setup.clock.advance(tlsPolicy.timeout.tls);
  }
  assert.match(inShort((await outcomes)[0]), /^deferred (tls|connection) 0/);
  await setup.delivery.close();
});
