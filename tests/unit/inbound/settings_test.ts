/**
 * Every key of `session.*` with a value that changes what a session does, against the same dialogue without it.
 *
 * | keys                                               | also tested in                                             |
 * | -------------------------------------------------- | ---------------------------------------------------------- |
 * | `session.timeout`, `.duration`, `.transfer-limit`  | abuse_test.ts, tests/session/delivery_test.ts              |
 * | `session.extensions.*`                             | extensions_test.ts                                         |
 * | `session.data.bare-newline`                        | smuggling_test.ts                                          |
 * | `session.data.add-headers.*`, `.received-headers`  | headers_test.ts                                            |
 * | `session.*.script`                                 | filters_test.ts, tests/unit/filter/sieve/stages_test.ts    |
 * | `session.data.add-headers.delivered-to`            | tests/session/delivery_test.ts, tests/unit/outbound        |
 * | `session.data.spam-filter`                         | tests/unit/config (it has no effect but a warning)         |
 * | `session.mta-sts.*`                                | tests/session/mta_sts_test.ts (no dialogue shows them)     |
 *
 * The last test holds this file against the keys that the configuration supports.
 */

import assert from "node:assert/strict";
import { sessionKeys } from "../../../src/config/schema/session.ts";
import { settle } from "../../support/fake_clock.ts";
import {
  type ClientOptions,
  dialogue,
  greeted,
  openSession,
  sendMessage,
  type SessionWorld,
  sessionWorld,
  staff,
  type TestClient,
} from "../../support/session.ts";

type Step = (client: TestClient, world: SessionWorld) => Promise<unknown> | unknown;

interface Case {
  readonly key: string;
  /** TOML of the value; lines of both worlds stand in `base`. */
  readonly value: string;
  readonly base?: string;
  readonly options?: ClientOptions & { readonly login?: boolean };
  /** Gives what is to be compared. */
  readonly run: Step;
  readonly without: RegExp;
  readonly with: RegExp;
}

const OPEN_AUTH = `session.auth.mechanisms = "['plain']"\nsession.auth.allow-plain-text = true`;
const LOGIN = "AUTH PLAIN AGFuYQBzZWNyZXQ=";
const WRONG = "AUTH PLAIN AGFuYQB3cm9uZw==";
const MINUTE = 60_000;

const say = (...lines: string[]): Step => async (client) => {
  let reply = "";
  for (const line of lines) reply = await client.say(line);
  return reply;
};
const message = (options: Parameters<typeof sendMessage>[1] = {}): Step => async (client, world) =>
  `${await sendMessage(client, options)}\n${world.queue.messages.length > 0 ? world.queue.text(0) : ""}`;
const after = (milliseconds: number): Step => async (client, world) => {
  await settle();
  await world.clock.advance(milliseconds);
  return client.unread;
};
/** How long the reply to a line takes, in seconds. */
const delayOf = (...lines: string[]): Step => async (client, world) => {
  for (const line of lines.slice(0, -1)) await client.say(line);
  client.send(`${lines.at(-1)}\r\n`);
  for (let seconds = 0; seconds < 100; seconds++) {
    await settle(500);
    if (client.unread !== "") return `${seconds} s`;
    await world.clock.advance(1000);
  }
  return "never";
};
const quickRcpt = `session.rcpt.errors.wait = "0s"`;

