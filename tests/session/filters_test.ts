/** Filters of the configuration in a whole server: order, effects on the queue, and who is asked. */

import assert from "node:assert/strict";
import { connectClient, submit } from "../support/client.ts";
import { milterPacket, startFakeMilter } from "../support/fake_milter.ts";
import { startTestServer } from "../support/server.ts";

const MESSAGE = { from: "a@example.net", to: ["ana@example.org"], content: "Subject: hi\r\n\r\nbody\r\n" };
const STAGES = `stages = ["connect", "ehlo", "mail", "rcpt", "data"]`;

/** A hook server for one test; `answer` gets the JSON of the request. */
function hookServer(answer: (request: { readonly message: { readonly headers: unknown } }) => unknown) {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    return Response.json(answer(await request.json()));
  });
}

Deno.test("milters come before the script, the script before hooks, and each sees what those before changed", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "E" ? [milterPacket("h", "X-Milter", "1"), milterPacket("c")] : undefined,
  });
  let seen: unknown;
  const hook = hookServer((request) => {
    seen = request.message.headers;
    return { action: "accept", modifications: [{ type: "addHeader", name: "X-Hook", value: "3" }] };
  });
  const script = `require "editheader"; if header "X-Milter" "1" { addheader :last "X-Script" "2"; }`;
  await using server = await startTestServer(`
session.milter.m = { hostname = "127.0.0.1", port = ${milter.port} }
session.hook.h = { url = "http://127.0.0.1:${hook.addr.port}/" }
session.data.script = "'s'"
sieve.trusted.scripts.s.contents = '''${script}'''`);
  assert.match((await submit(server.address("smtp"), MESSAGE))[0] ?? "", /^250 /);
  await server.event("delivery.delivered");
  assert.deepEqual(seen, [["Subject", "hi"], ["X-Milter", "1"], ["X-Script", "2"]]);
  const [mail = ""] = await server.mail("example.org/ana");
  assert.match(mail, /\r\nSubject: hi\r\nX-Milter: 1\r\nX-Script: 2\r\nX-Hook: 3\r\n\r\nbody\r\n$/);
  await hook.shutdown();
});

Deno.test("fields that a milter puts at position 0 are above those of this server, but below Return-Path", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) =>
      command === "E"
        ? [milterPacket("i", 1, "X-Below", "1"), milterPacket("i", 0, "X-Above", "2"), milterPacket("c")]
        : undefined,
  });
  const script = `require "editheader"; if header "X-Above" "2" { addheader :last "X-Script" "3"; }`;
  const settings = (more: string) => `
session.milter.m = { hostname = "127.0.0.1", port = ${milter.port} }
sieve.trusted.scripts.s.contents = '''${script}'''
session.data.script = "'s'"
${more}`;
  await using server = await startTestServer(settings("session.data.add-headers.return-path = true"));
  assert.match((await submit(server.address("smtp"), MESSAGE))[0] ?? "", /^250 /);
  await server.event("delivery.delivered");
  const [mail = ""] = await server.mail("example.org/ana");
  assert.deepEqual(fieldNames(mail).filter((name) => name !== "Delivered-To"), [
    ...["Return-Path", "X-Above", "Received", "X-Below", "Subject", "X-Script"],
  ]);
});

/** Names of header fields, in order. */
function fieldNames(mail: string): readonly string[] {
  return [...(mail.split("\r\n\r\n")[0] ?? "").matchAll(/^([\w-]+):/gm)].map(([, name = ""]) => name);
}

Deno.test("what a milter holds waits in the queue, what it drops is answered with success", async () => {
  let letter = "q";
  await using milter = await startFakeMilter({
    on: ({ command }) =>
      command !== "E"
        ? undefined
        : letter === "q"
        ? [milterPacket("q", "odd"), milterPacket("c")]
        : [milterPacket(letter)],
  });
  await using server = await startTestServer(
    `session.milter.m = { hostname = "127.0.0.1", port = ${milter.port}, ${STAGES} }`,
  );
  assert.match((await submit(server.address("smtp"), MESSAGE))[0] ?? "", /^250 /);
  const { fields } = await server.event("milter.action-accept");
  assert.equal(fields["quarantine"], "odd");
  assert.equal(fields["filter"], "m");
  letter = "d";
  assert.match((await submit(server.address("smtp"), MESSAGE))[0] ?? "", /^250 /);
  await server.event("milter.action-discard");
  await server.event("smtp.message-discarded");
  letter = "r";
  assert.match((await submit(server.address("smtp"), MESSAGE))[0] ?? "", /^550 5\.7\.1 /);
  const refused = await server.event("smtp.filter-refused");
  assert.equal(refused.fields["filter"], "m");
  assert.equal(server.events.some(({ name }) => name === "delivery.delivered"), false);
});

