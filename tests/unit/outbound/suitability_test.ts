import assert from "node:assert/strict";
import type { QueuedEnvelope } from "../../../src/queue/types.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { contentOf, inShort, jobFor, queueConfig, relay, setUp } from "./setting.ts";

const SEVEN = "Subject: x\r\n\r\nplain\r\n";
const EIGHT = "Subject: x\r\n\r\nf\u00fcr\r\n";
const EIGHT_HEADER = "Subject: f\u00fcr\r\n\r\nplain\r\n";

/** Delivers one message to a peer with these extensions; outcomes in short, and the MAIL command. */
async function send(
  extensions: readonly string[],
  envelope: Partial<QueuedEnvelope["parameters"]>,
  options: { readonly content?: readonly string[]; readonly sender?: string; readonly to?: readonly string[] } = {},
) {
  await using peer = await startFakePeer({ extensions });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const message = {
    envelope: { sender: options.sender ?? "a@sender.example", parameters: envelope },
    content: contentOf(...options.content ?? [SEVEN]),
  };
  const outcomes = await deliver(jobFor(options.to ?? ["b@rcpt.example"], { message }));
  await delivery.close();
  const mail = peer.connections[0]?.lines.find((line) => line.startsWith("MAIL"));
  return { outcomes: outcomes.map(inShort), mail, messages: peer.messages };
}

Deno.test("a message over the peer's SIZE is refused without sending it", async () => {
  const { outcomes, mail } = await send(["SIZE 10"], {});
  assert.deepEqual(outcomes, ["failed unexpected-reply 0 5.3.4"]);
  assert.equal(mail, undefined);
});

Deno.test("SIZE 0 is no limit", async () => {
  assert.deepEqual((await send(["SIZE 0"], {})).outcomes, ["delivered"]);
});

Deno.test("8-bit content does not go to a peer without 8BITMIME", async () => {
  assert.deepEqual((await send([], { body: "8bitmime" }, { content: [EIGHT] })).outcomes, [
    "failed unexpected-reply 0 5.6.3",
  ]);
  assert.deepEqual((await send([], { body: "8bitmime" }, { content: [SEVEN, "more\r\n", EIGHT] })).outcomes, [
    "failed unexpected-reply 0 5.6.3",
  ]);
});

Deno.test("content that was only said to have 8 bits goes without BODY", async () => {
  for (const content of [[SEVEN], [SEVEN, "more\r\n"]]) {
    const { outcomes, mail } = await send([], { body: "8bitmime" }, { content });
    assert.deepEqual([outcomes, mail], [["delivered"], "MAIL FROM:<a@sender.example>"]);
  }
});

Deno.test("8-bit content goes to a peer with 8BITMIME, declared", async () => {
  const { outcomes, mail } = await send(["8BITMIME"], { body: "8bitmime" }, { content: [EIGHT] });
  assert.deepEqual([outcomes, mail], [["delivered"], "MAIL FROM:<a@sender.example> BODY=8BITMIME"]);
});

Deno.test("binary content goes by BDAT or not at all", async () => {
  const binary = "Subject: x\r\n\r\n\0\n.\r\n\r";
  for (const extensions of [["8BITMIME"], ["8BITMIME", "CHUNKING"], ["8BITMIME", "BINARYMIME"]]) {
    assert.deepEqual((await send(extensions, { body: "binarymime" }, { content: [binary] })).outcomes, [
      "failed unexpected-reply 0 5.6.3",
    ]);
  }
  const { outcomes, mail, messages } = await send(
    ["PIPELINING", "CHUNKING", "BINARYMIME"],
    { body: "binarymime" },
    { content: [binary] },
  );
  assert.deepEqual([outcomes, mail], [["delivered"], "MAIL FROM:<a@sender.example> BODY=BINARYMIME"]);
  assert.equal(messages[0]?.content, binary);
});

Deno.test("international addresses need SMTPUTF8, unless they have an ASCII form", async () => {
  assert.deepEqual((await send([], { smtputf8: true }, { sender: "j\u00fcrgen@sender.example" })).outcomes, [
    "failed unexpected-reply 0 5.6.7",
  ]);
  const mixed = await send([], { smtputf8: true }, { to: ["j\u00fcrgen@rcpt.example", "b@rcpt.example"] });
  assert.deepEqual(mixed.outcomes, ["failed unexpected-reply 0 5.6.7", "delivered"]);
  const { outcomes, mail } = await send([], { smtputf8: true }, { sender: "a@b\u00fccher.example" });
  assert.deepEqual([outcomes, mail], [["delivered"], "MAIL FROM:<a@xn--bcher-kva.example>"]);
});

Deno.test("international header fields need SMTPUTF8", async () => {
  assert.deepEqual((await send(["8BITMIME"], { smtputf8: true }, { content: [EIGHT_HEADER] })).outcomes, [
    "failed unexpected-reply 0 5.6.7",
  ]);
  // The body does not matter.
  assert.deepEqual((await send(["8BITMIME"], { smtputf8: true }, { content: [EIGHT] })).outcomes, ["delivered"]);
});

Deno.test("SMTPUTF8 passes addresses as they are", async () => {
  const { outcomes, mail } = await send(
    ["PIPELINING", "8BITMIME", "SMTPUTF8"],
    { smtputf8: true, body: "8bitmime" },
    { sender: "j\u00fcrgen@sender.example", content: [EIGHT_HEADER] },
  );
  assert.deepEqual(outcomes, ["delivered"]);
  assert.equal(mail, "MAIL FROM:<j\u00fcrgen@sender.example> BODY=8BITMIME SMTPUTF8");
});

Deno.test("a peer that offers DSN takes over the duty to notify", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING", "DSN"] });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const notify = { never: false, success: true, failure: true, delay: false };
  const [outcome] = await deliver(jobFor(["b@rcpt.example"], { parameters: { notify } }));
  assert.equal(outcome?.kind === "delivered" && outcome.dsnRelayed, true);
  assert.ok(peer.messages[0]?.rcpt[0]?.endsWith("NOTIFY=SUCCESS,FAILURE"));
  await delivery.close();
});

Deno.test("the time a message has spent here is taken off DELIVERBY", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING", "DELIVERBY"] });
  const { deliver, delivery, clock } = setUp(queueConfig([relay(peer.port)]));
  await clock.advance(100_000);
  const by = { seconds: 120, mode: "notify", trace: false } as const;
  await deliver(jobFor(["b@rcpt.example"], { message: { envelope: { sender: "", parameters: { by } } } }));
  assert.equal(peer.messages[0]?.mail, "MAIL FROM:<> BY=20;N");
  await delivery.close();
});
