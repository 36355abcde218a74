/** Queue quotas through whole servers, and what a reload changes for messages that wait already. */

import assert from "node:assert/strict";
import { type Client, connectClient } from "../support/client.ts";
import { startTestServer, testConfiguration } from "../support/server.ts";

/** Everything but example.org goes to a port where nobody listens, and waits. */
const WAITING = `
session.rcpt.relay = true
queue.route.nowhere = { type = "relay", address = "127.0.0.1", port = 1 }
queue.strategy.route = [{ if = "rcpt_domain == 'example.org'", then = "'local'" }, { else = "'nowhere'" }]
`;

const quota = (settings: string) => `${WAITING}queue.quota = [{ enable = true, ${settings} }]\n`;

async function begin(address: { hostname: string; port: number }, hello = "EHLO client.example"): Promise<Client> {
  const client = await connectClient(address);
  await client.reply();
  assert.match(await client.say(hello), /^250/);
  return client;
}

/** Sends one message; the replies to each RCPT, and those to the content if it was sent. */
async function send(client: Client, recipients: readonly string[], parameters = "", lmtp = false): Promise<string[]> {
  assert.match(await client.say(`MAIL FROM:<ann@client.example>${parameters}`), /^250 /);
  const replies: string[] = [];
  for (const recipient of recipients) replies.push(await client.say(`RCPT TO:<${recipient}>`));
  const accepted = replies.filter((reply) => reply.startsWith("250")).length;
  if (accepted === 0) {
    await client.say("RSET");
    return replies;
  }
  assert.match(await client.say("DATA"), /^354 /);
  await client.write("Subject: hello\r\n\r\nhello\r\n.\r\n");
  for (let i = 0; i < (lmtp ? accepted : 1); i++) replies.push(await client.reply());
  return replies;
}

const FULL = "452 4.3.1 Too much mail is waiting, try again later";
const short = (replies: readonly string[]) => replies.map((reply) => reply.slice(0, 9));

Deno.test("a recipient for whom no more may wait is refused at RCPT, others get the message", async () => {
  await using test = await startTestServer(quota('key = ["rcpt_domain"], messages = 1'));
  using client = await begin(test.address("smtp"));
  assert.deepEqual(short(await send(client, ["x@one.example"])), ["250 2.1.5", "250 2.0.0"]);
  await test.event("delivery.deferred");
  const replies = await send(client, ["y@one.example", "ana@example.org"]);
  assert.equal(replies[0], FULL);
  const { fields } = await test.event("queue.quota-exceeded");
  assert.deepEqual([fields.quota, fields.to, fields.id], [["queue.quota[0]"], ["y@one.example"], undefined]);
  assert.deepEqual(short(replies.slice(1)), ["250 2.1.5", "250 2.0.0"]);
  await test.event("delivery.delivered");
  assert.equal((await test.mail("example.org/ana")).length, 1);
});

Deno.test("what only the content tells is refused at the end of data, as a whole in SMTP", async () => {
  await using test = await startTestServer(quota('match = "size < 10000", messages = 1'));
  using client = await begin(test.address("smtp"));
  assert.deepEqual(short(await send(client, ["x@one.example"])), ["250 2.1.5", "250 2.0.0"]);
  assert.deepEqual(await send(client, ["y@one.example"]), ["250 2.1.5 Recipient OK", FULL]);
  const { fields } = await test.event("queue.quota-exceeded");
  assert.deepEqual([fields.quota, fields.to, fields.from], [
    ["queue.quota[0]"],
    ["y@one.example"],
    "ann@client.example",
  ]);
  const [waiting, ...more] = await test.server.queue.list();
  assert.deepEqual([waiting?.recipients[0]?.address, more], ["x@one.example", []]);
  // Room again once the first one has left.
  assert.equal((await test.server.queue.cancel({ ids: [waiting?.id ?? ""] })).recipients, 1);
  assert.deepEqual(short(await send(client, ["y@one.example"])), ["250 2.1.5", "250 2.0.0"]);
});

Deno.test("in LMTP each recipient has its own answer at the end of data", async () => {
  await using test = await startTestServer(quota('key = ["rcpt"], match = "size < 10000", messages = 1'));
  using client = await begin(test.address("lmtp"), "LHLO client.example");
  assert.deepEqual(short(await send(client, ["x@one.example"], "", true)), ["250 2.1.5", "250 2.0.0"]);
  const replies = await send(client, ["ana@example.org", "x@one.example", "y@one.example"], "", true);
  assert.deepEqual(short(replies.slice(3)), ["250 2.0.0", FULL.slice(0, 9), "250 2.0.0"]);
  await test.event("delivery.delivered");
  assert.equal((await test.mail("example.org/ana")).length, 1);
  const waiting = (await test.server.queue.list()).flatMap(({ recipients }) => recipients);
  const queued = waiting.filter(({ state }) => state !== "delivered");
  assert.deepEqual(queued.map(({ address }) => address), ["x@one.example", "y@one.example"]);
});

Deno.test("a size that is announced counts at RCPT", async () => {
  await using test = await startTestServer(quota("size = 5000"));
  using client = await begin(test.address("smtp"));
  assert.deepEqual(await send(client, ["x@one.example"], " SIZE=6000"), [FULL]);
  assert.deepEqual(short(await send(client, ["x@one.example"], " SIZE=40")), ["250 2.1.5", "250 2.0.0"]);
});

Deno.test("a reload puts new quotas in force for what waits already", async () => {
  await using test = await startTestServer(WAITING);
  using client = await begin(test.address("smtp"));
  for (let i = 0; i < 3; i++) await send(client, ["x@one.example"]);
  await test.server.reload(
    testConfiguration(quota("messages = 3"), { folder: test.folder, certificate: test.certificate }),
  );
  using after = await begin(test.address("smtp"));
  // The count of what was there is made in the background.
  let replies: string[] = [];
  for (let tries = 0; replies[0] !== FULL && tries < 100; tries++) replies = await send(after, ["y@one.example"]);
  assert.equal(replies[0], FULL);
  await test.server.reload(
    testConfiguration(quota("messages = 1000"), { folder: test.folder, certificate: test.certificate }),
  );
  using last = await begin(test.address("smtp"));
  for (let tries = 0; replies[0] === FULL && tries < 100; tries++) replies = await send(last, ["y@one.example"]);
  assert.deepEqual(short(replies), ["250 2.1.5", "250 2.0.0"]);
});
