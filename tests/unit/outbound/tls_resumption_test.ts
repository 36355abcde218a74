/** Sessions of TLS that are resumed, and what must not be believed because of it. */

import assert from "node:assert/strict";
import type { TlsPolicyConfig } from "../../../src/config/config.ts";
import type { TlsaRecord } from "../../../src/dns/mod.ts";
import { makeCertificate, type TestCertificate } from "../../support/certificates.ts";
import { type FakePeer, type FakePeerOptions, startFakePeer } from "../../support/fake_peer.ts";
import { tlsaFor } from "../../support/tlsa.ts";
import { createZone } from "../../support/zone.ts";
import { inShort, jobFor, mxRoute, queueConfig, type Setup, setUp, textOf, tlsPolicy } from "./setting.ts";

const notBefore = new Date(Date.UTC(2025, 0, 1));
const authority = await makeCertificate({ names: ["godwit test authority"], authority: true, notBefore });
const HOUR = 3_600_000;

/** What the peer shows, and what DNS says of it; both may change between messages. */
interface Scene {
  certificate: TestCertificate;
  maxVersion?: "TLSv1.2";
  tlsa?: readonly TlsaRecord[];
  readonly peer: FakePeer;
  readonly setup: Setup;
  /** Delivers a message over a connection of its own. @returns the outcome and how many connections it took */
  send(): Promise<{ readonly outcome: string; readonly text: string; readonly connections: number }>;
}

/** @param name of the host; sessions are kept by it in the whole process, so each test has its own */
async function scene(
  name: string,
  certificate: TestCertificate,
  body: (scene: Scene) => Promise<void>,
  { policy = {}, options = {} }: {
    readonly policy?: Partial<TlsPolicyConfig>;
    readonly options?: Omit<FakePeerOptions, "tls">;
  } = {},
) {
  const shown: Pick<Scene, "certificate" | "maxVersion" | "tlsa"> = { certificate };
  await using peer = await startFakePeer({
    extensions: ["PIPELINING", "STARTTLS"],
    ...options,
    get tls() {
      const { certificate: { cert, privateKey }, maxVersion } = shown;
      return { cert, privateKey, ...(maxVersion === undefined ? {} : { maxVersion }) };
    },
  });
  const zone = () =>
    createZone({
      "d.example": { mx: [[10, name]], security: "secure" },
      [name]: { a: ["127.0.0.1"], security: "secure" },
      ...(shown.tlsa === undefined
        ? {}
        : { [`_${peer.port}._tcp.${name}`]: { tlsa: shown.tlsa, security: "secure" as const } }),
    });
  const resolver = new Proxy(zone(), { get: (_, key) => Reflect.get(zone(), key) });
  const setup = setUp(queueConfig([mxRoute], { tls: [{ ...tlsPolicy, ...policy }] }), {
    resolver,
    mxPort: peer.port,
    ca: [authority.cert],
    pool: { maxMessages: 1 },
  });
  try {
    await body(Object.assign(shown, {
      peer,
      setup,
      async send() {
        const before = peer.connections.length;
        const [outcome] = await setup.deliver(jobFor(["u@d.example"], { route: "mx" }));
        return { outcome: inShort(outcome), text: textOf(outcome), connections: peer.connections.length - before };
      },
    }));
  } finally {
    await setup.delivery.close();
  }
}

const made = (name: string, more: { readonly issuer?: TestCertificate } = {}) =>
  makeCertificate({ names: [name], notBefore, ...more });
const delivered = { outcome: "delivered", connections: 1 };
const short = ({ outcome, connections }: Awaited<ReturnType<Scene["send"]>>) => ({ outcome, connections });

Deno.test("sessions with a host whose certificate verifies are resumed, and said to be", async () => {
  const name = "verified.example";
  await scene(name, await made(name, { issuer: authority }), async ({ send, peer, setup: { events } }) => {
    for (let i = 0; i < 4; i++) assert.deepEqual(short(await send()), delivered);
    // The first certificate is verified, the second time a session is made that can be resumed from then on.
    assert.deepEqual(peer.connections.map(({ resumed }) => resumed), [false, false, true, true]);
    const started = events.filter(({ name }) => name === "delivery.start-tls").map(({ fields }) => fields.resumed);
    assert.deepEqual(started, [false, false, true, true]);
  });
});

Deno.test("sessions of TLS 1.2 are resumed too", async () => {
  const name = "old.example";
  await scene(name, await made(name, { issuer: authority }), async (at) => {
    at.maxVersion = "TLSv1.2";
    for (let i = 0; i < 3; i++) assert.deepEqual(short(await at.send()), delivered);
    assert.deepEqual(at.peer.connections.map(({ resumed }) => resumed), [false, false, true]);
  });
});

