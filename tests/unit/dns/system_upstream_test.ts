import assert from "node:assert/strict";
import { createSystemUpstream } from "../../../src/dns/system_upstream.ts";
import type { Response } from "../../../src/dns/wire.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** An upstream over a file that the test writes. */
function world(text: string) {
  const clock = new FakeClock();
  const opened: string[] = [];
  const closed: string[] = [];
  const asked: string[] = [];
  const file = { text };
  const upstream = createSystemUpstream({
    read: () => file.text,
    open(ips) {
      const name = ips.join(" ");
      opened.push(name);
      return {
        ask() {
          asked.push(name);
          return Promise.resolve({} as Response);
        },
        close: () => void closed.push(name),
      };
    },
    clock,
  });
  const ask = async () => {
    await upstream.ask({ name: "example.net", type: "A" });
    return asked.at(-1);
  };
  return { clock, file, opened, closed, upstream, ask };
}

Deno.test("servers that the machine gets later are asked within ten seconds, without a restart", async () => {
  const { clock, file, opened, closed, upstream, ask } = world("");
  assert.equal(await ask(), "127.0.0.1");
  file.text = "nameserver 192.0.2.53\nnameserver 2001:db8::53\n";
  await clock.advance(9_999);
  assert.equal(await ask(), "127.0.0.1");
  await clock.advance(1);
  assert.equal(await ask(), "192.0.2.53 2001:db8::53");
  // What is under way with the one before goes on.
  assert.deepEqual(closed, []);
  file.text = "nameserver 192.0.2.54\n";
  await clock.advance(10_000);
  assert.equal(await ask(), "192.0.2.54");
  assert.deepEqual(closed, ["127.0.0.1"]);
  upstream.close();
  assert.deepEqual(closed.toSorted(), opened.toSorted());
});

Deno.test("a file that is empty for a moment, or says the same, changes nothing", async () => {
  const { clock, file, opened, upstream, ask } = world("nameserver 192.0.2.53\n");
  for (const text of ["", "# to come\n", "search example.net\nnameserver 192.0.2.53\n"]) {
    file.text = text;
    await clock.advance(10_000);
    assert.equal(await ask(), "192.0.2.53");
  }
  assert.deepEqual(opened, ["192.0.2.53"]);
  upstream.close();
});
