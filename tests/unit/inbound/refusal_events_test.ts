/** What a session tells the log of what it refuses: each refusal is one event with the reply. */

import assert from "node:assert/strict";
import { type ClientOptions, greeted, openSession, sessionWorld } from "../../support/session.ts";

const SETTINGS = `
session.auth = { require = false, mechanisms = "['plain']", directory = "if_then(local_port == 26, false, 'staff')" }
session.data.limits = { messages = 1, size = 1000 }
session.rcpt.max-recipients = 1
session.extensions = { vrfy = "local_port == 25", expn = "local_port == 25" }
`;
const MAIL = "MAIL FROM:<ana@example.net>";
const RCPT = "RCPT TO:<ana@example.org>";

/** The events of a dialogue, without those that tell of what went well. */
async function refusals(lines: readonly string[], options: ClientOptions = {}): Promise<string[]> {
  const world = sessionWorld({ settings: SETTINGS });
  const client = openSession(world, options);
  await client.reply();
  for (const line of lines) await client.say(line);
  return world.events
    .filter(({ fields }) => fields.code !== undefined)
    .map(({ name, fields }) => `${name} ${fields.code}`);
}

const EHLO = "EHLO client.example.net";

Deno.test("a refused command is an event that says what it was refused for", async () => {
  for (
    const [lines, expected, options] of [
      [["LHLO x.example"], "smtp.ehlo-expected 500"],
      [[EHLO], "smtp.lhlo-expected 500", { protocol: "lmtp" }],
      [[MAIL], "smtp.did-not-say-ehlo 503"],
      [["AUTH PLAIN AGFuYQBzZWNyZXQ="], "smtp.did-not-say-ehlo 503"],
      [[EHLO, "AUTH PLAIN AGFuYQBzZWNyZXQ="], "smtp.auth-not-allowed 538"],
      [[EHLO, "AUTH PLAIN AGFuYQBzZWNyZXQ="], "smtp.auth-not-allowed 502", { localPort: 26, tls: true }],
      [[EHLO, "AUTH LOGIN"], "smtp.auth-mechanism-not-supported 504", { tls: true }],
      [
        [EHLO, "AUTH PLAIN AGFuYQBzZWNyZXQ=", "AUTH PLAIN AGFuYQBzZWNyZXQ="],
        "smtp.already-authenticated 503",
        { tls: true },
      ],
      [[EHLO, "AUTH PLAIN", "x".repeat(13_000)], "smtp.auth-exchange-too-long 500", { tls: true }],
      [[EHLO, "STARTTLS"], "smtp.start-tls-unavailable 502", { canStartTls: false }],
      [[EHLO, "STARTTLS"], "smtp.start-tls-already 503", { tls: true }],
      [[EHLO, RCPT], "smtp.mail-from-missing 503"],
      [[EHLO, "DATA"], "smtp.mail-from-missing 503"],
      [[EHLO, "BDAT 0"], "smtp.mail-from-missing 503"],
      [[EHLO, MAIL, MAIL], "smtp.multiple-mail-from 503"],
      [[EHLO, MAIL, "DATA"], "smtp.rcpt-to-missing 503"],
      [[EHLO, MAIL, "BDAT 0"], "smtp.rcpt-to-missing 503"],
      [[EHLO, MAIL, RCPT, "RCPT TO:<bob@example.org>"], "smtp.too-many-recipients 452"],
      [[EHLO, `${MAIL} SIZE=2000`], "smtp.message-too-large 552"],
      [[EHLO, `${MAIL} HOLDFOR=60`], "smtp.unsupported-parameter 555"],
      [[EHLO, `${MAIL} BODY=9BIT`], "smtp.invalid-parameter 501"],
      [[EHLO, MAIL, RCPT, "DATA", `${"x".repeat(1100)}\r\n.`], "smtp.message-too-large 552"],
      [[EHLO, MAIL, RCPT, "DATA", "x\ny\r\n."], "smtp.bare-newline 554"],
      [[EHLO, MAIL, RCPT, "DATA", "x\r\n.", MAIL], "smtp.too-many-messages 452"],
      [["XYZZY"], "smtp.invalid-command 500"],
      [["RSET now"], "smtp.syntax-error 501"],
      [[`NOOP ${"x".repeat(5000)}`], "smtp.request-too-large 500"],
      [[EHLO, "VRFY nobody@example.org"], "smtp.vrfy-not-found 550"],
      [[EHLO, "VRFY ana@example.org"], "smtp.vrfy-disabled 252", { localPort: 26 }],
      [[EHLO, "EXPN nobody@example.org"], "smtp.expn-not-found 550"],
      [[EHLO, "EXPN staff@example.org"], "smtp.expn-disabled 502", { localPort: 26 }],
    ] as const satisfies readonly (readonly [readonly string[], string, ClientOptions?])[]
  ) assert.deepEqual(await refusals(lines, options), [expected], lines.join(", "));
});

Deno.test("a mail that needs a login is an event where there is none", async () => {
  const world = sessionWorld({ settings: "session.auth.require = true\n" });
  const client = await greeted(world);
  await client.say(EHLO);
  assert.match(await client.say(MAIL), /^530 /);
  assert.deepEqual(world.events.at(-1), {
    name: "smtp.mail-from-unauthenticated",
    fields: { session: client.session.id, remoteIp: "192.0.2.7", code: 530, reason: "Authentication required" },
  });
});

Deno.test("what a session asked of the directory, and why it was ended, are events", async () => {
  const world = sessionWorld({ settings: 'session.timeout = "5m"\nsession.duration = "8m"\n' + SETTINGS });
  const asking = await greeted(world);
  await asking.say(EHLO);
  await asking.say("VRFY ana@example.org");
  await asking.say("EXPN staff@example.org");
  const silent = await greeted(world);
  await world.clock.advance(4 * 60_000);
  await asking.say("NOOP");
  await world.clock.advance(60_000);
  assert.match(await silent.reply(), /^421 4\.4\.2 /);
  await world.clock.advance(2 * 60_000);
  await asking.say("NOOP");
  await world.clock.advance(60_000);
  assert.match(await asking.reply(), /^421 4\.4\.2 /);
  assert.deepEqual(
    world.events.flatMap(({ name, fields }) =>
      /^(?:smtp\.(?:vrfy|expn|time-limit)|network\.)/.test(name) ? [`${name} ${fields.to ?? fields.code}`] : []
    ),
    ["smtp.vrfy ana@example.org", "smtp.expn staff@example.org", "network.timeout 421", "smtp.time-limit-exceeded 421"],
  );
});
