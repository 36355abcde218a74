import assert from "node:assert/strict";
import { connect } from "../../../src/net/mod.ts";
import { type Action, startFakePeer } from "../../support/fake_peer.ts";
import { contentOf, inShort, jobFor, MESSAGE, queueConfig, relay, setUp, textOf, untilQuiet } from "./setting.ts";

const TO = ["b@rcpt.example"];

Deno.test("with PIPELINING the envelope and DATA leave in one write, the message with its dot in another", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery, writes } = setUp(queueConfig([relay(peer.port)]));
  const [outcome] = await deliver(jobFor(TO));
  assert.deepEqual(outcome, {
    kind: "delivered",
    recipient: 1,
    host: "127.0.0.1",
    status: 250,
    enhanced: "2.0.0",
    text: "127.0.0.1[127.0.0.1] said: 250 2.0.0 queued",
    dsnRelayed: false,
  });
  assert.deepEqual(writes, [
    "EHLO mx.sender.example\r\n",
    `MAIL FROM:<a@sender.example> SIZE=${MESSAGE.length}\r\nRCPT TO:<b@rcpt.example>\r\nDATA\r\n`,
    MESSAGE.replace("\r\n.dots", "\r\n..dots") + ".\r\n",
  ]);
  assert.equal(peer.messages[0]?.content, MESSAGE);
  await delivery.close();
});

Deno.test("without PIPELINING each command waits for its reply", async () => {
  await using peer = await startFakePeer({ extensions: [] });
  const { deliver, delivery, writes } = setUp(queueConfig([relay(peer.port)]));
  const outcomes = await deliver(jobFor(["b@rcpt.example", "c@rcpt.example"]));
  assert.deepEqual(outcomes.map(inShort), ["delivered", "delivered"]);
  assert.deepEqual(writes.slice(1, 5), [
    "MAIL FROM:<a@sender.example>\r\n",
    "RCPT TO:<b@rcpt.example>\r\n",
    "RCPT TO:<c@rcpt.example>\r\n",
    "DATA\r\n",
  ]);
  assert.equal(peer.messages[0]?.content, MESSAGE);
  await delivery.close();
});

Deno.test("with CHUNKING a small message leaves together with its envelope, as it is", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING", "CHUNKING"] });
  const { deliver, delivery, writes } = setUp(queueConfig([relay(peer.port)]));
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.deepEqual(writes.slice(1), [
    `MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@rcpt.example>\r\nBDAT ${MESSAGE.length} LAST\r\n${MESSAGE}`,
  ]);
  assert.equal(peer.messages[0]?.content, MESSAGE);
  await delivery.close();
});

for (const extensions of [["PIPELINING"], ["PIPELINING", "CHUNKING"], ["CHUNKING"], []]) {
  Deno.test(`a long message arrives whole, peer offers ${extensions.join(" ") || "nothing"}`, async () => {
    await using peer = await startFakePeer({ extensions });
    const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
    const chunks = ["Subject: long\r\n\r\n", ...Array.from({ length: 40 }, (_, i) => `.line ${i}\r\n`.repeat(1000))];
    // The split falls between CR, LF and dot.
    const outcomes = await deliver(jobFor(TO, { message: { content: contentOf(...chunks, "x\r", "\n", ".y\r\n") } }));
    assert.deepEqual(outcomes.map(inShort), ["delivered"]);
    assert.equal(peer.messages[0]?.content, chunks.join("") + "x\r\n.y\r\n");
    await delivery.close();
  });

  Deno.test(
    `after a refusal the connection is fit for the next message, peer offers ${extensions.join(" ") || "nothing"}`,
    async () => {
      const replies: Record<string, string> = { MAIL: "550 5.7.1 no", RCPT: "550 5.1.1 no", content: "554 5.6.0 no" };
      replies.BDAT = "554 5.6.0 no";
      let refuse: string | undefined;
      await using peer = await startFakePeer({
        extensions,
        on: ({ verb }) => verb === refuse ? replies[verb] : undefined,
      });
      const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
      for (const verb of ["MAIL", "RCPT", extensions.includes("CHUNKING") ? "BDAT" : "content"]) {
        refuse = verb;
        assert.equal(inShort((await deliver(jobFor(TO)))[0]), `failed unexpected-reply ${replies[verb]?.slice(0, 9)}`);
        refuse = undefined;
        assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"], `after ${verb}`);
      }
      assert.equal(peer.connections.length, 1);
      assert.ok(peer.messages.every(({ content, rcpt }) => content === MESSAGE && rcpt.length === 1));
      await delivery.close();
    },
  );
}

