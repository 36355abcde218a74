import assert from "node:assert/strict";
import fc from "fast-check";
import { runs as fuzzRuns } from "../../../support/fuzz_runs.ts";
import { octets } from "../../../support/bytes.ts";
import { type MilterAnswer, milterPacket, startFakeMilter } from "../../../support/fake_milter.ts";
import { ALL, deliver, text, transaction, type World, world } from "./world.ts";

/** The commands that are answered, and the stage that each belongs to. */
const COMMANDS = [
  ["O", "connect"],
  ["C", "connect"],
  ["H", "ehlo"],
  ["M", "mail"],
  ["R", "rcpt"],
  ["T", "data"],
  ["L", "data"],
  ["N", "data"],
  ["B", "data"],
  ["E", "data"],
] as const;

/** Asks stage after stage, as a session does; the codes of refusals by stage. */
async function codes({ run }: Pick<World, "run">): Promise<Readonly<Record<string, number>>> {
  const given = transaction();
  const { sender, parameters, recipients } = given;
  const found: Record<string, number> = {};
  for (const stage of ALL) {
    const asked = stage === "data"
      ? given
      : stage === "rcpt"
      ? { sender, parameters, recipients: [], recipient: recipients[0]! }
      : stage === "mail"
      ? { sender, parameters, recipients: [] }
      : undefined;
    const { verdict } = await run.judge(stage, asked);
    if (verdict.kind === "reply") found[stage] = verdict.reply.code;
  }
  return found;
}

const FAULTS: readonly (readonly [string, MilterAnswer, RegExp])[] = [
  ["closes", "close", /^milter\.disconnected$/],
  ["answers an unknown command", [milterPacket("?")], /^milter\.frame-invalid$/],
  ["answers nonsense", [octets("HTTP/1.1 400 Bad Request\r\n\r\n")], /^milter\.frame-too-large$/],
  ["answers an empty packet", [Uint8Array.of(0, 0, 0, 0)], /^milter\.frame-invalid$/],
  ["answers a reply that is none", [milterPacket("y", "hello")], /^milter\.frame-invalid$/],
  ["answers continue with data", [milterPacket("c", "x")], /^milter\.frame-invalid$/],
];

for (const [what, answer, event] of FAULTS) {
  for (const [at, stage] of COMMANDS) {
    Deno.test(`a filter that ${what} at ${at} puts the client off at ${stage}, and works again when it has come to itself`, async () => {
      let broken = true;
      await using milter = await startFakeMilter({
        on: ({ command }) => command === at && broken ? answer : undefined,
      });
      const it = world(milter);
      const found = await codes(it);
      assert.equal(found[stage], stage === "connect" ? 421 : 451);
      assert.match(it.names()[0] ?? "", event);
      assert.equal(it.events[0]?.fields["filter"], "m");
      it.run.close();
      broken = false;
      assert.deepEqual(await codes({ run: it.open() }), {});
    });
  }
}

for (const [at, stage] of COMMANDS) {
  Deno.test(`a filter that stalls at ${at} costs its timeout`, async () => {
    await using milter = await startFakeMilter({ on: ({ command }) => command === at ? "silent" : undefined });
    const it = world(milter);
    const judged = deliverUntil(it, stage);
    await milter.silence;
    await it.clock.advance(60_000);
    assert.equal(await judged, stage === "connect" ? 421 : 451);
    assert.deepEqual(it.names(), ["milter.timeout"]);
    it.run.close();
  });

  Deno.test(`where errors of a filter are passed over, one that closes at ${at} changes nothing`, async () => {
    await using milter = await startFakeMilter({ on: ({ command }) => command === at ? "close" : undefined });
    const it = world(milter, { tempfailOnError: false });
    const outcome = await deliver(it);
    assert.equal(outcome.verdict.kind, "accept");
    assert.equal(text(outcome.transaction), text(transaction()));
    assert.match(it.names().join(), /milter\.disconnected/);
  });
}

/** Asks all stages up to one; the code of its refusal. */
async function deliverUntil({ run }: World, last: string): Promise<number | undefined> {
  const given = transaction();
  const { sender, parameters, recipients } = given;
  for (const stage of ALL) {
    const asked = stage === "data" ? given : { sender, parameters, recipients: [] };
    const more = stage === "rcpt" ? { recipient: recipients[0]! } : {};
    const { verdict } = await run.judge(
      stage,
      stage === "connect" || stage === "ehlo" ? undefined : { ...asked, ...more },
    );
    if (stage === last) return verdict.kind === "reply" ? verdict.reply.code : undefined;
  }
  return undefined;
}

Deno.test("an absent filter is told at once", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const it = world({ port });
  assert.equal((await codes(it))["connect"], 421);
  assert.equal(it.names()[0], "milter.io-error");
  assert.match(String(it.events[0]?.fields["reason"]), new RegExp(`127\\.0\\.0\\.1:${port} refused`));
});

