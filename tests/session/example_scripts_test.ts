/** The scripts of config.example.toml, switched on, through the whole program. */

import assert from "node:assert/strict";
import { connectClient } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { baseConfiguration, startTestServer, type TestServer } from "../support/server.ts";
import { createZone } from "../support/zone.ts";

const EXAMPLE = await Deno.readTextFile(new URL("../../config.example.toml", import.meta.url));

/** What the example says of scripts, without the hashes in front. */
function scripts(): string {
  const [, section = ""] = EXAMPLE.split("\n# Sieve scripts judge mail");
  const [block = ""] = section.split("\n# Milters and hooks");
  // Each has its prose in front of the first table.
  return block.split("\n#\n").map((piece) => {
    const lines = piece.split("\n").map((line) => line.replace(/^# ?/, ""));
    return lines.slice(lines.findIndex((line) => line.startsWith("["))).join("\n");
  }).slice(1).join("\n");
}

const SETTINGS = `${baseConfiguration("{folder}")}
[session.auth]
allow-plain-text = true
mechanisms = ["plain"]
[session.rcpt]
relay = true
script = "'recipients'"
[queue.strategy]
route = "'local'"
`;

const start = (options: Parameters<typeof startTestServer>[1] = {}) =>
  startTestServer(SETTINGS + scripts(), { base: false, resolver: createZone({}), ...options });

/** The last reply of a dialogue. */
async function last(test: TestServer, ...commands: readonly string[]): Promise<string> {
  using client = await connectClient(test.address("smtp"));
  let reply = await client.reply();
  for (const command of ["EHLO c.example", ...commands]) reply = await client.say(command);
  return reply;
}

const LOGIN = `AUTH PLAIN ${btoa("\0ana\0secret")}`;

Deno.test("the example refuses clients on a blocklist and senders from unwanted domains", async () => {
  {
    const resolver = createZone({ "1.0.0.127.bl.example": { a: ["127.0.0.2"] } });
    await using test = await start({ resolver });
    assert.match(await last(test, "MAIL FROM:<a@example.net>"), /^554 5\.7\.1 127\.0\.0\.1 is listed in bl\.example\./);
  }
  await using test = await start();
  assert.match(await last(test, "MAIL FROM:<a@x.spam.example>"), /^550 5\.7\.1 Mail from this domain/);
  assert.match(await last(test, "MAIL FROM:<a@example.net>"), /^250 /);
});

Deno.test("the example puts strangers off, and leaves those alone who are logged in", async () => {
  const clock = new FakeClock();
  await using test = await start({ clock });
  const rcpt = ["MAIL FROM:<ana@example.org>", "RCPT TO:<bob@example.org>"];
  assert.match(await last(test, ...rcpt), /^451 4\.7\.1 Greylisted/);
  await clock.advance(299_000);
  assert.match(await last(test, ...rcpt), /^451 4\.7\.1 Greylisted/);
  assert.match(await last(test, LOGIN, ...rcpt), /^250 /);
  await clock.advance(2000);
  assert.match(await last(test, ...rcpt), /^250 /);
});

Deno.test("the example gives old addresses new ones, takes programs out and writes a disclaimer", async () => {
  await using test = await start();
  const program =
    'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="a.EXE"\r\n\r\nMZ\r\n';
  const picture = 'Content-Type: image/png\r\nContent-Disposition: attachment; filename="a.png"\r\n\r\nPNG\r\n';
  const content = `Subject: hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n` +
    `--b\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--b\r\n${program}--b\r\n${picture}--b--\r\n`;
  assert.match(
    await last(
      test,
      ...[LOGIN, "MAIL FROM:<ana@example.org>", "RCPT TO:<bob@old.example>", "DATA", `${content}.`],
    ),
    /^250 /,
  );
  const { fields } = await test.event("delivery.delivered");
  assert.equal(fields.to, "bob@example.net");
  const [message = ""] = await test.mail("example.net/bob");
  assert.match(message, /\r\n\r\nHello\.\r\n____\r\nThis message is for whom it was sent to\.\r\n\r\n--b\r\n/);
  assert.doesNotMatch(message, /MZ|EXE/);
  assert.match(message, /A file was removed here: its kind is not allowed\.\r\n--b\r\n/);
  assert.ok(message.endsWith(`--b\r\n${picture}--b--\r\n`));
});
