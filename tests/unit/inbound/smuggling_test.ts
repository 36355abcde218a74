/** End of data is CRLF . CRLF and nothing else, and what follows a handshake or a chunk is never what came before it. */

import assert from "node:assert/strict";
import { dialogue, greeted, openSession, sessionWorld, type TestClient } from "../../support/session.ts";

const QUICK = `session.rcpt.errors = { wait = "0s" }`;

/** Everything that some server somewhere has taken for the end of data. */
const ENDS = [
  "\n.\n",
  "\n.\r\n",
  "\r\n.\n",
  "\r.\r",
  "\r.\r\n",
  "\r\n.\r",
  "\n.\r",
  "\r.\n",
  "\r\r\n.\r\r\n",
  "\r\n.\r\r\n",
  "\n\n.\n\n",
  "\r\n.\x00\r\n",
  "\r\n\x00.\r\n",
  "\r\n.\x1a\r\n",
  "\x85.\x85",
  "\r\n. \r\n",
  "\r\n.\t\r\n",
  "\v.\v",
  "\f.\f",
  "\n.\n\n",
  "\x1e.\x1e",
];

const INJECTED = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n";

async function openTransaction(client: TestClient, parameters = ""): Promise<void> {
  await dialogue(client, [`MAIL FROM:<a@example.net>${parameters}`, "250"], ["RCPT TO:<ana@example.org>", "250"]);
}

for (const end of ENDS) {
  const bare = /(?<!\r)\n|\r(?!\n)/.test(end);
  for (const segment of [undefined, 1]) {
    Deno.test(`${JSON.stringify(end)} in DATA ends nothing${segment === 1 ? ", octet by octet" : ""}`, async () => {
      for (const mode of ["refuse", "normalize"]) {
        const world = sessionWorld({ settings: `${QUICK}\nsession.data.bare-newline = "'${mode}'"` });
        const client = await greeted(world, segment === undefined ? {} : { segment });
        await openTransaction(client);
        await dialogue(client, ["DATA", "354"]);
        client.send(`Subject: x\r\n\r\nfirst${end}${INJECTED}evil\r\n.\r\nNOOP\r\n`);
        const answer = await client.reply();
        assert.equal(await client.reply(), "250 2.0.0 OK");
        assert.equal(client.unread, "");
        if (bare && mode === "refuse") {
          assert.match(answer, /^554 5\.6\.0 /);
          assert.deepEqual(world.queue.messages, []);
        } else {
          assert.match(answer, /^250 /);
          assert.equal(world.queue.messages.length, 1);
          const text = world.queue.text(0);
          assert.match(text, /MAIL FROM:<evil@example\.net>\r\n/);
          // What leaves this server can mislead nobody either.
          assert.doesNotMatch(text, /(?<!\r)\n|\r(?!\n)/);
        }
        assert.equal(world.queue.pending, 0);
      }
    });
  }

  Deno.test(`${JSON.stringify(end)} across BDAT ends nothing`, async () => {
    const world = sessionWorld({ settings: QUICK });
    const client = await greeted(world);
    // Cut in the middle of the spelling, and once more in what is to be injected.
    const content = `Subject: x\r\n\r\nfirst${end}${INJECTED}`;
    for (const cut of [20, 21, 22, 23, 40]) {
      await openTransaction(client);
      const [one, two] = [content.slice(0, cut), content.slice(cut)];
      client.send(`BDAT ${one.length}\r\n${one}BDAT ${two.length} LAST\r\n${two}NOOP\r\n`);
      assert.match(await client.reply(), /^250 2\.0\.0 \d+ octets received/);
      assert.match(await client.reply(), bare ? /^554 5\.6\.0 / : /^250 2\.0\.0 Message queued/);
      assert.equal(await client.reply(), "250 2.0.0 OK");
      assert.equal(client.unread, "");
    }
    assert.equal(world.queue.messages.length, bare ? 0 : 5);
  });
}

Deno.test("the true end of data is found however it is cut into segments", async () => {
  const world = sessionWorld();
  for (const segment of [1, 2, 3, 5, 7]) {
    const client = await greeted(world, { segment });
    await openTransaction(client);
    await dialogue(client, ["DATA", "354"]);
    client.send("A: b\r\n\r\n..\r\n.\r\nNOOP\r\n");
    assert.match(await client.reply(), /^250 2\.0\.0 Message/);
    assert.equal(await client.reply(), "250 2.0.0 OK");
  }
  assert.ok(world.queue.text(0).endsWith("A: b\r\n\r\n.\r\n"));
});

Deno.test("a chunk may hold what looks like an end of data, or a command", async () => {
  const world = sessionWorld();
  const client = await greeted(world);
  await openTransaction(client);
  const content = "A: b\r\n\r\n.\r\nQUIT\r\n";
  client.send(`BDAT ${content.length} LAST\r\n${content}`);
  assert.match(await client.reply(), /^250 /);
  assert.ok(world.queue.text(0).endsWith(content));
});

for (const behind of ["EHLO evil.example\r\nMAIL FROM:<evil@example.net>\r\n", "EHLO evil.ex", "\r\n", "RSET\r"]) {
  Deno.test(`${JSON.stringify(behind)} behind STARTTLS is dropped before the handshake`, async () => {
    const client = openSession(sessionWorld({ settings: QUICK }));
    await client.reply();
    assert.match(await client.say("EHLO client.example.net"), /^250/);
    await dialogue(client, ["MAIL FROM:<a@example.net>", "250"]);
    client.send(`STARTTLS\r\n${behind}`);
    assert.match(await client.reply(), /^220 /);
    // The state is that of a new session (RFC 3207 §4.2).
    await dialogue(
      client,
      ["MAIL FROM:<a@example.net>", "503 5.5.1 Send EHLO"],
      ["EHLO client.example.net", "250"],
      ["RCPT TO:<ana@example.org>", "503 5.5.1 Send MAIL"],
    );
    assert.equal(client.session.heloDomain, "client.example.net");
    assert.equal(client.unread, "");
  });
}

Deno.test("commands behind a refused one are answered one by one, each by its own state", async () => {
  const client = openSession(sessionWorld({ settings: QUICK }));
  await client.reply();
  client.send(
    "EHLO client.example.net\r\nMAIL FROM:<bad\r\nRCPT TO:<ana@example.org>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n" +
      "MAIL FROM:<a@example.net>\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\nRSET\r\nQUIT\r\n",
  );
  assert.match(await client.reply(), /^250/);
  const expected = ["501 5.1.7", "503 5.5.1", "503 5.5.1", "500 5.5.1", "500 5.5.2", "500 5.5.1"];
  expected.push("250 2.1.0", "550 5.1.1", "503 5.5.1", "250 2.0.0", "221 2.0.0");
  for (const start of expected) assert.ok((await client.reply()).startsWith(start), start);
  await client.ended;
});
