import assert from "node:assert/strict";
import type { Proof } from "../../../src/acme/challenge.ts";
import { createDns01 } from "../../../src/acme/dns01.ts";
import type { DnsProvider, TxtRecord } from "../../../src/acme/dns_provider.ts";
import { authorizationDigest, base64url } from "../../../src/acme/jws.ts";
import { record, startDnsServer } from "../../support/dns_server.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { eventLog, until } from "../../support/store.ts";
import { createZone, type ZoneEntry } from "../../support/zone.ts";

const PROOF: Proof = { domain: "mx.example.net", token: "t", keyAuthorization: "t.thumb" };
const VALUE = base64url(authorizationDigest("t.thumb"));
const { signal } = new AbortController();

/** A provider that remembers, a zone, and name servers of it that the test fills. */
async function world(more: Readonly<Record<string, ZoneEntry>> = {}, servers: readonly string[] = ["127.0.0.1"]) {
  const clock = new FakeClock();
  const log = eventLog();
  const visible = new Set<string>();
  const dns = await startDnsServer(({ name, type }) => ({
    answers: type === "TXT" ? [...visible].map((value) => record(name, "TXT", [value])) : [],
  }));
  const resolver = createZone({
    "example.net": { ns: ["ns.example.net"] },
    "ns.example.net": { a: servers },
    ...more,
  });
  const records: TxtRecord[] = [];
  const provider: DnsProvider = {
    add(added) {
      records.push(added);
      return Promise.resolve({
        zone: "example.net",
        servers: [],
        remove() {
          records.splice(records.indexOf(added), 1);
          return Promise.resolve();
        },
      });
    },
  };
  const settings = { id: "le", ttl: 90_500, pollingInterval: 15_000, propagationTimeout: 60_000 };
  const options = { clock, resolver, emit: log.emit, random: () => 0.5, zonePort: dns.port };
  return {
    clock,
    log,
    visible,
    dns,
    records,
    provider,
    solver: createDns01(provider, settings, options),
    solverOf: (other: DnsProvider, more: Partial<typeof settings> = {}) =>
      createDns01(other, { ...settings, ...more }, options),
    [Symbol.asyncDispose]: () => dns[Symbol.asyncDispose](),
  };
}

Deno.test("a record is made, waited for at the servers of the zone, and taken away", async () => {
  await using here = await world();
  const { clock, dns, log, visible, records, solver } = here;
  const presented = solver.present([PROOF], signal);
  await until(() => dns.queries.length === 1);
  assert.deepEqual(records, [{ name: "_acme-challenge.mx.example.net", value: VALUE, ttl: 91 }]);
  assert.equal(dns.queries[0]?.name, "_acme-challenge.mx.example.net");
  await until(() => log.count("acme.dns-record-not-propagated") === 1);
  visible.add(VALUE);
  await clock.advance(15_000);
  await presented;
  assert.equal(log.count("acme.dns-record-propagated"), 1);
  await solver.withdraw([PROOF]);
  assert.deepEqual(records, []);
});

Deno.test("a record that does not come to be seen in time ends the order, and is taken away all the same", async () => {
  await using here = await world();
  const { clock, dns, log, records, solver } = here;
  const presented = solver.present([PROOF], signal);
  const refused = assert.rejects(presented, /was not visible within 60 s: not yet at 127\.0\.0\.1/);
  for (let looks = 1; looks <= 4; looks++) {
    await until(() => log.count("acme.dns-record-not-propagated") === looks);
    await clock.advance(15_000);
  }
  await refused;
  assert.equal(dns.queries.length, 5);
  assert.equal(log.count("acme.dns-record-propagation-timeout"), 1);
  await solver.withdraw([PROOF]);
  assert.deepEqual(records, []);
});

Deno.test("with an interval that is longer than the time for it, a record is looked for a second time all the same", async () => {
  await using here = await world();
  const { clock, dns, log, visible } = here;
  const solver = here.solverOf(here.provider, { pollingInterval: 300_000 });
  const presented = solver.present([PROOF], signal);
  await until(() => log.count("acme.dns-record-not-propagated") === 1);
  visible.add(VALUE);
  await clock.advance(60_000);
  await presented;
  assert.equal(dns.queries.length, 2);
});

Deno.test("where no server of the zone answers, the resolver is asked", async () => {
  // RFC 5737: nobody has that address, and nothing listens on the port of the loopback.
  await using here = await world({ "_acme-challenge.mx.example.net": { txt: [VALUE] } }, []);
  await here.solver.present([PROOF], signal);
  assert.equal(here.dns.queries.length, 0);
  assert.equal(here.log.count("acme.dns-record-propagated"), 1);
});

Deno.test("an alias leads the record to another zone", async () => {
  await using here = await world({
    "_acme-challenge.mx.example.net": { cname: "mx.proofs.example.net" },
    "mx.proofs.example.net": { cname: "end.proofs.example.net" },
  });
  here.visible.add(VALUE);
  await here.solver.present([PROOF], signal);
  assert.deepEqual(here.records.map(({ name }) => name), ["end.proofs.example.net"]);
});

Deno.test("two proofs of one name stand side by side, and each is taken away by itself", async () => {
  await using here = await world();
  const other: Proof = { ...PROOF, token: "u", keyAuthorization: "u.thumb" };
  here.visible.add(VALUE).add(base64url(authorizationDigest("u.thumb")));
  await here.solver.present([PROOF, other], signal);
  assert.equal(here.records.length, 2);
  await here.solver.withdraw([PROOF]);
  assert.deepEqual(here.records.map(({ value }) => value), [base64url(authorizationDigest("u.thumb"))]);
});

Deno.test("what a provider refuses is told with the name and the record", async () => {
  await using here = await world();
  const solver = here.solverOf({ add: () => Promise.reject(new Error("not allowed")) });
  await assert.rejects(
    solver.present([PROOF], signal),
    /^AcmeError: mx\.example\.net: the record _acme-challenge\.mx\.example\.net could not be made: not allowed$/,
  );
  assert.equal(here.log.count("acme.dns-record-creation-failed"), 1);
  await solver.withdraw([PROOF]);
});

Deno.test("a record that cannot be taken away is told, and holds up nothing", async () => {
  await using here = await world();
  here.visible.add(VALUE);
  const solver = here.solverOf({
    add: () =>
      Promise.resolve({ zone: "example.net", servers: [], remove: () => Promise.reject(new Error("gone away")) }),
  });
  await solver.present([PROOF], signal);
  await solver.withdraw([PROOF]);
  assert.equal(here.log.events.at(-1)?.name, "acme.dns-record-deletion-failed");
  assert.equal(here.log.events.at(-1)?.fields["reason"], "gone away");
});
