/** Operating the queue of a running server: by command on its database, and over HTTP. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { run } from "../../src/cli/mod.ts";
import { submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { baseConfiguration, startTestServer, testConfiguration, type TestServer } from "../support/server.ts";

const CONTENT = "From: ana@example.org\r\nSubject: hello\r\n\r\nbody\r\n";

/** Everything but example.org goes to a port where nobody listens. */
const UNREACHABLE = `
session.rcpt.relay = true
queue.route.nowhere = { type = "relay", address = "127.0.0.1", port = 1 }
queue.strategy.route = [{ if = "rcpt_domain == 'example.org'", then = "'local'" }, { else = "'nowhere'" }]
server.listener.web = { bind = "127.0.0.1:0", protocol = "http" }
`;

const send = (test: TestServer, to: string) =>
  submit(test.address("smtp"), { from: "ana@example.org", to: [to], content: CONTENT });

/** Runs `godwit queue` on the configuration of a running server; what it printed. */
async function godwit(test: TestServer, ...args: string[]): Promise<string[]> {
  const config = join(test.folder, "config.toml");
  await Deno.writeTextFile(config, baseConfiguration(test.folder));
  const lines: string[] = [];
  const output = {
    print: (line: string) => lines.push(line),
    error: (line: string) => lines.push(line),
    write: () => Promise.resolve(),
    colours: false,
  };
  assert.equal(await run(["queue", ...args, "--config", config], output), 0, lines.join("\n"));
  return lines;
}

Deno.test("an attempt that was asked for is made, also where the host was down a moment ago", async () => {
  const clock = new FakeClock();
  await using test = await startTestServer(UNREACHABLE, { clock });
  await send(test, "x@elsewhere.example");
  const first = await test.event("delivery.deferred");
  assert.match(String(first.fields.reason), /refused the connection/);
  assert.equal(await test.server.queue.retry({}), 1);
  await clock.advance(1000);
  const second = await test.event("delivery.deferred");
  assert.match(String(second.fields.reason), /refused the connection/);
  // Of itself the queue leaves such a host alone.
  await send(test, "y@elsewhere.example");
  const third = await test.event("delivery.deferred");
  assert.match(String(third.fields.reason), /not tried/);
});

Deno.test("what is done over HTTP is in the log with the name of whoever did it", async () => {
  await using test = await startTestServer(UNREACHABLE);
  await send(test, "x@elsewhere.example");
  await test.event("delivery.deferred");
  const { port } = test.address("web");
  const post = async (path: string) =>
    await (await fetch(`http://127.0.0.1:${port}/api/queue/${path}`, { method: "POST" })).json();
  assert.deepEqual(await post("hold?recipient=elsewhere.example"), { action: "hold", recipients: 1 });
  const { fields } = await test.event("queue.held");
  assert.deepEqual([fields.total, fields.by], [1, "loopback by HTTP from 127.0.0.1"]);
  const [listed = ""] = await godwit(test, "list", "--state", "held", "--json");
  const [{ id }] = JSON.parse(listed);
  const shown = await (await fetch(`http://127.0.0.1:${port}/api/queue/messages/${id}`)).json();
  assert.deepEqual(shown.events.map(({ name, text }: { name: string; text: string }) => [name, text]).at(-1), [
    "held",
    "by loopback by HTTP from 127.0.0.1",
  ]);
  const content = await (await fetch(`http://127.0.0.1:${port}/api/queue/messages/${id}/content`)).text();
  assert.ok(content.endsWith(CONTENT), content);
  assert.deepEqual(await godwit(test, "cancel", id), ["1 recipient removed"]);
  assert.deepEqual(await test.server.queue.list(), []);
});

Deno.test("what is being delivered is not said to be removed or held, but to be unless that succeeds", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using test = await startTestServer(`
server.listener.web = { bind = "127.0.0.1:0", protocol = "http" }
session.rcpt.relay = true
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${silent.addr.port}, tls = { implicit = false } }
`);
  await send(test, "x@elsewhere.example");
  using connection = await silent.accept();
  const { port } = test.address("web");
  const held = await fetch(`http://127.0.0.1:${port}/api/queue/hold?all=true`, { method: "POST" });
  assert.deepEqual(await held.json(), { action: "hold", recipients: 1, inHand: 1 });
  assert.deepEqual(await godwit(test, "cancel", "--all"), [
    "1 recipient is in the hands of a node, and will be removed unless an attempt that is under way succeeds",
  ]);
  assert.deepEqual(await godwit(test, "cancel", "--all", "--json"), ['{"action":"cancel","recipients":1,"inHand":1}']);
  connection.close();
  await test.event("queue.cancelled", ({ fields }) => fields.to === "x@elsewhere.example");
  assert.deepEqual(await godwit(test, "cancel", "--all"), ["0 recipients removed"]);
});

Deno.test("a reload moves what waits to the queue and the route that the new configuration has for it", async () => {
  const clock = new FakeClock();
  await using test = await startTestServer(UNREACHABLE, { clock });
  await send(test, "bob@elsewhere.example");
  await test.event("delivery.deferred");
  const changed = `
session.rcpt.relay = true
queue.strategy.route = "'local'"
queue.strategy.schedule = "'soon'"
queue.virtual.quick = { threads-per-node = 2 }
queue.schedule.soon = { queue-name = "quick", retry = ["10s"] }
`;
  await test.server.reload(testConfiguration(changed, { folder: test.folder, certificate: test.certificate }));
  for (let seconds = 0; (await test.server.queue.list()).length > 0 && seconds < 60; seconds++) {
    await clock.advance(1000);
  }
  const { fields } = await test.event("delivery.delivered");
  assert.equal(fields.queue, "quick");
  assert.equal((await test.mail("elsewhere.example/bob")).length, 1);
});
