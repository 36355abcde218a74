import assert from "node:assert/strict";
import { exchange } from "../../../src/acme/dns_exchange.ts";
import { encodeSoaQuery, readMessage } from "../../../src/acme/dns_update.ts";
import { systemClock } from "../../../src/clock/mod.ts";
import { startDnsServer } from "../../support/dns_server.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { until } from "../../support/store.ts";

const QUESTION = encodeSoaQuery(7, "mx.example.net");
const { signal } = new AbortController();

Deno.test("a datagram is sent three times, and given up after twelve seconds", async () => {
  const clock = new FakeClock();
  let asked = 0;
  await using dns = await startDnsServer(() => void asked++);
  const server = { ip: "127.0.0.1", port: dns.port, protocol: "udp" } as const;
  const failed = assert.rejects(exchange(server, QUESTION, { clock, signal }), /no answer within 12 s/);
  for (const sent of [1, 2, 3]) {
    await until(() => asked === sent);
    await clock.advance(4_000);
  }
  await failed;
  assert.equal(clock.pending, 0);
});

Deno.test("an answer to the first datagram ends it, over UDP as over TCP", async () => {
  await using dns = await startDnsServer(() => ({ answers: [] }));
  for (const protocol of ["udp", "tcp"] as const) {
    const server = { ip: "127.0.0.1", port: dns.port, protocol };
    const answer = readMessage(await exchange(server, QUESTION, { clock: systemClock, signal }));
    assert.deepEqual([answer.id, answer.isResponse, answer.rcode], [7, true, 0]);
  }
});

Deno.test("what is not waited for any more is not begun", async () => {
  const clock = new FakeClock();
  let asked = 0;
  await using dns = await startDnsServer(() => void asked++);
  for (const protocol of ["udp", "tcp"] as const) {
    const server = { ip: "127.0.0.1", port: dns.port, protocol };
    await assert.rejects(
      exchange(server, QUESTION, { clock, signal: AbortSignal.abort(new Error("stop")) }),
      /^Error: stop/,
    );
  }
  assert.deepEqual([asked, clock.pending], [0, 0]);
});
