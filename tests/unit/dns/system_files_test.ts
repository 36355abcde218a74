import assert from "node:assert/strict";
import { createResolver } from "../../../src/dns/mod.ts";
import { nameservers, readHosts } from "../../../src/dns/system_files.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("name servers are read in order, other lines are ignored", () => {
  assert.deepEqual(
    nameservers("# local\nsearch example.net\nnameserver 192.0.2.53\n nameserver\t2001:db8::53 \nnameserver x\n"),
    ["192.0.2.53", "2001:db8::53"],
  );
});

Deno.test("a hosts file gives addresses by family to every alias", () => {
  const hosts = readHosts("192.0.2.1 Relay.example relay # comment\n2001:db8::1 relay\nnonsense line\n");
  assert.deepEqual(hosts.get("relay"), { a: ["192.0.2.1"], aaaa: ["2001:db8::1"] });
  assert.deepEqual(hosts.get("relay.example"), { a: ["192.0.2.1"], aaaa: [] });
  assert.equal(hosts.size, 2);
});

Deno.test("the system's resolver knows the names of the hosts file", async () => {
  const resolver = createResolver({
    servers: [],
    preserveIntermediates: true,
    concurrency: 2,
    timeout: 5000,
    attempts: 2,
    tryTcpOnError: true,
    edns: true,
    dnssec: "trust",
    trustAnchors: [],
    cacheSizes: {},
  }, {
    clock: new FakeClock(),
    random: Math.random,
    emit: () => {},
    system: { resolvConf: "nameserver 192.0.2.53\n", hosts: "192.0.2.7 relay\n" },
  });
  assert.deepEqual((await resolver.a("RELAY")).records, ["192.0.2.7"]);
  assert.deepEqual((await resolver.aaaa("relay")).records, []);
  resolver.close();
});
