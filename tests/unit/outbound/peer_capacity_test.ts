import assert from "node:assert/strict";
import { createPeerCapacity } from "../../../src/outbound/peer_capacity.ts";
import { createWaitingRoom } from "../../../src/outbound/waiting_room.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { inShort, jobFor, queueConfig, relay, setUp, textOf } from "./setting.ts";

const TO = ["b@rcpt.example"];

Deno.test("a peer that says 421 while another connection is open gets the message over that one", async () => {
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  await using peer = await startFakePeer({
    on: ({ verb, connection }) => verb === "greeting" && connection.number > 1 ? "421 4.7.0 too many" : undefined,
  });
  const { deliver, delivery, events } = setUp(queueConfig([relay(peer.port)]));
  // Content that ends when the test says so keeps the only connection busy.
  const content = {
    size: 10,
    head: new Uint8Array(0),
    complete: false,
    chunks: async function* () {
      arrived.resolve();
      await held.promise;
      yield new TextEncoder().encode("X: y\r\n\r\nx\r");
    },
  };
  const first = deliver(jobFor(TO, { message: { content } }));
  await arrived.promise;
  const second = deliver(jobFor(TO));
  while (!events.some(({ name }) => name === "delivery.concurrency-limit-exceeded")) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  held.resolve();
  assert.equal((await first)[0]?.kind, "delivered");
  assert.equal((await second)[0]?.kind, "delivered");
  assert.deepEqual(peer.messages.map(({ connection }) => connection), [1, 1]);
  assert.equal(peer.connections.length, 2);
  await delivery.close();
});

Deno.test("who has waited too long for a connection is sent back without an attempt", async () => {
  const arrived = Promise.withResolvers<void>();
  await using peer = await startFakePeer({
    on: ({ verb, connection }) => verb === "greeting" && connection.number > 1 ? "421 4.7.0 too many" : undefined,
  });
  const { deliver, delivery, clock, events } = setUp(queueConfig([relay(peer.port)]));
  const stop = new AbortController();
  const content = {
    size: 10,
    head: new Uint8Array(0),
    complete: false,
    chunks: async function* () {
      arrived.resolve();
      await new Promise(() => {});
      yield new Uint8Array(0);
    },
  };
  const first = deliver(jobFor(TO, { message: { content } }), stop.signal);
  await arrived.promise;
  const second = deliver(jobFor(TO));
  while (!events.some(({ name }) => name === "delivery.concurrency-limit-exceeded")) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await clock.advance(5000);
  const [outcome] = await second;
  assert.equal(inShort(outcome), "deferred concurrency 0 4.4.5");
  assert.ok(outcome?.kind === "deferred" && (outcome.waits?.turn() ?? 0) >= 1000);
  assert.match(textOf(outcome), /takes no more than 1 connection from here at the same time/);
  stop.abort();
  await first;
  await delivery.close();
});

Deno.test("421 from a peer with no connection open is a failed attempt like any other", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "greeting" ? "421 4.3.2 closing" : undefined });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const [outcome] = await deliver(jobFor(TO));
  assert.equal(inShort(outcome), "deferred unexpected-reply 421 4.3.2");
  assert.ok(outcome?.kind === "deferred" && outcome.waits === undefined && outcome.retryAfter === undefined);
  await delivery.close();
});

Deno.test("a limit that was learned grows by one each minute", async () => {
  const clock = new FakeClock();
  const freed: string[] = [];
  const capacity = createPeerCapacity(clock, (peer) => freed.push(peer));
  const places = [1, 2, 3].map(() => capacity.take("p"));
  places[0]?.established();
  places[1]?.established();
  assert.equal(capacity.refused("p"), true);
  places[2]?.free();
  assert.equal(capacity.limitOf("p"), 2);
  assert.equal(capacity.hasRoom("p"), false);
  await clock.advance(60_000);
  assert.equal(capacity.hasRoom("p"), true);
  const probe = capacity.take("p");
  assert.equal(capacity.hasRoom("p"), false);
  assert.equal(capacity.refused("p"), true);
  probe.free();
  assert.equal(capacity.limitOf("p"), 2);
  places[0]?.free();
  places[0]?.free();
  assert.deepEqual(freed, ["p", "p", "p"]);
  assert.equal(capacity.hasRoom("p"), true);
});

