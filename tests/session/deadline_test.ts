/** DELIVERBY (RFC 2852) and held messages through the whole program. */

import assert from "node:assert/strict";
import { submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const CONTENT = "From: ana@example.org\r\nSubject: soon\r\n\r\nbody\r\n";

/** A server whose next hop for what is not local does not listen. */
async function startUnreachable(clock: FakeClock): Promise<TestServer> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return await startBefore(port, clock);
}

/** A server that hands what is not local to the one at `port`. */
async function startBefore(port: number, clock: FakeClock): Promise<TestServer> {
  return await startTestServer(
    `
session.rcpt.relay = true
session.extensions = { deliver-by = "15d", future-release = "7d" }
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${port}, tls = { implicit = false } }
`,
    { clock },
  );
}

function submitWith(test: TestServer, mailParameters: string) {
  const message = { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT, mailParameters };
  return submit(test.address("smtp"), message);
}

Deno.test("mode R: at the deadline the message comes back with 5.4.7, before its next attempt is due", async () => {
  const clock = new FakeClock();
  await using test = await startUnreachable(clock);
  await submitWith(test, " BY=60;R");
  await test.event("delivery.deferred");
  await clock.advance(59_000);
  assert.equal((await test.server.queue.list({}))[0]?.state, "queued");
  await clock.advance(1_000);
  await test.event("delivery.delivered");
  const [report] = await test.mail("example.org/ana");
  assert.match(report ?? "", /\r\nAction: failed\r\nStatus: 5\.4\.7\r\n/);
  assert.deepEqual(await test.server.queue.list({}), []);
});

Deno.test("mode N: at the deadline the sender hears of the delay, and the message is tried on", async () => {
  const clock = new FakeClock();
  await using test = await startUnreachable(clock);
  await submitWith(test, " BY=60;N");
  await test.event("delivery.deferred");
  await clock.advance(60_000);
  await test.event("delivery.delivered");
  const [report] = await test.mail("example.org/ana");
  assert.match(report ?? "", /\r\nAction: delayed\r\nStatus: 4\./);
  assert.equal((await test.server.queue.list({}))[0]?.state, "queued");
  await clock.advance(60_000);
  await test.event("delivery.deferred");
});

/** Commands of the transaction with a next hop that offers `extensions`, and the report to the sender if there is one. */
async function relayTo(extensions: readonly string[], mailParameters: string, waited = 0) {
  const clock = new FakeClock();
  await using peer = await startFakePeer({ extensions });
  await using test = await startBefore(peer.port, clock);
  await submitWith(test, `${waited === 0 ? "" : ` HOLDFOR=${waited}`}${mailParameters}`);
  if (waited > 0) await clock.advance(waited * 1000 + 200);
  const delivered = async () => (await test.event("delivery.delivered")).fields.to;
  const first = await delivered();
  const commands = peer.connections[0]?.lines.filter((line) => /^(?:MAIL|RCPT)/.test(line)) ?? [];
  // The report is delivered after what it is about.
  if (first !== "ana@example.org") await delivered();
  return { commands, report: (await test.mail("example.org/ana"))[0] ?? "" };
}

Deno.test("mode R goes to no server without DELIVERBY, or with too long a shortest time: it comes back", async () => {
  for (const extensions of [["DSN"], ["DELIVERBY 240"], ["DELIVERBY 121"]]) {
    const { commands, report } = await relayTo(extensions, " BY=120;R");
    assert.deepEqual(commands, [], extensions[0] ?? "nothing offered");
    assert.match(report, /\r\nAction: failed\r\nStatus: 5\.3\.3\r\n/);
  }
});

Deno.test("mode N to a server without DELIVERBY: it is asked for reports of delays, and the sender hears of the relay", async () => {
  const { commands, report } = await relayTo(["DSN"], " BY=120;N");
  assert.deepEqual(commands, ["MAIL FROM:<ana@example.org>", "RCPT TO:<x@elsewhere.example> NOTIFY=FAILURE,DELAY"]);
  assert.match(report, /\r\nAction: relayed\r\n/);
  assert.match(report, /\r\nDeliver-By-Date: /);
});

Deno.test("a trace tells of the relay to a server with DELIVERBY, which gets what is left of the time", async () => {
  const { commands, report } = await relayTo(["DELIVERBY 10"], " BY=120;RT", 60);
  assert.deepEqual(commands, ["MAIL FROM:<ana@example.org> BY=60;RT", "RCPT TO:<x@elsewhere.example>"]);
  assert.match(report, /\r\nAction: relayed\r\n/);
});

Deno.test("a message with HOLDFOR is not tried before its time", async () => {
  const clock = new FakeClock();
  await using test = await startUnreachable(clock);
  await submitWith(test, " HOLDFOR=3600");
  await clock.advance(3_599_000);
  assert.equal((await test.server.queue.list({}))[0]?.recipients[0]?.attempts, 0);
  await clock.advance(1_000);
  await test.event("delivery.deferred");
});
