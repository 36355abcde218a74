import assert from "node:assert/strict";
import { formatDialogueLine } from "../../../src/smtp/mod.ts";
import type { Outcome } from "../../../src/queue/types.ts";
import type { WireLine } from "../../../src/telemetry/mod.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { jobFor, MESSAGE, queueConfig, relay, setUp, untilQuiet } from "./setting.ts";

const TO = ["b@rcpt.example"];

/** What was said, without times. */
function said(outcome: Outcome | undefined): string[] {
  assert.ok(outcome !== undefined && outcome.kind !== "delivered");
  return (outcome.detail.dialogue ?? []).map((line) => formatDialogueLine(line).slice(8));
}

const HELLO = [
  "S: 220 peer.example ready",
  "C: EHLO mx.sender.example",
  "S: 250-peer.example",
  "S: 250-PIPELINING",
  "S: 250-8BITMIME",
  "S: 250-ENHANCEDSTATUSCODES",
  "S: 250 SIZE",
];
const MAIL = `C: MAIL FROM:<a@sender.example> SIZE=${MESSAGE.length}`;

Deno.test("a refused message shows each command with its reply, and no content", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "content" ? "554 5.6.0 spam" : undefined });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const [outcome] = await deliver(jobFor(TO));
  assert.deepEqual(said(outcome), [
    ...HELLO,
    MAIL,
    "S: 250 2.1.0 sender ok",
    "C: RCPT TO:<b@rcpt.example>",
    "S: 250 2.1.5 recipient ok",
    "C: DATA",
    "S: 354 go on",
    `C: (${MESSAGE.length} octets of content)`,
    "S: 554 5.6.0 spam",
  ]);
  await delivery.close();
});

Deno.test("a refused recipient sees its own command, not those of all others", async () => {
  await using peer = await startFakePeer({
    on: ({ line }) => line.includes("<r7@") ? "550 5.1.1 no such user" : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const to = Array.from({ length: 10 }, (_, index) => `r${index}@rcpt.example`);
  const outcomes = await deliver(jobFor(to));
  assert.deepEqual(said(outcomes[7]), [
    ...HELLO,
    MAIL,
    "S: 250 2.1.0 sender ok",
    "C: RCPT TO:<r0@rcpt.example>",
    "S: 250 2.1.5 recipient ok",
    "C: RCPT TO:<r1@rcpt.example>",
    "S: 250 2.1.5 recipient ok",
    "-- 5 more recipients",
    "C: RCPT TO:<r7@rcpt.example>",
    "S: 550 5.1.1 no such user",
    "-- 2 more recipients",
    "C: DATA",
  ]);
  await delivery.close();
});

Deno.test("a connection that is used again shows the transaction that failed", async () => {
  let refuse = false;
  await using peer = await startFakePeer({
    on: ({ verb }) => verb === "MAIL" && refuse ? "451 4.7.1 greylisted" : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  await deliver(jobFor(TO));
  refuse = true;
  const [outcome] = await deliver(jobFor(TO));
  assert.equal(peer.connections.length, 1);
  assert.deepEqual(said(outcome), [
    "-- on a connection that was used before",
    MAIL,
    "S: 451 4.7.1 greylisted",
    "C: RCPT TO:<b@rcpt.example>",
    "C: DATA",
  ]);
  await delivery.close();
});

Deno.test("a peer that hangs up without a word is said to have done so", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "RCPT" ? { then: "close" } : undefined });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const [outcome] = await deliver(jobFor(TO));
  const lines = said(outcome);
  assert.deepEqual(lines.slice(HELLO.length), [
    MAIL,
    "S: 250 2.1.0 sender ok",
    "C: RCPT TO:<b@rcpt.example>",
    "C: DATA",
    "-- connection closed by the other side",
  ]);
  await delivery.close();
});

Deno.test("times count from the beginning of the connection", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "MAIL" ? "silent" : undefined });
  const setup = setUp(queueConfig([relay(peer.port)]));
  const { deliver, delivery, clock } = setup;
  const delivering = deliver(jobFor(TO));
  await untilQuiet(peer, setup);
  await clock.advance(180_000);
  const [outcome] = await delivering;
  assert.ok(outcome?.kind === "deferred");
  const last = outcome.detail.dialogue?.at(-1);
  assert.deepEqual(last, { at: 180_000, from: "note", text: "no answer within 180 s" });
  await delivery.close();
});

