import assert from "node:assert/strict";
import type { ChallengeSolver, Proof } from "../../../src/acme/challenge.ts";
import { openAuthority } from "../../../src/acme/client.ts";
import { generateKey, readAccountKey } from "../../../src/acme/jws.ts";
import { orderCertificate } from "../../../src/acme/order.ts";
import { certificateRequest } from "../../../src/acme/x509.ts";
import { createAuthority, type TestAuthority } from "../../support/authority.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { until } from "../../support/store.ts";

const { signal } = new AbortController();
const DOMAINS = ["mx.example.net", "*.example.net"];

/** An authority, and who orders there; proofs are shown to it unless the test wants otherwise. */
async function world() {
  const clock = new FakeClock();
  const authority = await createAuthority(clock);
  const shown: Proof[] = [];
  const withdrawn: Proof[] = [];
  authority.look = (domain, token) =>
    Promise.resolve(shown.find((proof) => proof.domain === domain && proof.token === token)?.keyAuthorization);
  const solver: ChallengeSolver = {
    type: "dns-01",
    present: (proofs) => Promise.resolve(void shown.push(...proofs)),
    withdraw: (proofs) => Promise.resolve(void withdrawn.push(...proofs)),
  };
  return {
    clock,
    authority,
    shown,
    withdrawn,
    async order() {
      const key = readAccountKey(generateKey());
      const client = await openAuthority(authority.directory, key, { send: authority.send, clock, signal });
      client.useAccount(await client.createAccount({ contacts: [], eab: undefined }));
      const csr = await certificateRequest(DOMAINS, generateKey());
      return await orderCertificate(client, { domains: DOMAINS, replaces: undefined, csr, solver, clock, signal });
    },
  };
}

/** What the authority answers once in place of what it would. */
function answers(authority: TestAuthority, path: string, body: unknown) {
  authority.instead.set(path, [{ status: 200, headers: { "content-type": "application/json" }, body }]);
}

Deno.test("proofs are shown for all names at once, and withdrawn when the certificate is there", async () => {
  const { order, shown, withdrawn } = await world();
  assert.match(await order(), /^-----BEGIN CERTIFICATE-----/);
  assert.deepEqual(shown.map(({ domain }) => domain), ["mx.example.net", "example.net"]);
  assert.deepEqual(withdrawn, shown);
});

Deno.test("no proof is shown for a name that was not ordered", async () => {
  const { authority, order, shown } = await world();
  answers(authority, "/authz/0/*.example.net", {
    status: "pending",
    identifier: { type: "dns", value: "example.com" },
    challenges: [{ type: "dns-01", url: "https://ca.example/challenge/0/x", token: "t".repeat(43) }],
  });
  await assert.rejects(order(), /a proof for example\.com, which was not ordered/);
  assert.deepEqual(shown, []);
});

Deno.test("an order that wants more proofs than anybody could give is refused", async () => {
  const { authority, order } = await world();
  const authorizations = Array.from({ length: 1_001 }, (_, index) => `https://ca.example/authz/0/${index}`);
  authority.instead.set("/new-order", [{
    status: 201,
    headers: { location: "https://ca.example/order/0" },
    body: { status: "pending", authorizations, finalize: "https://ca.example/finalize/0" },
  }]);
  await assert.rejects(order(), /authorizations/);
  assert.deepEqual(authority.asked.filter((line) => line.includes("authz")), []);
});

Deno.test("a token that could end up elsewhere is none (RFC 8555 §8.3)", async () => {
  for (const token of ["../../etc/passwd-and-more", "short", "t".repeat(300), ""]) {
    const { authority, order, shown } = await world();
    answers(authority, "/authz/0/mx.example.net", {
      status: "pending",
      identifier: { type: "dns", value: "mx.example.net" },
      challenges: [{ type: "dns-01", url: "https://ca.example/challenge/0/mx.example.net", token }],
    });
    await assert.rejects(order(), /gave a token that is none/);
    assert.deepEqual(shown, []);
  }
});

Deno.test("an authority that is at work is asked again when it wants that, within five minutes", async () => {
  for (const [wish, seconds] of [["120", 120], ["86400", 300], ["0", 1]] as const) {
    const { clock, authority, order } = await world();
    const asked = () => authority.asked.filter((line) => line === "POST /order/0").length;
    authority.instead.set("/order/0", [{
      status: 200,
      headers: { "content-type": "application/json", "retry-after": wish },
      body: { status: "processing", authorizations: [], finalize: "https://ca.example/finalize/0" },
    }]);
    const ordered = order();
    await until(() => asked() === 1);
    await clock.advance(seconds * 1000 - 1);
    assert.equal(asked(), 1);
    await clock.advance(1);
    assert.match(await ordered, /^-----BEGIN CERTIFICATE-----/);
  }
});

Deno.test("an authority with https is asked by https alone (RFC 8555 §6.1)", async () => {
  const { authority, order } = await world();
  answers(authority, "/directory", {
    newNonce: "https://ca.example/new-nonce",
    newAccount: "https://ca.example/new-account",
    newOrder: "http://ca.example/new-order",
  });
  await assert.rejects(order(), /leads from https to http:\/\/ca\.example\/new-order/);
  assert.deepEqual(authority.asked.filter((line) => line.includes("new-order")), []);
});