Deno.test("content without final line break gets one before the dot", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO, { message: { content: contentOf("Subject: x\r\n\r\nno end") } }));
  assert.equal(peer.messages[0]?.content, "Subject: x\r\n\r\nno end\r\n");
  await delivery.close();
});

interface Answer {
  readonly verb: string;
  readonly say: string;
  readonly want: string;
}

const answers: Answer[] = [
  { verb: "greeting", say: "421 4.3.2 too busy", want: "deferred unexpected-reply 421 4.3.2" },
  { verb: "greeting", say: "554 no mail here", want: "failed unexpected-reply 554 5.0.0" },
  { verb: "EHLO", say: "421 4.3.2 later", want: "deferred unexpected-reply 421 4.3.2" },
  { verb: "MAIL", say: "451 4.7.1 greylisted", want: "deferred unexpected-reply 451 4.7.1" },
  { verb: "MAIL", say: "550 5.7.1 go away", want: "failed unexpected-reply 550 5.7.1" },
  { verb: "MAIL", say: "421 4.3.2 closing", want: "deferred unexpected-reply 421 4.3.2" },
  { verb: "RCPT", say: "450 busy", want: "deferred unexpected-reply 450 4.0.0" },
  { verb: "RCPT", say: "550 5.1.1 no such user", want: "failed unexpected-reply 550 5.1.1" },
  { verb: "RCPT", say: "421 4.3.2 closing", want: "deferred unexpected-reply 421 4.3.2" },
  { verb: "DATA", say: "451 4.3.0 later", want: "deferred unexpected-reply 451 4.3.0" },
  { verb: "DATA", say: "554 5.7.1 no", want: "failed unexpected-reply 554 5.7.1" },
  { verb: "DATA", say: "250 what", want: "deferred unexpected-reply 250 4.5.0" },
  { verb: "content", say: "452 4.3.1 disk full", want: "deferred unexpected-reply 452 4.3.1" },
  { verb: "content", say: "554 5.6.0 spam", want: "failed unexpected-reply 554 5.6.0" },
  { verb: "content", say: "421 4.3.2 closing", want: "deferred unexpected-reply 421 4.3.2" },
  { verb: "content", say: "354 again?", want: "deferred unexpected-reply 354 4.5.0" },
  ...["greeting", "EHLO", "MAIL", "RCPT", "DATA", "content"].flatMap((verb) => [
    { verb, say: "garbage", want: "deferred unexpected-reply 0 4.5.0" },
    { verb, say: "999 out of range", want: "deferred unexpected-reply 0 4.5.0" },
  ]),
];

for (const extensions of [["PIPELINING"], []]) {
  const kind = extensions.length > 0 ? "pipelined" : "step by step";
  for (const { verb, say, want } of answers) {
    Deno.test(`${kind}: "${say}" to ${verb} means ${want}`, async () => {
      await using peer = await startFakePeer({ extensions, on: (command) => command.verb === verb ? say : undefined });
      const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
      const [outcome] = await deliver(jobFor(TO));
      assert.equal(inShort(outcome), want);
      assert.match(textOf(outcome), /^127\.0\.0\.1\[127\.0\.0\.1\] /);
      assert.equal(peer.messages.length, 0);
      await delivery.close();
    });
  }

  const endings: { verb: string; action: Action; limit: number }[] = [
    { verb: "greeting", action: "silent", limit: 180_000 },
    { verb: "EHLO", action: "silent", limit: 180_000 },
    { verb: "MAIL", action: "silent", limit: 180_000 },
    { verb: "RCPT", action: "silent", limit: 180_000 },
    { verb: "DATA", action: "silent", limit: 600_000 },
    { verb: "content", action: "silent", limit: 600_000 },
  ];
  for (const { verb, action, limit } of endings) {
    Deno.test(`${kind}: silence after ${verb} is given up after ${limit / 1000} s`, async () => {
      await using peer = await startFakePeer({
        extensions,
        on: (command) => command.verb === verb ? action : undefined,
      });
      const setup = setUp(queueConfig([relay(peer.port)]));
      let settled = false;
      const outcomes = setup.deliver(jobFor(TO)).finally(() => settled = true);
      await untilQuiet(peer, setup);
      await setup.clock.advance(limit - 1);
      assert.equal(settled, false);
      await setup.clock.advance(1);
      const [outcome] = await outcomes;
      assert.equal(inShort(outcome), "deferred connection 0 4.4.2");
      assert.match(textOf(outcome), new RegExp(`did not answer .* within ${limit / 1000} s$`));
      assert.equal(setup.clock.pending, 0, "no timer is left");
      await setup.delivery.close();
    });

    Deno.test(`${kind}: a connection closed after ${verb} means another try`, async () => {
      await using peer = await startFakePeer({
        extensions,
        on: (command) => command.verb === verb ? { then: "close" } : undefined,
      });
      const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
      const [outcome] = await deliver(jobFor(TO));
      assert.equal(inShort(outcome), "deferred connection 0 4.4.2");
      assert.match(textOf(outcome), /closed the connection instead of answering/);
      await delivery.close();
    });
  }
}

