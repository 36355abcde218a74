import assert from "node:assert/strict";
import { createProgramRunner, type ProgramOptions } from "../../../../src/filter/sieve/program.ts";
import { systemClock } from "../../../../src/clock/mod.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

function runner(options: Partial<ProgramOptions> = {}) {
  const troubles: string[] = [];
  const run = createProgramRunner({
    allow: undefined,
    timeout: 10_000,
    clock: systemClock,
    trouble: (program, reason) => void troubles.push(`${program}: ${reason}`),
    ...options,
  });
  return { run, troubles };
}

Deno.test("a program is true if it ends with status 0, and gets its arguments as they are", async () => {
  const { run, troubles } = runner();
  assert.equal(await run("/bin/true", []), true);
  assert.equal(await run("/bin/false", []), false);
  assert.equal(await run("/usr/bin/test", ["$(id) `x`; *", "=", "$(id) `x`; *"]), true);
  assert.deepEqual(troubles, []);
});

Deno.test("a program sees nothing of the environment of the server", async () => {
  Deno.env.set("GODWIT_TEST_SECRET", "x");
  try {
    assert.equal(await runner().run("/bin/sh", ["-c", 'test -z "$GODWIT_TEST_SECRET" && test "$PWD" = /']), true);
  } finally {
    Deno.env.delete("GODWIT_TEST_SECRET");
  }
});

Deno.test("what cannot be run is false, with the reason in the log", async () => {
  const { run, troubles } = runner({ allow: ["/bin/true", "/nowhere/program"] });
  assert.equal(await run("true", []), false);
  assert.equal(await run("/bin/false", []), false);
  assert.equal(await run("/bin/true", ["a\0b"]), false);
  assert.equal(await run("/nowhere/program", []), false);
  assert.equal(await run("/bin/true", []), true);
  assert.deepEqual(troubles.slice(0, 3), [
    "true: the path of a program must be absolute",
    "/bin/false: the program is not in sieve.trusted.exec.allow",
    "/bin/true: an argument holds a NUL character",
  ]);
  assert.match(troubles[3] ?? "", /^\/nowhere\/program: /);
});

Deno.test("a program that takes too long is killed, and those that wait for a place give up at their time", async () => {
  const clock = new FakeClock();
  const { run, troubles } = runner({ clock, timeout: 5000 });
  const first = Array.from({ length: 8 }, () => run("/bin/sleep", ["1000"]));
  await clock.advance(1000);
  const late = run("/bin/sleep", ["1000"]);
  await clock.advance(4000);
  assert.deepEqual(await Promise.all(first), Array(8).fill(false));
  await clock.advance(1000);
  assert.equal(await late, false);
  assert.equal(troubles.filter((text) => text.includes("longer than 5000 milliseconds")).length, 9);
  assert.equal(await run("/bin/true", []), true);
});