Deno.test("sessions under DANE are resumed as long as their certificate agrees with the records", async () => {
  const name = "dane.example";
  const first = await made(name);
  const second = await made(name);
  await scene(name, first, async (at) => {
    at.tlsa = [await tlsaFor(first, 3, 1, 1)];
    for (let i = 0; i < 3; i++) assert.deepEqual(short(await at.send()), delivered);
    assert.deepEqual(at.peer.connections.map(({ resumed }) => resumed), [false, true, true]);
    // Rolled over: the session is from the old key, which the records do not name any more.
    at.certificate = second;
    at.tlsa = [await tlsaFor(second, 3, 1, 1)];
    assert.deepEqual(short(await at.send()), { outcome: "delivered", connections: 2 });
    assert.equal(at.peer.connections.at(-1)?.resumed, false);
    assert.deepEqual(short(await at.send()), delivered);
    assert.equal(at.setup.events.some(({ name }) => name === "dane.authentication-failure"), false);
  });
});

Deno.test("a session does not outlive the records that its certificate agreed with", async () => {
  const name = "withdrawn.example";
  const own = await made(name);
  const other = await made(name);
  await scene(name, own, async (at) => {
    at.tlsa = [await tlsaFor(own, 3, 1, 1)];
    for (let i = 0; i < 2; i++) assert.deepEqual(short(await at.send()), delivered);
    at.tlsa = [await tlsaFor(other, 3, 1, 1)];
    assert.deepEqual(short(await at.send()), { outcome: "deferred dane 0 4.7.5", connections: 2 });
  });
});

Deno.test("chains of resumed sessions lead to the anchor of DANE-TA", async () => {
  const name = "anchored.example";
  const own = await made(name, { issuer: authority });
  const chain = { ...own, cert: `${own.cert}${authority.cert}` };
  await scene(name, chain, async (at) => {
    at.tlsa = [await tlsaFor(authority, 2, 0, 1)];
    for (let i = 0; i < 3; i++) assert.deepEqual(short(await at.send()), delivered);
    assert.equal(at.peer.connections.at(-1)?.resumed, true);
  });
});

Deno.test("a session that was made without a look at the certificate is of no use where it has to verify", async () => {
  const name = "lax.example";
  const unknown = await made(name);
  await scene(name, unknown, async (at) => {
    at.tlsa = [await tlsaFor(unknown, 3, 1, 1)];
    for (let i = 0; i < 3; i++) assert.deepEqual(short(await at.send()), delivered);
    assert.equal(at.peer.connections.at(-1)?.resumed, true);
    // DANE is withdrawn: now the certificate has to lead to a root.
    delete at.tlsa;
    assert.deepEqual(short(await at.send()), { outcome: "deferred tls 0 4.7.5", connections: 1 });
    assert.equal(at.peer.connections.at(-1)?.resumed, false);
  });
});

Deno.test("another certificate than the one that was verified is verified before anything is sent", async () => {
  const name = "changing.example";
  const strangers = await made(name);
  await scene(name, await made(name, { issuer: authority }), async (at) => {
    for (let i = 0; i < 3; i++) assert.deepEqual(short(await at.send()), delivered);
    assert.equal(at.peer.connections.at(-1)?.resumed, true);
    // With another version the session cannot be resumed, as with a server that does not know it.
    at.maxVersion = "TLSv1.2";
    at.certificate = strangers;
    const refused = await at.send();
    assert.deepEqual(short(refused), { outcome: "deferred tls 0 4.7.5", connections: 2 });
    assert.match(refused.text, /the certificate does not verify: /);
    at.certificate = await made(name, { issuer: authority });
    assert.deepEqual(short(await at.send()), { outcome: "delivered", connections: 2 });
    assert.deepEqual(short(await at.send()), delivered);
  });
});

Deno.test("a certificate is verified again after an hour", async () => {
  const name = "lasting.example";
  await scene(name, await made(name, { issuer: authority }), async (at) => {
    for (let i = 0; i < 3; i++) assert.deepEqual(short(await at.send()), delivered);
    assert.equal(at.peer.connections.at(-1)?.resumed, true);
    await at.setup.clock.advance(HOUR);
    assert.deepEqual(short(await at.send()), delivered);
    assert.equal(at.peer.connections.at(-1)?.resumed, false);
  });
});

Deno.test("a server whose handshake fails when a session is offered is spoken to without one", async () => {
  const name = "forgetful.example";
  let broken = false;
  const options: Omit<FakePeerOptions, "tls"> = {
    on({ verb }) {
      if (verb !== "STARTTLS" || !broken) return undefined;
      broken = false;
      return { then: "close", say: "220 2.0.0 go ahead\r\nno TLS here" };
    },
  };
  await scene(name, await made(name, { issuer: authority }), async ({ send, peer }) => {
    for (let i = 0; i < 3; i++) assert.deepEqual(short(await send()), delivered);
    assert.equal(peer.connections.at(-1)?.resumed, true);
    broken = true;
    assert.deepEqual(short(await send()), { outcome: "delivered", connections: 2 });
    assert.equal(peer.connections.at(-1)?.resumed, false);
  }, { options });
});