for (const extensions of ["AUTH PLAIN", "AUTH LOGIN", "AUTH CRAM-MD5", "AUTH SCRAM-SHA-256", "AUTH XOAUTH2"]) {
  Deno.test(`nothing of an exchange is kept, ${extensions}`, async () => {
    let challenges = 0;
    await using peer = await startFakePeer({
      extensions: [extensions],
      on: ({ verb, line }) => {
        if (verb === "AUTH" && line !== "AUTH LOGIN" && line !== "AUTH CRAM-MD5") return "535 5.7.8 clerk is unknown";
        if (verb === "AUTH") return "334 VXNlcm5hbWU6";
        // What follows a challenge comes as a line of its own.
        if (!/^(?:EHLO|MAIL|RCPT|DATA|QUIT|greeting|content)$/.test(verb)) {
          return ++challenges === 1 && extensions.endsWith("LOGIN") ? "334 UGFzc3dvcmQ6" : "535 5.7.8 clerk is unknown";
        }
        return undefined;
      },
    });
    const route = relay(peer.port, { auth: { username: "clerk", secret: "open sesame" } });
    const { deliver, delivery } = setUp(queueConfig([route]));
    const [outcome] = await deliver(jobFor(TO));
    const lines = said(outcome);
    const auth = lines.slice(lines.indexOf("C: AUTH ***"));
    assert.ok(
      auth.every((line) => /^(?:C: (?:AUTH )?\*\*\*|S: 334 \*\*\*|S: 535 5\.7\.8 \*\*\*)$/.test(line)),
      lines.join("\n"),
    );
    assert.equal(auth.at(-1), "S: 535 5.7.8 ***");
    await delivery.close();
  });
}

Deno.test("a peer that cannot take the message is shown by what it offers", async () => {
  await using peer = await startFakePeer({ extensions: ["SIZE 10"] });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const [outcome] = await deliver(jobFor(TO));
  assert.deepEqual(said(outcome).slice(-2), ["S: 250-peer.example", "S: 250 SIZE 10"]);
  await delivery.close();
});

Deno.test("endless replies and thousands of recipients leave a dialogue of a few kilobytes", async () => {
  const babble = Array.from({ length: 120 }, () => "x".repeat(400)).join("\n250-").replace(
    /\n250-(?=[^\n]*$)/,
    "\n250 ",
  );
  await using peer = await startFakePeer({
    on: ({ verb }) =>
      verb === "RCPT"
        ? "250 " + "y".repeat(3000)
        : verb === "content"
        ? "451 4.3.0 later " + "z".repeat(3000)
        : undefined,
    extensions: () => babble.split("\n250-").slice(0, 100),
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  const to = Array.from({ length: 300 }, (_, index) => `r${index}@rcpt.example`);
  const outcomes = await deliver(jobFor(to));
  const size = said(outcomes[0]).join("\n").length;
  assert.ok(size > 500 && size < 2500, `${size} characters`);
  assert.match(said(outcomes[0]).at(-1) ?? "", /^S: 451 4\.3\.0 later z+\.\.\.$/);
  await delivery.close();
});

Deno.test("who listens hears of a host that cannot be reached", async () => {
  const heard: WireLine[] = [];
  const port = closedPort();
  const { deliver, delivery } = setUp(queueConfig([relay(port)]), { wire: { tap: (line) => heard.push(line) } });
  await deliver(jobFor(TO));
  assert.equal(heard.length, 1);
  const [{ direction, peer, from, text, end } = assert.fail()] = heard;
  assert.deepEqual({ direction, peer, from, end }, { direction: "out", peer: "127.0.0.1", from: "note", end: true });
  assert.match(text[0] ?? "", /^no connection: .*refused/i);
  await delivery.close();
});

Deno.test("who listens hears a whole session, and that it ended", async () => {
  const heard: WireLine[] = [];
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]), { wire: { tap: (line) => heard.push(line) } });
  await deliver(jobFor(TO));
  await delivery.close();
  assert.equal(new Set(heard.map(({ session }) => session)).size, 1);
  assert.deepEqual(heard.map(({ from, text }) => `${from} ${text.at(-1)}`), [
    "note connected to 127.0.0.1[127.0.0.1]",
    "server 220 peer.example ready",
    "client EHLO mx.sender.example",
    "server 250 SIZE",
    `client MAIL FROM:<a@sender.example> SIZE=${MESSAGE.length}`,
    "client RCPT TO:<b@rcpt.example>",
    "client DATA",
    "server 250 2.1.0 sender ok",
    "server 250 2.1.5 recipient ok",
    "server 354 go on",
    `client (${MESSAGE.length} octets of content)`,
    "server 250 2.0.0 queued",
    "client QUIT",
    "server 221 2.0.0 bye",
    "note connection closed",
  ]);
  assert.deepEqual(heard.map(({ end }) => end === true), heard.map((_, index) => index === heard.length - 1));
});

/** A port of the loopback address where nobody listens. */
function closedPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}