Deno.test("expressions decide for each transaction which filters are asked", async () => {
  await using milter = await startFakeMilter();
  const enable = `"sender_domain == 'asked.example'"`;
  let calls = 0;
  const hook = hookServer(() => {
    calls++;
    return { action: "accept" };
  });
  await using server = await startTestServer(
    `session.milter.m = { hostname = "127.0.0.1", port = ${milter.port}, ${STAGES}, enable = ${enable} }
session.hook.h = { url = "http://127.0.0.1:${hook.addr.port}/", enable = ${enable} }`,
  );
  await submit(server.address("smtp"), MESSAGE);
  assert.equal(milter.connections, 0);
  assert.equal(calls, 0);
  await submit(server.address("smtp"), { ...MESSAGE, from: "a@asked.example" });
  assert.equal(milter.commands().slice(0, 10), "OCHMRTLNBE");
  assert.equal(calls, 1);
  await hook.shutdown();
});

Deno.test("a milter may answer commands that are none, and drop a message because of a recipient that is refused", async () => {
  await using milter = await startFakeMilter({
    steps: 0x800,
    on: ({ command, text }) =>
      command === "U" && text.startsWith("FROB")
        ? [milterPacket("y", "502 5.7.9 Not here")]
        : command === "U" && text.startsWith("BYE")
        ? [milterPacket("4")]
        : command === "R" && text.includes("trap")
        ? [milterPacket("d")]
        : command === "R" && text.includes("harvest")
        ? [milterPacket("4")]
        : undefined,
  });
  await using server = await startTestServer(
    `session.milter.m = { hostname = "127.0.0.1", port = ${milter.port}, ${STAGES} }
session.rcpt.errors.wait = "1ms"`,
  );
  using client = await connectClient(server.address("smtp"));
  await client.reply();
  assert.equal(await client.say("XYZZY"), "500 5.5.1 Command not recognized");
  assert.equal(await client.say("FROB x"), "502 5.7.9 Not here");
  const { fields } = await server.event("smtp.filter-refused");
  assert.equal(fields["filter"], "m");
  await client.say("EHLO client.example");
  await client.say("MAIL FROM:<a@example.net>");
  assert.match(await client.say("RCPT TO:<trap@example.org>"), /^550 5\.1\.1 /);
  assert.match(await client.say("RCPT TO:<ana@example.org>"), /^250 /);
  await client.say("DATA");
  assert.match(await client.say("Subject: x\r\n\r\nbody\r\n."), /^250 /);
  await server.event("smtp.message-discarded");
  assert.match(await client.say("BYE"), /^421 4\.7\.0 /);
  assert.equal(await client.conn.read(new Uint8Array(1)), null);
  using harvester = await connectClient(server.address("smtp"));
  await harvester.reply();
  await harvester.say("EHLO client.example");
  await harvester.say("MAIL FROM:<a@example.net>");
  assert.match(await harvester.say("RCPT TO:<harvest@example.org>"), /^421 4\.7\.0 /);
  assert.equal(await harvester.conn.read(new Uint8Array(1)), null);
});

Deno.test("a milter sees the session through LMTP, and refuses one recipient of several", async () => {
  await using milter = await startFakeMilter({
    on: ({ command, text }) =>
      command === "R" && text.includes("bob") ? [milterPacket("y", "550 5.7.9 Not bob")] : undefined,
  });
  await using server = await startTestServer(
    `session.milter.m = { hostname = "127.0.0.1", port = ${milter.port}, ${STAGES} }
session.rcpt.errors.wait = "1ms"`,
  );
  const replies = await submit(server.address("lmtp"), {
    ...MESSAGE,
    to: ["bob@example.org", "ana@example.org"],
    lmtp: true,
  });
  assert.equal(replies.length, 1);
  await server.event("delivery.delivered");
  assert.equal((await server.mail("example.org/ana")).length, 1);
});
