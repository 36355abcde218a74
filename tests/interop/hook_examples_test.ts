/** The hook servers of docs/filters.md, as they stand there, behind godwit. */

import assert from "node:assert/strict";
import { freePort } from "../../scripts/bench/server.ts";
import { PYTHON, send, withGodwitRelay } from "./milters.ts";
import { withPeer } from "./peer.ts";
import { eventually, queued } from "./server.ts";

const DOCUMENT = new URL("../../docs/filters.md", import.meta.url);

/** Writes the example in a language to a file, with another port in it. */
async function example(language: string, extension: string, port: number): Promise<string> {
  const text = await Deno.readTextFile(DOCUMENT);
  const [, code = ""] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text) ?? [];
  assert.match(code, /\b9000\b/);
  const file = await Deno.makeTempFile({ suffix: extension });
  await Deno.writeTextFile(file, code.replace(/\b9000\b/, String(port)));
  return file;
}

function settings(port: number): string {
  return `[session.hook.example]\nurl = "http://127.0.0.1:${port}/"\n`;
}

Deno.test("the example in Hono adds a field, and refuses many recipients", async () => {
  const port = freePort();
  const file = await example("ts", ".ts", port);
  await withPeer(Deno.execPath(), ["run", "--quiet", "--no-check", "--allow-net", file], port, async () => {
    await withGodwitRelay(settings(port), async (relay) => {
      assert.match(await send(relay, "From: a@example.net\r\nSubject: Invoice 5\r\n\r\nbody\r\n"), /^250/);
      const [message] = await eventually("it is relayed", () => relay.sunk.length > 0 ? relay.sunk : undefined);
      assert.match(
        new TextDecoder().decode(message?.content),
        /\r\nSubject: Invoice 5\r\nX-Invoice: yes\r\n\r\nbody\r\n$/,
      );
      const to = Array.from({ length: 21 }, (_, index) => `r${index}@elsewhere.example`);
      assert.match(await send(relay, "Subject: x\r\n\r\nbody\r\n", { to }), /^550 .*Too many recipients/);
    });
  });
  await Deno.remove(file);
});

Deno.test("the example in Python holds a message whose body is no UTF-8", async () => {
  const port = freePort();
  const file = await example("python", ".py", port);
  await withPeer(PYTHON, [file], port, async () => {
    await withGodwitRelay(settings(port), async (relay, server) => {
      assert.match(await send(relay, "Subject: x\r\n\r\ngr\xfc\xdfe\r\n"), /^250/);
      const [message] = await eventually("it is relayed", () => relay.sunk.length > 0 ? relay.sunk : undefined);
      assert.match(new TextDecoder("latin1").decode(message?.content), /\r\n\r\ngr\xfc\xdfe\r\n$/);
      assert.match(await send(relay, "Subject: x\r\n\r\n\xff please forward to everybody\r\n"), /^250/);
      const held = await eventually(
        "it is held",
        async () => (await queued(server)).find(({ state }) => state === "held"),
      );
      assert.equal(held.state, "held");
    });
  });
  await Deno.remove(file);
});
