import assert from "node:assert/strict";
import { createDialogueTrace, type TraceFilter, type TraceRecord, type WireLine } from "../../../src/telemetry/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** Lines of one inward session: text of the client, or of the server behind `S:`. */
function lines(session: string, texts: readonly string[], more: Partial<WireLine> = {}): WireLine[] {
  return texts.map((text) => ({
    direction: "in",
    session,
    peer: "192.0.2.1",
    host: "",
    listener: "smtp",
    from: text.startsWith("S:") ? "server" : "client",
    text: [text.replace(/^S:/, "")],
    ...more,
  }));
}

function setUp(filter: TraceFilter = {}) {
  const clock = new FakeClock();
  const trace = createDialogueTrace(clock);
  const follower = trace.follow(filter);
  assert.ok(follower);
  return {
    clock,
    trace,
    follower,
    say: (...said: readonly WireLine[]) => said.forEach((line) => trace.wire.tap?.(line)),
    heard: async () => (await follower.next(1000) ?? []).map(inShort),
  };
}

const inShort = (record: TraceRecord) =>
  record.kind === "lost" ? `lost ${record.count}` : `${record.session} ${record.text.join("|")}`;

Deno.test("sessions are asked to speak up only while somebody follows", () => {
  const trace = createDialogueTrace(new FakeClock());
  assert.equal(trace.wire.tap, undefined);
  const [first, second] = [trace.follow({}), trace.follow({})];
  assert.notEqual(trace.wire.tap, undefined);
  first?.close();
  assert.notEqual(trace.wire.tap, undefined);
  second?.close();
  assert.equal(trace.wire.tap, undefined);
});

Deno.test("a log hears everything beside those who follow, until it is taken away", () => {
  const { trace, follower, say } = setUp({ direction: "out" });
  const heard: string[] = [];
  trace.logTo(({ text }) => void heard.push(...text));
  say(...lines("a", ["EHLO x"]));
  follower.close();
  say(...lines("a", ["QUIT"]));
  assert.deepEqual(heard, ["EHLO x", "QUIT"]);
  trace.logTo(undefined);
  assert.equal(trace.wire.tap, undefined);
});

Deno.test("whoever follows everything hears everything, with times", async () => {
  const { clock, say, follower } = setUp();
  say(...lines("a", ["EHLO x"]));
  const [record] = await follower.next(1000) ?? [];
  assert.deepEqual(record, {
    kind: "said",
    time: clock.now(),
    direction: "in",
    session: "a",
    peer: "192.0.2.1",
    host: "",
    listener: "smtp",
    from: "client",
    text: ["EHLO x"],
  });
});

Deno.test("direction and network of the other side choose sessions", async () => {
  const { say, heard } = setUp({ direction: "out", peer: (ip) => ip.startsWith("198.51.100.") });
  say(
    ...lines("a", ["1"], { peer: "198.51.100.1" }),
    ...lines("b", ["2"], { direction: "out" }),
    ...lines("c", ["3"], { direction: "out", peer: "198.51.100.7" }),
  );
  assert.deepEqual(await heard(), ["c 3"]);
});

Deno.test("an address chooses transactions, which are told from the beginning of the session", async () => {
  const { say, heard } = setUp({ address: "Bob@Example.org" });
  say(
    ...lines("a", ["S:220 hi", "EHLO a", "MAIL FROM:<x@a>", "RCPT TO:<eve@example.org>", "S:250 ok"]),
    ...lines("b", ["EHLO b", "MAIL FROM:<>", "S:250 ok"]),
    ...lines("a", ["MAIL FROM:<y@a> SIZE=1", "RCPT TO:<eve@example.org>"]),
    ...lines("a", ["RCPT TO:<bob@example.ORG>", "S:250 ok", "DATA"]),
    ...lines("a", ["MAIL FROM:<z@a>", "RCPT TO:<eve@example.org>", "QUIT"]),
    ...lines("b", ["RCPT TO:<bob@example.org.example>"]),
  );
  assert.deepEqual(await heard(), [
    "a 220 hi",
    "a EHLO a",
    "a MAIL FROM:<y@a> SIZE=1",
    "a RCPT TO:<eve@example.org>",
    "a RCPT TO:<bob@example.ORG>",
    "a 250 ok",
    "a DATA",
  ]);
});

Deno.test("a domain matches senders and recipients in it, not in what ends alike", async () => {
  const { say, heard } = setUp({ domain: "example.org" });
  say(
    ...lines("a", ["MAIL FROM:<x@sub.example.org>", "RCPT TO:<x@notexample.org>"]),
    ...lines("b", ['MAIL FROM:<"a>b@c"@EXAMPLE.org>']),
  );
  assert.deepEqual(await heard(), ['b MAIL FROM:<"a>b@c"@EXAMPLE.org>']);
});

Deno.test("a slow reader loses lines and is told how many", async () => {
  const { say, heard } = setUp();
  say(...lines("a", Array.from({ length: 2345 }, (_, index) => `NOOP ${index}`)));
  const first = await heard();
  assert.equal(first.length, 2001);
  assert.equal(first.at(-2), "a NOOP 1999");
  assert.equal(first.at(-1), "lost 345");
  say(...lines("a", ["NOOP again"]));
  assert.deepEqual(await heard(), ["a NOOP again"]);
});

Deno.test("who waits is woken by a line, by time, and by the end", async () => {
  const { clock, trace, follower, say } = setUp();
  const line = follower.next(1000);
  say(...lines("a", ["NOOP"]));
  assert.equal((await line)?.length, 1);
  const nothing = follower.next(1000);
  await clock.advance(1000);
  assert.deepEqual(await nothing, []);
  const ended = follower.next(1000);
  trace.close();
  assert.equal(await ended, undefined);
  assert.equal(trace.follow({}), undefined);
  assert.equal(clock.pending, 0);
});

Deno.test("a ninth follower is turned away until one of the others leaves", () => {
  const trace = createDialogueTrace(new FakeClock());
  const followers = Array.from({ length: 8 }, () => trace.follow({}));
  assert.ok(followers.every((follower) => follower !== undefined));
  assert.equal(trace.follow({}), undefined);
  followers[3]?.close();
  assert.ok(trace.follow({}));
});
