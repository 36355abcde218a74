import assert from "node:assert/strict";
import { withExim } from "../support/exim.ts";
import { eventually, queued, submit, waitForMail, withServer } from "./server.ts";

Deno.test("mail goes to Exim in chunks, small and large, with its content unchanged", async () => {
  await withExim("", async (port, maildir) => {
    await withServer({ relayPort: port, openRelay: true }, async (server) => {
      await submit(server, "dave@elsewhere.example", { headers: { Subject: ".small" } });
      await submit(server, "dave@elsewhere.example", { headers: { Subject: ".large" }, size: 3_000_000 });
      const texts = await waitForMail(maildir, 2);
      assert.deepEqual(texts.map((text) => /^Subject: (.*)$/m.exec(text)?.[1]).sort(), [".large", ".small"]);
      assert.ok(texts.some((text) => text.length > 2_900_000));
      for (const text of texts) assert.match(text, /^Received: from \S+ \(helo=mx\.example\.net\)/m);
      await eventually("the queue is empty", async () => (await queued(server)).length === 0 || undefined);
    });
  });
});

Deno.test("what Exim refuses comes back in its words", async () => {
  await withExim("", async (port) => {
    await withServer({ relayPort: port, openRelay: true }, async (server) => {
      await submit(server, "gone@elsewhere.example");
      const [notice] = await server.mail("ana");
      assert.match(notice!, /^Diagnostic-Code: smtp; ?550 nobody of that name/m);
      assert.deepEqual(await queued(server), []);
    });
  });
});

Deno.test("an Exim that takes two connections from us at most gets all the mail over those", async () => {
  await withExim("smtp_accept_max_per_host = 2", async (port, maildir) => {
    await withServer({ relayPort: port, openRelay: true }, async (server) => {
      await Promise.all(Array.from({ length: 12 }, () => submit(server, "dave@elsewhere.example")));
      await waitForMail(maildir, 12);
      await eventually("the queue is empty", async () => (await queued(server)).length === 0 || undefined);
    });
  });
});