const CASES: readonly Case[] = [
  { key: "session.timeout", value: `"2m"`, run: after(3 * MINUTE), without: /^$/, with: /^421 4\.4\.2 Nothing/ },
  {
    key: "session.duration",
    value: `[{ if = "helo_domain == 'client.example.net'", then = "1m" }, { else = "10m" }]`,
    run: after(2 * MINUTE),
    without: /^$/,
    with: /^421 4\.4\.2 Session/,
  },
  {
    key: "session.transfer-limit",
    value: "10",
    run: async (client) => {
      await dialogue(client, ["MAIL FROM:<>", "250"], ["RCPT TO:<ana@example.org>", "250"]);
      client.send("BDAT 11\r\nA: b\r\n\r\nccc");
      return await client.reply();
    },
    without: /^250 /,
    with: /^421 4\.7\.0 /,
  },
  {
    key: "session.connect.hostname",
    value: `"listener + '.example.org'"`,
    run: say("EHLO x.example"),
    without: /^250-mx\.example\.org /,
    with: /^250-smtp\.example\.org /,
  },
  {
    key: "session.connect.greeting",
    value: `"'hello ' + remote_ip"`,
    run: async (_, world) => await openSession(world).reply(),
    without: /^220 mx\.example\.org ESMTP godwit$/,
    with: /^220 mx\.example\.org hello 192\.0\.2\.7$/,
  },
  {
    key: "session.ehlo.require",
    value: "false",
    run: async (_, world) => {
      const client = openSession(world);
      await client.reply();
      return await client.say("MAIL FROM:<a@example.net>");
    },
    without: /^503 5\.5\.1 Send EHLO first/,
    with: /^250 /,
  },
  {
    key: "session.ehlo.reject-non-fqdn",
    value: "remote_ip != '192.0.2.7'",
    run: say("EHLO laptop"),
    without: /^550 5\.5\.0 /,
    with: /^250/,
  },
  {
    key: "session.extensions.pipelining",
    value: "false",
    run: say("EHLO a.b"),
    without: /PIPELINING/,
    with: /^(?![^]*PIPEL)/,
  },
  {
    key: "session.extensions.chunking",
    value: "false",
    run: say("EHLO a.b"),
    without: /CHUNKING\n.*BINARY/,
    with: /^(?![^]*(?:CHUNK|BINARY))/,
  },
  {
    key: "session.extensions.requiretls",
    value: "false",
    options: { tls: true },
    run: say("MAIL FROM:<> REQUIRETLS"),
    without: /^250 /,
    with: /^555 /,
  },
  {
    key: "session.extensions.no-soliciting",
    value: `""`,
    run: say("EHLO a.b"),
    without: /^(?![^]*SOLI)/,
    with: /NO-SOLICITING\n/,
  },
  { key: "session.extensions.dsn", value: "true", run: say("MAIL FROM:<> RET=FULL"), without: /^555 /, with: /^250 / },
  {
    key: "session.extensions.future-release",
    value: `"1h"`,
    run: say("MAIL FROM:<> HOLDFOR=3600"),
    without: /^555 /,
    with: /^250 /,
  },
  {
    key: "session.extensions.deliver-by",
    value: `"1h"`,
    run: say("MAIL FROM:<> BY=3600;R"),
    without: /^555 /,
    with: /^250 /,
  },
  {
    key: "session.extensions.mt-priority",
    value: `"'nsep'"`,
    run: async (client, world) => {
      const answer = await client.say("MAIL FROM:<a@example.net> MT-PRIORITY=5");
      if (!answer.startsWith("250")) return answer;
      await dialogue(client, ["RCPT TO:<ana@example.org>", "250"], ["DATA", "354"]);
      client.send("A: b\r\n\r\n.\r\n");
      await client.reply();
      return `level ${world.queue.messages[0]?.priority}`;
    },
    without: /^555 /,
    with: /^level 6$/,
  },
  { key: "session.extensions.vrfy", value: "true", run: say("VRFY ana@example.org"), without: /^252 /, with: /^250 / },
  {
    key: "session.extensions.expn",
    value: "true",
    run: say("EXPN staff@example.org"),
    without: /^502 /,
    with: /^250-/,
  },
  {
    key: "session.auth.mechanisms",
    value: `"['plain']"`,
    options: { tls: true, listener: "s", localPort: 465 },
    base: `session.auth.require = false`,
    run: say("AUTH LOGIN YW5h"),
    without: /^334 /,
    with: /^504 /,
  },
  {
    key: "session.auth.directory",
    value: "false",
    base: OPEN_AUTH,
    run: say("EHLO a.b"),
    without: /AUTH PLAIN/,
    with: /^(?![^]*AUTH)/,
  },
  {
    key: "session.auth.require",
    value: "true",
    base: OPEN_AUTH,
    run: say("MAIL FROM:<a@example.net>"),
    without: /^250 /,
    with: /^530 5\.7\.0 /,
  },
  {
    key: "session.auth.must-match-sender",
    value: "false",
    base: OPEN_AUTH,
    options: { login: true },
    run: say("MAIL FROM:<x@example.net>"),
    without: /^553 5\.7\.1 /,
    with: /^250 /,
  },
  {
    key: "session.auth.allow-plain-text",
    value: "true",
    base: `session.auth.mechanisms = "['plain']"`,
    run: say(LOGIN),
    without: /^538 /,
    with: /^235 /,
  },
  {
    key: "session.auth.errors.total",
    value: "1",
    base: `${OPEN_AUTH}\nsession.auth.errors.wait = "0s"`,
    run: say(WRONG),
    without: /^535 /,
    with: /^421 /,
  },
  {
    key: "session.auth.errors.wait",
    value: `"9s"`,
    base: OPEN_AUTH,
    run: delayOf(WRONG),
    without: /^5 s/,
    with: /^9 s/,
  },
  {
    key: "session.mail.rewrite",
    value: `[{ if = 'matches("^(.+)@old\\.example$", sender)', then = "$1 + '@example.com'" }, { else = false }]`,
    run: async (client, world) => {
      await sendMessage(client, { from: "a@old.example" });
      return world.queue.messages[0]?.envelope.sender;
    },
    without: /^a@old\.example$/,
    with: /^a@example\.com$/,
  },
  {
    key: "session.mail.is-allowed",
    value: `"sender_domain != 'spam.example'"`,
    run: say("MAIL FROM:<a@spam.example>"),
    without: /^250 /,
    with: /^550 5\.7\.1 /,
  },
  {
    key: "session.rcpt.directory",
    value: "false",
    base: quickRcpt,
    run: say("MAIL FROM:<>", "RCPT TO:<ana@example.org>"),
    without: /^250 /,
    with: /^550 5\.7\.1 Relay/,
  },
  {
    key: "session.rcpt.relay",
    value: `"rcpt_domain == 'partner.example'"`,
    base: quickRcpt,
    run: say("MAIL FROM:<>", "RCPT TO:<x@partner.example>"),
    without: /^550 5\.7\.1 Relay/,
    with: /^250 /,
  },
  {
    key: "session.rcpt.sub-addressing",
    value: "false",
    base: quickRcpt,
    run: say("MAIL FROM:<>", "RCPT TO:<ana+tag@example.org>"),
    without: /^250 /,
    with: /^550 5\.1\.1 /,
  },
  {
    key: "session.rcpt.catch-all",
    value: `"'bob@example.org'"`,
    base: quickRcpt,
    run: say("MAIL FROM:<>", "RCPT TO:<nobody@example.org>"),
    without: /^550 5\.1\.1 /,
    with: /^250 /,
  },
  {
    key: "session.rcpt.rewrite",
    value: `"if_then(rcpt == 'info@example.org', 'bob@example.org', rcpt)"`,
    base: quickRcpt,
    run: say("MAIL FROM:<>", "RCPT TO:<info@example.org>"),
    without: /^550 5\.1\.1 /,
    with: /^250 /,
  },
  {
    key: "session.rcpt.max-recipients",
    value: "1",
    run: say("MAIL FROM:<>", "RCPT TO:<ana@example.org>", "RCPT TO:<bob@example.org>"),
    without: /^250 /,
    with: /^452 4\.5\.3 /,
  },
  {
    key: "session.rcpt.errors.total",
    value: "1",
    base: quickRcpt,
    run: say("MAIL FROM:<>", "RCPT TO:<no@example.org>"),
    without: /^550 /,
    with: /^421 4\.7\.0 /,
  },
  {
    key: "session.rcpt.errors.wait",
    value: `"2s"`,
    run: delayOf("MAIL FROM:<>", "RCPT TO:<no@example.org>"),
    without: /^5 s/,
    with: /^2 s/,
  },
  {
    key: "session.data.bare-newline",
    value: `"'normalize'"`,
    run: message({ content: "A: b\r\n\r\nc\nd\r\n" }),
    without: /^554 5\.6\.0 /,
    with: /^250 [^]*\r\nc\r\nd\r\n$/,
  },
  {
    key: "session.data.limits.messages",
    value: "1",
    run: async (client) => {
      await sendMessage(client);
      return await client.say("MAIL FROM:<>");
    },
    without: /^250 /,
    with: /^452 4\.4\.5 /,
  },
  { key: "session.data.limits.size", value: "5", run: message(), without: /^250 /, with: /^552 5\.3\.4 / },
  {
    key: "session.data.limits.received-headers",
    value: "1",
    run: message({ content: "Received: a\r\nReceived: b\r\n\r\n" }),
    without: /^250 /,
    with: /^554 5\.4\.6 /,
  },
  {
    key: "session.data.add-headers.received",
    value: "false",
    run: message(),
    without: /\nReceived: /,
    with: /^250 [^\n]*\nSubject/,
  },
  {
    key: "session.data.add-headers.message-id",
    value: "true",
    run: message(),
    without: /^(?![^]*Message-ID)/,
    with: /Message-ID: </,
  },
  { key: "session.data.add-headers.date", value: "true", run: message(), without: /^(?![^]*Date:)/, with: /\nDate: / },
  {
    key: "session.data.add-headers.return-path",
    value: "true",
    run: message(),
    without: /^(?![^]*Return)/,
    with: /Return-Path: <a@example\.net>/,
  },
];

