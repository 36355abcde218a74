import assert from "node:assert/strict";
import { startFakePeer } from "../../support/fake_peer.ts";
import {
  computed,
  connection,
  contentOf,
  inShort,
  jobFor,
  MESSAGE,
  queueConfig,
  relay,
  setUp,
  textOf,
} from "./setting.ts";

const TO = ["b@rcpt.example"];

/** Waits for what the event loop has to do first. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("messages one after another share a connection", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery, events } = setUp(queueConfig([relay(peer.port)]));
  for (let i = 0; i < 3; i++) assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.equal(peer.connections.length, 1);
  assert.equal(peer.messages.length, 3);
  assert.equal(events.filter(({ name }) => name === "delivery.connection-reused").length, 2);
  await delivery.close();
});

Deno.test("messages at the same time have a connection each, kept for later ones", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  for (let round = 0; round < 3; round++) {
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => deliver(jobFor(TO))));
    assert.ok(outcomes.every(([outcome]) => outcome?.kind === "delivered"));
  }
  assert.equal(peer.connections.length, 5);
  assert.equal(peer.messages.length, 15);
  await delivery.close();
});

Deno.test("a connection that has carried its number of messages is ended", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]), { pool: { maxMessages: 2 } });
  for (let i = 0; i < 5; i++) await deliver(jobFor(TO));
  assert.deepEqual(peer.messages.map((message) => message.connection), [1, 1, 2, 2, 3]);
  await delivery.close();
});

Deno.test("LIMITS MAILMAX is kept to", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING", "LIMITS MAILMAX=1"] });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  for (let i = 0; i < 2; i++) await deliver(jobFor(TO));
  assert.deepEqual(peer.messages.map((message) => message.connection), [1, 2]);
  await delivery.close();
});

Deno.test("an idle connection is ended with QUIT after its time", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery, clock } = setUp(queueConfig([relay(peer.port)]), { pool: { maxIdle: 10_000 } });
  await deliver(jobFor(TO));
  await clock.advance(9_000);
  assert.equal(peer.connections[0]?.lines.at(-1), "DATA");
  await clock.advance(2_000);
  await until(() => peer.connections[0]?.lines.at(-1) === "QUIT");
  await deliver(jobFor(TO));
  assert.equal(peer.connections.length, 2);
  await delivery.close();
});

Deno.test("closing ends idle connections with QUIT and leaves no timer", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery, clock } = setUp(queueConfig([relay(peer.port)]));
  await Promise.all([deliver(jobFor(TO)), deliver(jobFor(TO))]);
  await delivery.close();
  assert.deepEqual(peer.connections.map(({ lines }) => lines.at(-1)), ["QUIT", "QUIT"]);
  assert.equal(clock.pending, 0);
});

Deno.test("a peer that does not answer QUIT is not waited for", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "QUIT" ? "silent" : undefined });
  const { deliver, delivery, clock } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  const closing = delivery.close();
  await peer.silence;
  await clock.advance(2_000);
  await closing;
});

Deno.test("a kept connection that the peer has ended is not used again", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  peer.connections[0]?.destroy();
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.equal(peer.connections.length, 2);
  await delivery.close();
});

Deno.test("a kept connection that dies under the next message is replaced by a fresh one, once", async () => {
  let dying = true;
  await using peer = await startFakePeer({
    on: ({ verb, count, connection }) =>
      dying && verb === "MAIL" && (count === 2 || connection.number > 1) ? { then: "close" } : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  // The fresh connection dies as well: that is the peer's answer.
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["deferred connection 0 4.4.2"]);
  assert.equal(peer.connections.length, 2);
  dying = false;
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.equal(peer.messages.length, 2);
  await delivery.close();
});

Deno.test("421 to the next message on a kept connection leads to a fresh one", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, count }) => verb === "MAIL" && count === 2 ? "421 4.3.2 enough for today" : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.deepEqual(peer.messages.map((message) => message.connection), [1, 2]);
  await delivery.close();
});

Deno.test("a connection lost after the message was sent is no reason to send it again at once", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, count }) => verb === "content" && count === 2 ? { then: "close" } : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["deferred connection 0 4.4.2"]);
  assert.equal(peer.connections.length, 1);
  await delivery.close();
});

Deno.test("a peer that answers more than it was asked is not asked again", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, connection: { number } }) =>
      verb === "content" && number === 1 ? { say: "250 2.0.0 queued\r\n250 2.0.0 and the next one too" } : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.deepEqual(peer.messages.map((message) => message.connection), [1, 2]);
  await delivery.close();
});

Deno.test("a session in use while delivery closes is ended when it is done", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery, clock } = setUp(queueConfig([relay(peer.port)]));
  const outcomes = deliver(jobFor(TO));
  await delivery.close();
  assert.deepEqual((await outcomes).map(inShort), ["delivered"]);
  await until(() => peer.connections[0]?.lines.at(-1) === "QUIT");
  await delivery.close();
  assert.equal(clock.pending, 0);
});

Deno.test("an open transaction is ended by RSET in the write that begins the next", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, count }) => verb === "RCPT" && count === 1 ? "550 5.1.1 no" : undefined,
  });
  const { deliver, delivery, writes } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  await deliver(jobFor(TO));
  assert.equal(
    writes[2],
    `RSET\r\nMAIL FROM:<a@sender.example> SIZE=${MESSAGE.length}\r\nRCPT TO:<b@rcpt.example>\r\nDATA\r\n`,
  );
  await delivery.close();
});

for (const extensions of [["PIPELINING"], ["PIPELINING", "CHUNKING"], []]) {
  Deno.test(`a peer that does not know RSET (${extensions.join(" ")}) gets the next message over a fresh connection`, async () => {
    await using peer = await startFakePeer({
      extensions,
      on: ({ verb, connection: { number } }) =>
        verb === "RSET" ? "502 5.5.1 what" : verb === "RCPT" && number === 1 ? "550 5.1.1 no" : undefined,
    });
    const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
    assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["failed unexpected-reply 550 5.1.1"]);
    assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
    assert.deepEqual(peer.messages.map((message) => message.connection), [2]);
    await delivery.close();
  });
}

Deno.test("a connection that was in use when another configuration came is not used again", async () => {
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const content = {
    size: MESSAGE.length,
    head: new Uint8Array(0),
    complete: false,
    chunks: async function* () {
      arrived.resolve();
      await held.promise;
      yield new TextEncoder().encode(MESSAGE);
    },
  };
  const first = deliver(jobFor(TO, { message: { content } }));
  await arrived.promise;
  delivery.reconfigure(queueConfig([relay(peer.port)]));
  held.resolve();
  assert.deepEqual((await first).map(inShort), ["delivered"]);
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.deepEqual(peer.messages.map((message) => message.connection), [1, 2]);
  await until(() => peer.connections[0]?.lines.at(-1) === "QUIT");
  await delivery.close();
});

Deno.test("another EHLO name is another connection", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  delivery.reconfigure(
    queueConfig([relay(peer.port)], { connections: [{ ...connection, ehloHostname: "other.sender.example" }] }),
  );
  await deliver(jobFor(TO));
  assert.deepEqual(peer.connections.map(({ lines }) => lines[0]), [
    "EHLO mx.sender.example",
    "EHLO other.sender.example",
  ]);
  await delivery.close();
});

Deno.test("a relay that cannot be reached is a deferral that names it", async () => {
  const { deliver, delivery } = setUp(queueConfig([relay(1, { address: "relay.localhost" })]), {
    connect: () => Promise.reject(new Error("127.0.0.1 port 1 refused the connection")),
    resolver: {
      ...(await import("../../support/zone.ts")).createZone({ "relay.localhost": { a: ["127.0.0.1"] } }),
    },
  });
  const [outcome] = await deliver(jobFor(TO));
  assert.equal(inShort(outcome), "deferred connection 0 4.4.1");
  assert.match(textOf(outcome), /^relay\.localhost/);
  await delivery.close();
});

Deno.test("of idle connections as many are kept as there may be, none if so", async () => {
  for (const most of [0, 2]) {
    await using peer = await startFakePeer();
    const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]), { pool: { maxConnections: most } });
    await Promise.all(Array.from({ length: 4 }, () => deliver(jobFor(TO))));
    await until(() => peer.connections.filter(({ lines }) => lines.at(-1) === "QUIT").length === 4 - most);
    await Promise.all(Array.from({ length: 4 }, () => deliver(jobFor(TO))));
    assert.equal(peer.connections.length, 8 - most);
    await delivery.close();
  }
});

Deno.test("each connection is used as the definition says that was chosen for it", async () => {
  await using peer = await startFakePeer();
  const once = {
    ...connection,
    id: "once",
    ehloHostname: "once.example",
    pool: { ...connection.pool, maxMessages: 1 },
  };
  const brief = {
    ...connection,
    id: "brief",
    ehloHostname: "brief.example",
    pool: { ...connection.pool, maxIdle: 1000 },
  };
  const config = queueConfig([relay(peer.port)], {
    connections: [connection, once, brief],
    strategy: {
      connection: computed("queue.strategy.connection", ({ variables }) => String(variables.rcpt).split("@")[0] ?? ""),
    },
  });
  const { deliver, delivery, clock } = setUp(config);
  for (const name of ["default", "once", "brief", "default", "once", "brief"]) {
    await deliver(jobFor([`${name}@x.example`]));
  }
  assert.deepEqual(peer.messages.map((message) => message.connection), [1, 2, 3, 1, 4, 3]);
  await clock.advance(3000);
  await until(() => peer.connections[2]?.lines.at(-1) === "QUIT");
  await deliver(jobFor(["default@x.example"]));
  assert.equal(peer.messages.at(-1)?.connection, 1, "ten seconds are not over");
  await delivery.close();
});

Deno.test("what a host offers is known as long as its connection is kept: what does not suit it costs no command", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING", "SIZE 1000"] });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
  const said = peer.connections[0]?.lines.length;
  const content = contentOf(`Subject: x\r\n\r\n${"x".repeat(1000)}\r\n`);
  assert.deepEqual((await deliver(jobFor(TO, { message: { content } }))).map(inShort), [
    "failed unexpected-reply 0 5.3.4",
  ]);
  assert.deepEqual((await deliver(jobFor(["b@é.example"]))).map(inShort), ["delivered"]);
  assert.deepEqual((await deliver(jobFor(["é@rcpt.example"]))).map(inShort), ["failed unexpected-reply 0 5.6.7"]);
  assert.equal(peer.connections.length, 1);
  assert.equal(peer.connections[0]?.lines.length, (said ?? 0) + 3, "MAIL, RCPT and DATA of the one that suits");
  await delivery.close();
});