Deno.test("the text names host, reply and command", async () => {
  await using peer = await startFakePeer({
    on: ({ verb }) => verb === "RCPT" ? "550 5.1.1 no such user\n5.1.1 see https://rcpt.example" : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const [outcome] = await deliver(jobFor(TO));
  assert.equal(
    textOf(outcome),
    "127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user see https://rcpt.example (in reply to RCPT TO)",
  );
  await delivery.close();
});

Deno.test("each recipient has its own outcome", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, line }) =>
      verb !== "RCPT"
        ? undefined
        : line.includes("gone")
        ? "550 5.1.1 gone"
        : line.includes("full")
        ? "452 4.2.2 full"
        : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const outcomes = await deliver(jobFor(["ok@rcpt.example", "gone@rcpt.example", "full@rcpt.example"]));
  assert.deepEqual(outcomes.map(inShort), [
    "delivered",
    "failed unexpected-reply 550 5.1.1",
    "deferred unexpected-reply 452 4.2.2",
  ]);
  assert.deepEqual(outcomes.map(({ recipient }) => recipient), [1, 2, 3]);
  assert.deepEqual(peer.messages[0]?.rcpt, ["RCPT TO:<ok@rcpt.example>"]);
  await delivery.close();
});

Deno.test("when all recipients are refused but DATA is not, a lone dot ends it and nothing counts as delivered", async () => {
  await using peer = await startFakePeer({
    on: ({ verb }) => verb === "RCPT" ? "550 5.1.1 no" : verb === "DATA" ? "354 go on" : undefined,
  });
  const { deliver, delivery, writes } = setUp(queueConfig([relay(peer.port)]));
  const [outcome] = await deliver(jobFor(TO));
  assert.equal(inShort(outcome), "failed unexpected-reply 550 5.1.1");
  assert.equal(writes.at(-1), ".\r\n");
  assert.equal(peer.messages[0]?.content, "");
  await delivery.close();
});

Deno.test("recipients beyond the peer's room go in another transaction", async () => {
  await using peer = await startFakePeer({
    // Two per transaction: those since the last MAIL, this one included.
    on: ({ verb, connection: { lines } }) => {
      const mail = lines.findLastIndex((line) => line.startsWith("MAIL"));
      return verb === "RCPT" && lines.length - 1 - mail > 2 ? "452 4.5.3 too many recipients" : undefined;
    },
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const to = ["1", "2", "3", "4", "5"].map((name) => `${name}@rcpt.example`);
  const outcomes = await deliver(jobFor(to));
  assert.deepEqual(outcomes.map(inShort), to.map(() => "delivered"));
  assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt.length), [2, 2, 1]);
  assert.equal(peer.connections.length, 1);
  await delivery.close();
});

Deno.test("too many recipients at the first one is a deferral", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "RCPT" ? "452 4.5.3 too many" : undefined });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const outcomes = await deliver(jobFor(["b@rcpt.example", "c@rcpt.example"]));
  assert.deepEqual(outcomes.map(inShort), [
    "deferred unexpected-reply 452 4.5.3",
    "deferred unexpected-reply 452 4.5.3",
  ]);
  await delivery.close();
});

Deno.test("LIMITS RCPTMAX splits the recipients", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING", "LIMITS RCPTMAX=2"] });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const to = ["1", "2", "3", "4", "5"].map((name) => `${name}@rcpt.example`);
  assert.deepEqual((await deliver(jobFor(to))).map(inShort), to.map(() => "delivered"));
  assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt.length), [2, 2, 1]);
  await delivery.close();
});

Deno.test("hundreds of recipients travel in one transaction, in batches", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery, writes } = setUp(queueConfig([relay(peer.port)]));
  const to = Array.from({ length: 250 }, (_, i) => `user${i}@rcpt.example`);
  assert.ok((await deliver(jobFor(to))).every(({ kind }) => kind === "delivered"));
  assert.equal(peer.messages.length, 1);
  assert.equal(peer.messages[0]?.rcpt.length, 250);
  assert.equal(writes.length, 5);
  await delivery.close();
});

