import assert from "node:assert/strict";
import { greeted } from "../../../support/session.ts";
import { at, scripted } from "./scripted.ts";

Deno.test("a script that goes on and on makes only its own session wait", async () => {
  const loop = 'let "i" "0"; while "i < 1000000" { let "i" "i + 1"; }';
  const world = scripted(`sieve.trusted.limits.cpu = 100_000_000\n${at("mail", loop)}`);
  const busy = await greeted(world);
  const other = await greeted(world);
  let done = false;
  const mail = busy.say("MAIL FROM:<a@example.net>").then((reply) => {
    done = true;
    return reply;
  });
  let turns = 0;
  while (!done) {
    // What another session hears must not depend on the first one being done.
    await new Promise((resolve) => setTimeout(resolve));
    if (done) break;
    assert.match(await other.say("VRFY x"), /^25/);
    await other.say("RSET");
    turns++;
    if (turns === 3) break;
  }
  assert.equal(turns, 3);
  assert.match(await mail, /^250 /);
  assert.ok(!world.events.some(({ name }) => name === "sieve.runtime-error"));
});