Deno.test("those who wait go on in turn; for more there is no room, and nobody waits for ever", async () => {
  const clock = new FakeClock();
  const room = createWaitingRoom(clock);
  const { signal } = new AbortController();
  const until = clock.now() + 5000;
  const ended: string[] = [];
  const wait = (name: string) =>
    room.wait("k", { most: 2, until, signal }).then((woken) => ended.push(`${name} ${woken}`));
  wait("a");
  wait("b");
  wait("c");
  await settle();
  assert.deepEqual(ended, ["c false"]);
  room.wake("k");
  await settle();
  assert.deepEqual(ended, ["c false", "a true"]);
  await clock.advance(5000);
  assert.deepEqual(ended, ["c false", "a true", "b false"]);
  assert.equal(room.occupied, false);
});

Deno.test("those who are sent away come back one after the other, about as fast as places come free", async () => {
  const clock = new FakeClock();
  const room = createWaitingRoom(clock);
  assert.deepEqual([1, 2, 3].map(() => room.turn("k", 1000, 2000)), [2000, 2500, 3000]);
  assert.equal(room.turn("other", 1000, 2000), 2000);
  await clock.advance(60_000);
  assert.equal(room.turn("k", 1000, 2000), 2000);
  for (let i = 0; i < 10_000; i++) room.turn("k", 1000, 2000);
  assert.equal(room.turn("k", 1000, 2000), 602_000, "never for longer than ten minutes more");
});

Deno.test("a peer that takes two of a burst of connections gets the rest over those, without a failed attempt", async () => {
  // Those that come first are refused first: nothing is established then.
  await using peer = await startFakePeer({
    on: ({ verb, connection }) => verb === "greeting" && connection.number <= 10 ? "421 4.7.0 too many" : undefined,
  });
  const { deliver, delivery, clock } = setUp(queueConfig([relay(peer.port)]));
  const outcomes = Promise.all(Array.from({ length: 12 }, async () => {
    while (true) {
      const [outcome] = await deliver(jobFor(TO));
      if (outcome?.kind !== "deferred" || outcome.waits === undefined) return outcome;
      const { waits } = outcome;
      await new Promise<boolean>((resolve) =>
        waits.enter({ priority: 0, due: 0, message: { id: 1 } }, () => {
          resolve(true);
          return true;
        })
      );
    }
  }));
  let over = false;
  void outcomes.finally(() => over = true);
  for (let i = 0; !over && i < 5000; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (i % 20 === 19) await clock.advance(1000);
  }
  assert.deepEqual((await outcomes).map(inShort), Array(12).fill("delivered"));
  assert.equal(peer.messages.length, 12);
  await delivery.close();
});

Deno.test("memory has room for so many who wait for the same, and for none who know that it takes long", () => {
  const room = createWaitingRoom(new FakeClock());
  const gone: number[] = [];
  const enter = (id: number, priority = 0) =>
    room.sentAway("k", 1000, () => 2000).enter({ priority, due: id, message: { id } }, () => {
      gone.push(id);
      return true;
    });
  assert.equal(room.sentAway("k", 5001, () => 0).hasRoom, false);
  const leave = enter(1);
  for (let id = 2; id <= 500; id++) enter(id, id === 500 ? 1 : 0);
  assert.equal(room.sentAway("k", 1000, () => 0).hasRoom, false);
  assert.equal(room.sentAway("other", 1000, () => 0).hasRoom, true);
  leave();
  room.wake("k");
  room.wake("k");
  assert.deepEqual(gone, [500, 2], "the most urgent, and then the first that has not left");
  assert.equal(room.sentAway("k", 1000, () => 0).hasRoom, true);
  for (const key of ["l", "m", "n"]) {
    for (let id = 0; id < 500; id++) {
      room.sentAway(key, 1000, () => 0).enter({ priority: 0, due: 0, message: { id } }, () => true);
    }
  }
  for (let id = 0; id < 3; id++) enter(id);
  assert.equal(room.sentAway("o", 1000, () => 0).hasRoom, false, "two thousand wait in all");
  room.close();
});

Deno.test("who comes late to wait, after a long transaction for others, takes nobody's place in memory", async () => {
  const clock = new FakeClock();
  const room = createWaitingRoom(clock);
  const gone: string[] = [];
  const as = (id: number, name: string) =>
    [{ priority: 0, due: id, message: { id } }, () => gone.push(name) > 0] as const;
  // Its other recipients are at the peer for so long that nobody remembers who was sent away.
  const early = room.sentAway("k", 1000, () => 0);
  await clock.advance(6000);
  room.sentAway("k", 1000, () => 0).enter(...as(1, "later"));
  early.enter(...as(2, "early"));
  await settle();
  room.wake("k");
  room.wake("k");
  assert.deepEqual(gone, ["later", "early"]);
  room.close();
});