Deno.test("LMTP greets with LHLO and answers for each recipient after the message", async () => {
  await using peer = await startFakePeer({
    protocol: "lmtp",
    on: ({ verb, line }) =>
      verb === "content" && line.includes("full")
        ? "452 4.2.2 over quota"
        : verb === "RCPT" && line.includes("gone")
        ? "550 5.1.1 gone"
        : undefined,
  });
  const { deliver, delivery, writes } = setUp(queueConfig([relay(peer.port, { protocol: "lmtp" })]));
  const outcomes = await deliver(
    jobFor(["a@rcpt.example", "gone@rcpt.example", "full@rcpt.example", "z@rcpt.example"]),
  );
  assert.equal(writes[0], "LHLO mx.sender.example\r\n");
  assert.deepEqual(outcomes.map(inShort), [
    "delivered",
    "failed unexpected-reply 550 5.1.1",
    "deferred unexpected-reply 452 4.2.2",
    "delivered",
  ]);
  await delivery.close();
});

Deno.test("LMTP: replies that stop half way leave only the others deferred", async () => {
  await using peer = await startFakePeer({
    protocol: "lmtp",
    on: ({ verb, count }) => verb === "content" && count === 2 ? { then: "close" } : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port, { protocol: "lmtp" })]));
  const outcomes = await deliver(jobFor(["a@rcpt.example", "b@rcpt.example"]));
  assert.deepEqual(outcomes.map(inShort), ["delivered", "deferred connection 0 4.4.2"]);
  await delivery.close();
});

Deno.test("a server without EHLO gets HELO and no extensions", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "EHLO" ? "502 5.5.1 what?" : undefined });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.deepEqual(peer.connections[0]?.lines.slice(0, 3), [
    "EHLO mx.sender.example",
    "HELO mx.sender.example",
    "MAIL FROM:<a@sender.example>",
  ]);
  await delivery.close();
});

Deno.test("a peer that hangs up in mid-message costs one attempt", async () => {
  await using peer = await startFakePeer({
    on: ({ verb }) => verb === "DATA" ? { then: "close", say: "354 go on" } : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const chunks = Array.from({ length: 64 }, () => "x".repeat(65_534) + "\r\n");
  const [outcome] = await deliver(jobFor(TO, { message: { content: contentOf(...chunks) } }));
  assert.equal(inShort(outcome), "deferred connection 0 4.4.2");
  await delivery.close();
});

Deno.test("a message that cannot be written to its end is not delivered", async () => {
  await using peer = await startFakePeer();
  let written = 0;
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]), {
    connect: async (options) => {
      const made = await connect(options);
      const write = (bytes: Uint8Array) => {
        if (bytes.length < 60_000 || ++written < 3) return made.write(bytes);
        made.close();
        return Promise.reject(new Error("broken pipe"));
      };
      return { ...made, close: made.close, read: made.read, write };
    },
  });
  const chunks = Array.from({ length: 64 }, () => "x".repeat(65_534) + "\r\n");
  const [outcome] = await deliver(jobFor(TO, { message: { content: contentOf(...chunks) } }));
  assert.equal(inShort(outcome), "deferred connection 0 4.4.2");
  assert.equal(peer.messages.length, 0);
  await delivery.close();
});

Deno.test("a reason given in mid-message is heard", async () => {
  await using peer = await startFakePeer({
    extensions: ["PIPELINING", "CHUNKING"],
    on: ({ verb }) => verb === "RCPT" ? { say: "250 2.1.5 ok\r\n552 5.3.4 too large" } : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const chunks = Array.from({ length: 64 }, () => "x".repeat(65_534) + "\r\n");
  const [outcome] = await deliver(jobFor(TO, { message: { content: contentOf(...chunks) } }));
  assert.equal(inShort(outcome), "failed unexpected-reply 552 5.3.4");
  await delivery.close();
});

Deno.test("content that cannot be read ends the connection without a final dot", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const content = {
    ...contentOf("Subject: x\r\n\r\n", "rest"),
    chunks: async function* () {
      yield await Promise.resolve(new TextEncoder().encode("Subject: x\r\n\r\n"));
      throw new Error("the store is gone");
    },
  };
  const [outcome] = await deliver(jobFor(TO, { message: { content } }));
  assert.equal(inShort(outcome), "deferred io 0 4.3.0");
  assert.equal(peer.messages.length, 0);
  await delivery.close();
});

Deno.test("an aborted attempt is deferred for those without an answer", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "content" ? "silent" : undefined });
  const setup = setUp(queueConfig([relay(peer.port)]));
  const control = new AbortController();
  const outcomes = setup.deliver(jobFor(["gone@rcpt.example", "b@rcpt.example"]), control.signal);
  await untilQuiet(peer, setup);
  control.abort();
  assert.deepEqual((await outcomes).map(inShort), ["deferred none 0 4.3.2", "deferred none 0 4.3.2"]);
  assert.deepEqual((await setup.deliver(jobFor(TO), control.signal)).map(inShort), ["deferred none 0 4.3.2"]);
  assert.equal(peer.connections.length, 1);
  await setup.delivery.close();
});
