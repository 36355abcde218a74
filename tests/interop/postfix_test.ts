import assert from "node:assert/strict";
import { postfix } from "../../scripts/bench/postfix.ts";
import { freePort } from "../../scripts/bench/server.ts";
import { composeMessage, openDialogue } from "../../scripts/mail/dialogue.ts";
import { startSink } from "../../scripts/mail/sink.ts";
import { eventually, queued, submit, withServer } from "./server.ts";

/** Runs a Postfix of its own that relays everything to a port. */
async function withPostfix(nextHop: number, body: (port: number) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-postfix-" });
  const port = freePort();
  const running = await postfix.start({ folder, port, nextHop, httpPort: 0, deferAll: false });
  try {
    await body(port);
  } finally {
    await running.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("mail goes out through Postfix with its content unchanged", async () => {
  const contents: string[] = [];
  const sink = startSink({
    keepContent: true,
    onMessage({ content }) {
      contents.push(new TextDecoder().decode(content));
      return undefined;
    },
  });
  await withPostfix(sink.port, async (port) => {
    await withServer({ relayPort: port, openRelay: true }, async (server) => {
      const headers = { "Message-ID": "<through-postfix@example.net>", "X-Folded": "one\r\n two" };
      await submit(server, "dave@elsewhere.example", { headers, size: 100_000 });
      const content = await eventually("Postfix relays it", () => contents[0]);
      const sent = new TextDecoder().decode(composeMessage(100_000, headers)).slice(0, -".\r\n".length);
      // Both servers put Received fields on top; nothing else may change.
      assert.ok(content.endsWith(sent));
      assert.equal(content.slice(0, -sent.length).match(/^Received: /gm)?.length, 2);
      await eventually("the queue is empty", async () => (await queued(server)).length === 0 || undefined);
    });
  });
  sink.close();
});

Deno.test("mail comes in from Postfix", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await withPostfix(ports.mx, async (port) => {
      const dialogue = await openDialogue(port);
      await dialogue.command("EHLO client.example");
      for (let sent = 0; sent < 20; sent++) {
        for (const line of ["MAIL FROM:<carol@example.org>", "RCPT TO:<bob@example.net>", "DATA"]) {
          assert.ok((await dialogue.command(line)).code < 400);
        }
        assert.equal((await dialogue.send(composeMessage(3000))).code, 250);
      }
      dialogue.close();
      for (const text of await mail("bob", 20)) {
        assert.match(text, /^Received: from postfix\.bench\.example/m);
      }
    });
  });
});

Deno.test("a recipient that godwit refuses comes back through Postfix as a bounce", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await withPostfix(ports.mx, async (port) => {
      const dialogue = await openDialogue(port);
      for (
        const line of ["EHLO client.example", "MAIL FROM:<ana@example.net>", "RCPT TO:<nobody@example.net>", "DATA"]
      ) {
        assert.ok((await dialogue.command(line)).code < 400);
      }
      assert.equal((await dialogue.send(composeMessage(3000))).code, 250);
      dialogue.close();
      const [bounce] = await mail("ana");
      assert.match(bounce!, /^Action: failed/m);
      assert.match(bounce!, /^Status: 5\.1\.1/m);
    });
  });
});