async function outcome(test: Case, value: string): Promise<string> {
  const settings = [test.base ?? "", value === "" ? "" : `${test.key} = ${value}`].join("\n");
  const world = sessionWorld({ settings, directory: staff });
  const client = await greeted(world, test.options);
  return String(await test.run(client, world));
}

for (const test of CASES) {
  Deno.test(`${test.key} = ${test.value.slice(0, 60)}`, async () => {
    assert.match(await outcome(test, ""), test.without, "without the key");
    assert.match(await outcome(test, quoted(test.value)), test.with, "with the key");
  });
}

/** Bare expressions are TOML strings. */
function quoted(value: string): string {
  return /^(?:["[{]|true$|false$|\d+$)/.test(value) ? value : `"${value}"`;
}

Deno.test("no supported key of session.* is left out", () => {
  const elsewhere = new Set([
    "session.data.add-headers.delivered-to",
    "session.data.spam-filter",
    // tests/session/mta_sts_test.ts
    ...["mode", "max-age", "mx"].map((key) => `session.mta-sts.${key}`),
    // checks_test.ts
    "session.data.add-headers.received-spf",
    "session.data.add-headers.auth-results",
    // stages_test.ts
    ...["connect", "ehlo", "mail", "rcpt", "data"].map((stage) => `session.${stage}.script`),
  ]);
  const covered = new Set(CASES.map(({ key }) => key));
  const missing = Object.entries(sessionKeys).filter(([key, spec]) =>
    !covered.has(key) && !elsewhere.has(key) && spec.supported
  );
  assert.deepEqual(missing.map(([key]) => key), []);
});
