import assert from "node:assert/strict";
import { startFakePeer } from "../../support/fake_peer.ts";
import { connection, inShort, jobFor, queueConfig, relay, setUp, textOf, untilQuiet } from "./setting.ts";

const SECOND = 1000;

// No two are alike, so that none can stand in for another.
const timeout = {
  connect: 10 * SECOND,
  greeting: 11 * SECOND,
  ehlo: 12 * SECOND,
  mailFrom: 13 * SECOND,
  rcptTo: 14 * SECOND,
  data: 15 * SECOND,
};

// The step at which the peer falls silent, what it is called, and the timeout that ends the wait.
const STEPS: readonly (readonly [string, string, keyof typeof timeout])[] = [
  ["greeting", "greeting", "greeting"],
  ["EHLO", "EHLO", "ehlo"],
  ["STARTTLS", "STARTTLS", "ehlo"],
  ["MAIL", "MAIL FROM", "mailFrom"],
  ["RCPT", "RCPT TO", "rcptTo"],
  ["DATA", "DATA", "data"],
  ["content", "end of data", "data"],
];

for (const [how, extensions] of [["command by command", []], ["pipelined", ["PIPELINING"]]] as const) {
  for (const [verb, name, key] of STEPS) {
    Deno.test(`${how}: a peer that falls silent at ${verb} has ${timeout[key] / SECOND} s`, async () => {
      await using peer = await startFakePeer({
        extensions: verb === "STARTTLS" ? [...extensions, "STARTTLS"] : extensions,
        on: (command) => command.verb === verb ? "silent" : undefined,
      });
      const setup = setUp(queueConfig([relay(peer.port)], { connections: [{ ...connection, timeout }] }));
      const delivering = setup.deliver(jobFor(["b@rcpt.example"]));
      await untilQuiet(peer, setup);
      await setup.clock.advance(timeout[key]);
      const [outcome] = await delivering;
      assert.equal(inShort(outcome), "deferred connection 0 4.4.2", textOf(outcome));
      assert.ok(textOf(outcome).includes(`did not answer ${name} within ${timeout[key] / SECOND} s`), textOf(outcome));
      assert.ok(outcome?.kind === "deferred");
      const last = outcome.detail.dialogue?.at(-1);
      assert.deepEqual(last, { at: timeout[key], from: "note", text: `no answer within ${timeout[key] / SECOND} s` });
      await setup.delivery.close();
    });
  }
}
