/** What clients hear of a Python milter's decisions: the codes that they hear from Postfix. */

import assert from "node:assert/strict";
import {
  milterSettings,
  OBEDIENT,
  operations,
  send,
  withGodwitRelay,
  withPostfixRelay,
  withPythonMilter,
} from "./milters.ts";
import { eventually, queued } from "./server.ts";

const CONTENT = "From: ana@example.net\r\nSubject: hello\r\n";

Deno.test("refusals of sender, recipient and message have the codes that Postfix gives", async () => {
  const log = await Deno.makeTempFile();
  await withPythonMilter(OBEDIENT, log, async (milter) => {
    await withPostfixRelay([milter], async (theirs) => {
      await withGodwitRelay(milterSettings([milter]), async (ours) => {
        for (
          const [fields, envelope, code] of [
            ["", { from: "refused@example.net" }, "550"],
            ["", { to: ["refused@elsewhere.example"] }, "550"],
            ["", { to: ["later@elsewhere.example"] }, "451"],
            ["", { to: ["refused@elsewhere.example", "dave@elsewhere.example"] }, "250"],
            ["X-Answer: REJECT\r\n", {}, "550"],
            ["X-Answer: TEMPFAIL\r\n", {}, "451"],
            ["X-Answer: DISCARD\r\n", {}, "250"],
            ["X-Answer: ACCEPT\r\n", {}, "250"],
            [operations(["setreply", "554", "5.7.3", "100%% no"]) + "X-Answer: REJECT\r\n", {}, "554"],
            [operations(["setreply", "452", "4.3.1", "one", "two"]) + "X-Answer: TEMPFAIL\r\n", {}, "452"],
          ] as const
        ) {
          const content = `${CONTENT}${fields}\r\nbody\r\n`;
          const heard = [await send(theirs, content, envelope), await send(ours, content, envelope)];
          assert.deepEqual(heard.map((reply) => reply.slice(0, 3)), [code, code], heard.join("\n"));
          if (code === "554") assert.match(heard.join("\n"), /100% no/);
        }
        // Three were to be relayed by each: for the second recipient, the accepted one, and nothing of what was dropped.
        await eventually("both have relayed", () => ours.sunk.length === 2 && theirs.sunk.length === 2 || undefined);
        assert.deepEqual(ours.sunk[0]?.recipients, ["dave@elsewhere.example"]);
      });
    });
  });
  const notes = (await Deno.readTextFile(log)).trim().split("\n").map((line) => JSON.parse(line) as string[]);
  assert.ok(notes.some(([what]) => what === "abort"));
  await Deno.remove(log);
});

Deno.test("one connection serves session after session, and libmilter tells them apart", async () => {
  const log = await Deno.makeTempFile();
  await withPythonMilter(OBEDIENT, log, async (milter) => {
    await using between = counting(milter);
    await withGodwitRelay(milterSettings([between.port]), async (relay) => {
      const heard = async () => (await Deno.readTextFile(log)).trim().split("\n").map((line) => JSON.parse(line)[0]);
      // The first client only looked whether anybody greets.
      await eventually("its session is over", async () => (await heard()).at(-1) === "close" || undefined);
      await Deno.writeTextFile(log, "");
      const first = between.connections + 1;
      for (const number of [1, 2, 3]) {
        const content = `X-Number: ${number}\r\n\r\nbody\r\n`;
        assert.match(await send(relay, content, { from: `a${number}@example.net` }), /^250/);
        await eventually("it is relayed", () => relay.sunk.length === number || undefined);
      }
      const session = ["connect", "helo", "mail", "rcpt", "header", "end", "close"];
      await eventually("the filter has noticed the end", async () => (await heard()).length === 21 || undefined);
      assert.deepEqual(await heard(), [...session, ...session, ...session]);
      assert.equal(between.connections, first);
      // After a decision libmilter does not hear of another session.
      for (const _ of [1, 2]) {
        assert.match(await send(relay, "X-Answer: REJECT\r\n\r\nbody\r\n"), /^550/);
      }
      assert.equal(between.connections, first + 1);
    });
  });
  await Deno.remove(log);
});

/** Passes connections on to a port of this machine, and counts them. */
function counting(port: number) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let connections = 0;
  const pass = async (from: Deno.Conn) => {
    const to = await Deno.connect({ hostname: "127.0.0.1", port });
    await Promise.allSettled([from.readable.pipeTo(to.writable), to.readable.pipeTo(from.writable)]);
  };
  const serving = (async () => {
    for await (const connection of listener) {
      connections++;
      pass(connection).catch(() => {});
    }
  })();
  return {
    port: listener.addr.port,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

Deno.test("a message that a milter puts in quarantine is held", async () => {
  const log = await Deno.makeTempFile();
  await withPythonMilter(OBEDIENT, log, async (milter) => {
    await withGodwitRelay(milterSettings([milter]), async (relay, server) => {
      assert.match(await send(relay, `${CONTENT}${operations(["quarantine", "odd"])}\r\nbody\r\n`), /^250/);
      const [waiting] = await eventually("it is queued", async () => {
        const found = await queued(server);
        return found.length > 0 ? found : undefined;
      });
      assert.equal(waiting?.state, "held");
      assert.equal(relay.sunk.length, 0);
    });
  });
  await Deno.remove(log);
});
