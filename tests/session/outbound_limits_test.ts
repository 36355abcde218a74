/** Limits on deliveries, through whole servers. */

import assert from "node:assert/strict";
import { submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type FakePeer, startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, testConfiguration, type TestServer } from "../support/server.ts";

const CONTENT = "From: smith@example.net\r\nSubject: hello\r\n\r\nhello\r\n";

/** Relays everything to `peer`, with limiters. */
function relayTo(peer: FakePeer, limiters: string): string {
  return `
session.rcpt.relay = true
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false } }
queue.limiter.outbound = [${limiters}]
`;
}

async function send(test: TestServer, from: string, ...to: readonly string[]): Promise<void> {
  const [answer] = await submit(test.address("smtp"), { from, to: [...to], content: CONTENT });
  assert.match(answer ?? "", /^250 /);
}

const recipientOf = async (test: TestServer) => (await test.server.queue.list({}))[0]?.recipients[0];

Deno.test("mail over a rate waits for the next period, and that is no failed attempt", async () => {
  await using peer = await startFakePeer();
  const clock = new FakeClock();
  const limiter = '{ enable = true, key = ["sender_domain"], rate = "1/1m" }';
  await using test = await startTestServer(relayTo(peer, limiter), { clock });
  await send(test, "a@example.net", "x@elsewhere.example");
  await test.event("delivery.delivered");
  await send(test, "b@example.net", "x@elsewhere.example");
  await test.event("delivery.deferred");
  const waiting = await recipientOf(test);
  assert.equal(waiting?.lastError, "rate");
  assert.equal(waiting?.attempts, 0);
  assert.equal(waiting?.lastText, "queue.limiter.outbound[0] allows 1 attempt in 60 s, and no more are left");
  const { fields } = await test.event("delivery.rate-limit-exceeded");
  assert.equal(fields.to, "x@elsewhere.example");
  // Another sender's domain has a count of its own.
  await send(test, "c@other.example", "x@elsewhere.example");
  await test.event("delivery.delivered");
  await clock.advance(Date.parse(waiting?.due ?? "") - clock.now());
  await test.event("delivery.delivered");
  assert.equal(peer.messages.length, 3);
});

Deno.test("a limiter applies where match says so, recipient by recipient of one message", async () => {
  await using peer = await startFakePeer();
  const limiter = `{ enable = true, key = ["rcpt_domain"], match = "rcpt_domain == 'slow.example'", rate = "1/1h" }`;
  await using test = await startTestServer(relayTo(peer, limiter), { clock: new FakeClock() });
  await send(test, "a@example.net", "x@slow.example", "y@slow.example");
  await test.event("delivery.delivered");
  await test.event("delivery.delivered");
  await send(test, "a@example.net", "x@slow.example", "z@quick.example");
  await test.event("delivery.deferred", ({ fields }) => fields.to === "x@slow.example");
  await test.event("delivery.delivered", ({ fields }) => fields.to === "z@quick.example");
  assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt.length), [2, 1], "one transaction is one attempt");
});

Deno.test("mail over a number at the same time goes on when a place is free, whatever the clock says", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, connection }) => verb === "content" && connection.number === 1 ? "silent" : undefined,
  });
  const limiter = '{ enable = true, key = ["rcpt_domain"], concurrency = 1 }';
  await using test = await startTestServer(relayTo(peer, limiter), { clock: new FakeClock() });
  await send(test, "a@example.net", "first@elsewhere.example");
  await peer.silence;
  for (let i = 0; i < 12; i++) await send(test, "a@example.net", `x${i}@elsewhere.example`);
  await send(test, "a@example.net", "y@other.example");
  await test.event("delivery.delivered", ({ fields }) => fields.to === "y@other.example");
  assert.equal(peer.messages.length, 1);
  peer.connections[0]?.destroy();
  for (let i = 0; i < 12; i++) await test.event("delivery.delivered");
  const deferred = test.events.filter(({ name }) => name === "delivery.deferred").map(({ fields }) => fields.to);
  assert.deepEqual(deferred, ["first@elsewhere.example"], "waiting is no attempt");
});

Deno.test("two nodes on one store keep a rate together", async () => {
  await using peer = await startFakePeer();
  const clock = new FakeClock();
  const limiter = '{ enable = true, rate = "1/1h" }';
  const node = (name: string) => `cluster.node-id = "${name}"\n${relayTo(peer, limiter)}`;
  await using first = await startTestServer(node("a"), { clock });
  await using second = await startTestServer(node("b"), { clock, folder: first.folder });
  await send(first, "a@example.net", "x@elsewhere.example");
  await first.event("delivery.delivered");
  await send(second, "b@example.net", "y@elsewhere.example");
  await second.event("delivery.rate-limit-exceeded");
  assert.equal(peer.messages.length, 1);
});

Deno.test("a reload brings other outbound limiters into force", async () => {
  await using peer = await startFakePeer();
  await using test = await startTestServer(relayTo(peer, ""), { clock: new FakeClock() });
  await send(test, "a@example.net", "x@elsewhere.example");
  await test.event("delivery.delivered");
  const { folder, certificate } = test;
  await test.server.reload(
    testConfiguration(relayTo(peer, '{ enable = true, rate = "1/1h" }'), { folder, certificate }),
  );
  for (let i = 0; i < 2; i++) await send(test, "a@example.net", "x@elsewhere.example");
  await test.event("delivery.rate-limit-exceeded");
});

Deno.test("a queue for a dead next hop costs one connection, until the pause is over", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const clock = new FakeClock();
  await using test = await startTestServer(
    `
session.rcpt.relay = true
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${port}, tls = { implicit = false } }
`,
    { clock },
  );
  await send(test, "a@example.net", "x@elsewhere.example");
  await test.event("delivery.deferred");
  await clock.advance(12_000);
  await send(test, "b@example.net", "y@elsewhere.example");
  const { fields } = await test.event("delivery.deferred");
  assert.equal(fields.reason, "127.0.0.1[127.0.0.1]: not tried: refused a connection 12 s ago");
  const connects = () => test.events.filter(({ name }) => name === "delivery.connect-error").length;
  assert.equal(connects(), 1);
  const [, second] = await test.server.queue.list({});
  assert.equal(second?.recipients[0]?.lastError, "connection");
  assert.equal(second?.recipients[0]?.attempts, 1);
  // The first pause is two minutes; by then the address is tried again.
  await clock.advance(108_000);
  await test.event("delivery.deferred");
  assert.equal(connects(), 2);
});