Deno.test("a filter that cannot be agreed with", async () => {
  for (
    const [answer, reason] of [
      [milterPacket("O", 7, 0xff, 0), /version 7/],
      [milterPacket("O", 1, 0xff, 0), /version 1/],
      [milterPacket("O", 6, 0xff0000ff, 0), /actions 0xff000000/],
      [milterPacket("O", 6), /4 octets/],
      [milterPacket("c"), /0x63/],
    ] as const
  ) {
    await using milter = await startFakeMilter({ on: ({ command }) => command === "O" ? [answer] : undefined });
    const it = world(milter);
    assert.equal((await codes(it))["connect"], 421);
    assert.match(String(it.events[0]?.fields["reason"]), reason);
  }
});

Deno.test("an answer of 60 MB is cut off at the limit, in one packet or in many", async () => {
  const piece = milterPacket("b", new Uint8Array(65_000));
  for (
    const pieces of [[Uint8Array.of(0x03, 0x93, 0x87, 0x00, 0x62), new Uint8Array(1_000_000)], Array(1000).fill(piece)]
  ) {
    await using milter = await startFakeMilter({ on: ({ command }) => command === "E" ? pieces : undefined });
    const it = world(milter, { maxResponseSize: 50 * 1024 * 1024 });
    assert.equal((await codes(it))["data"], 451);
    assert.deepEqual(it.names(), ["milter.frame-too-large"]);
  }
});

Deno.test("a filter that asks for more time without end is given up", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "E" ? Array(101).fill(milterPacket("p")) : undefined,
  });
  const it = world(milter);
  assert.equal((await codes(it))["data"], 451);
  assert.deepEqual(it.names(), ["milter.timeout"]);
});

Deno.test("an index that is negative, or missing, is nonsense", async () => {
  for (const packet of [milterPacket("m", -1, "X", "v"), milterPacket("i", -1, "X", "v"), milterPacket("m")]) {
    await using milter = await startFakeMilter({
      on: ({ command }) => command === "E" ? [packet, milterPacket("c")] : undefined,
    });
    const it = world(milter);
    assert.equal((await codes(it))["data"], 451);
    assert.deepEqual(it.names(), ["milter.frame-invalid"]);
  }
});

Deno.test("a change before the end of the message is out of turn", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "M" ? [milterPacket("h", "X", "y"), milterPacket("c")] : undefined,
  });
  const it = world(milter);
  assert.equal((await codes(it))["mail"], 451);
  assert.equal(it.names()[0], "milter.unexpected-response");
});

Deno.test("a kept connection that the filter has closed meanwhile is noticed, and costs nothing", async () => {
  await using milter = await startFakeMilter({ on: ({ command }) => command === "K" ? "close" : undefined });
  const it = world(milter);
  await deliver(it);
  it.run.close();
  await milter.hears("K");
  assert.deepEqual(await codes({ run: it.open() }), {});
  assert.deepEqual(it.events, []);
  assert.equal(milter.connections, 2);
});

Deno.test("a filter that was started anew in the middle of a session is told everything again", async () => {
  let restarted = false;
  await using milter = await startFakeMilter({
    on: ({ command }) => {
      if (command !== "R" || restarted) return undefined;
      restarted = true;
      return "close";
    },
  });
  const it = world(milter);
  assert.deepEqual(await codes(it), {});
  assert.deepEqual(it.events, []);
  assert.equal(milter.commands(1), "OCHMR");
  assert.equal(milter.commands(2), "OCHMRTLLNBE");
});

Deno.test("a session that waits for its client lends its connection, and tells everything again later", async () => {
  await using milter = await startFakeMilter();
  const it = world(milter);
  const runs = Array.from({ length: 201 }, () => it.open());
  for (const run of runs) await run.judge("connect");
  assert.equal(milter.heard.filter(({ command }) => command === "C").length, 201);
  assert.ok(milter.open <= 201);
  const [first] = runs;
  const outcome = await deliver({ run: first! });
  assert.equal(outcome.verdict.kind, "accept");
  assert.equal(milter.heard.filter(({ command }) => command === "C").length, 202);
  for (const run of runs) run.close();
});

Deno.test("two hundred connections in use are enough; who waits too long is put off", async () => {
  await using milter = await startFakeMilter();
  const it = world(milter);
  const runs = Array.from({ length: 200 }, () => it.open());
  const { sender, parameters } = transaction();
  for (const run of runs) await run.judge("mail", { sender, parameters, recipients: [] });
  const waiting = it.open().judge("connect");
  await it.clock.advance(30_000);
  const { verdict } = await waiting;
  assert.equal(verdict.kind === "reply" && verdict.reply.code, 421);
  assert.match(String(it.events[0]?.fields["reason"]), /all 200 connections/);
  for (const run of runs) run.close();
});

Deno.test("whatever octets a filter answers with, the session gets an answer", async () => {
  const letters = fc.constantFrom(..."+2-4abcdefhilmpqrsty?");
  const packet = fc.tuple(letters, fc.uint8Array({ maxLength: 20 })).map(([letter, data]) =>
    milterPacket(letter, data)
  );
  const answer = fc.array(fc.oneof({ weight: 5, arbitrary: packet }, fc.uint8Array({ maxLength: 12 })), {
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...COMMANDS), answer, async ([at], packets) => {
      await using milter = await startFakeMilter({
        on: ({ command }) => command === at ? [...packets, "end"] : undefined,
      });
      const it = world(milter, { maxResponseSize: 1000 });
      await codes(it);
      it.run.close();
    }),
    { numRuns: fuzzRuns(60) },
  );
});
