/** DELIVERBY (RFC 2852) and held messages through the whole program. */

import assert from "node:assert/strict";
import { submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const CONTENT = "From: ana@example.org\r\nSubject: soon\r\n\r\nbody\r\n";

/** A server whose next hop for what is not local does not listen. */
async function startUnreachable(clock: FakeClock): Promise<TestServer> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
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

Deno.test("a message with HOLDFOR is not tried before its time", async () => {
  const clock = new FakeClock();
  await using test = await startUnreachable(clock);
  await submitWith(test, " HOLDFOR=3600");
  await clock.advance(3_599_000);
  assert.equal((await test.server.queue.list({}))[0]?.recipients[0]?.attempts, 0);
  await clock.advance(1_000);
  await test.event("delivery.deferred");
});
