/** What is advertised is exactly what works: by listener, before and after TLS, before and after a login. */

import assert from "node:assert/strict";
import { type ClientOptions, dialogue, greeted, sessionWorld, type TestClient } from "../../support/session.ts";

/** Whether an extension can be used now; leaves the session outside any transaction. */
type Attempt = (client: TestClient) => Promise<boolean>;

const parameter = (text: string): Attempt => async (client) => {
  const reply = await client.say(`MAIL FROM:<ana@example.org> ${text}`);
  await client.say("RSET");
  return reply.startsWith("250");
};
const command = (line: string, works: RegExp): Attempt => async (client) => works.test(await client.say(line));

const ATTEMPTS: Readonly<Record<string, Attempt>> = {
  SIZE: parameter("SIZE=1"),
  "8BITMIME": parameter("BODY=8BITMIME"),
  SMTPUTF8: parameter("SMTPUTF8"),
  ENHANCEDSTATUSCODES: command("NOOP", /^250 2\.0\.0 /),
  CHUNKING: async (client) => {
    await dialogue(client, ["MAIL FROM:<ana@example.org>", "250"], ["RCPT TO:<ana@example.org>", "250"]);
    const works = (await client.say("BDAT 0")).startsWith("250");
    await client.say("RSET");
    return works;
  },
  BINARYMIME: parameter("BODY=BINARYMIME"),
  DSN: async (client) => {
    await dialogue(client, ["MAIL FROM:<ana@example.org>", "250"]);
    const works = (await client.say("RCPT TO:<ana@example.org> NOTIFY=NEVER")).startsWith("250");
    await client.say("RSET");
    return works && await parameter("RET=HDRS ENVID=x")(client);
  },
  REQUIRETLS: parameter("REQUIRETLS"),
  "NO-SOLICITING": parameter("SOLICIT=org.example:X"),
  FUTURERELEASE: async (client) =>
    await parameter("HOLDFOR=1")(client) && await parameter("HOLDUNTIL=2026-01-05T13:00:00Z")(client),
  DELIVERBY: parameter("BY=60;R"),
  "MT-PRIORITY": parameter("MT-PRIORITY=4"),
  VRFY: command("VRFY ana@example.org", /^250 /),
  EXPN: command("EXPN ana@example.org", /^250 /),
  HELP: command("HELP", /^214/),
};

const EVERYTHING = `
session.extensions = { dsn = true, future-release = "7d", deliver-by = "15d", mt-priority = "'mixer'", no-soliciting = "''", vrfy = true, expn = true }
session.auth = { require = false, mechanisms = "['plain', 'login']", allow-plain-text = true }
`;
const NOTHING = `
session.extensions = { pipelining = false, chunking = false, requiretls = false, dsn = false, future-release = false, deliver-by = false, mt-priority = false }
session.auth = { require = false, mechanisms = "['plain']", allow-plain-text = true }
`;
const DEFAULTS = `session.auth = { require = false, mechanisms = "['plain', 'login']" }`;

for (const [name, settings] of Object.entries({ EVERYTHING, NOTHING, DEFAULTS })) {
  for (const protocol of ["smtp", "lmtp"] as const) {
    for (const tls of [false, true]) {
      for (const login of [false, true]) {
        if (login && !tls && name === "DEFAULTS") continue;
        const state = `${protocol}, ${tls ? "TLS" : "clear text"}, ${login ? "logged in" : "no login"}`;
        Deno.test(`${name.toLowerCase()}: what is offered works, what is not does not (${state})`, async () => {
          const world = sessionWorld({ settings });
          const client = await greeted(world, { protocol, tls, login });
          const hello = await client.say(`${protocol === "lmtp" ? "LHLO" : "EHLO"} client.example.net`);
          const words = hello.split("\n").slice(1).map((line) => line.slice(4).split(" ")[0]!);
          for (const [keyword, attempt] of Object.entries(ATTEMPTS)) {
            assert.equal(await attempt(client), words.includes(keyword), keyword);
          }
          assert.equal(words.includes("STARTTLS"), !tls);
          if (!login) {
            const works = (await client.say("AUTH PLAIN")).startsWith("334");
            if (works) await client.say("*");
            assert.equal(works, words.includes("AUTH"), "AUTH");
          }
          assert.equal((await client.say("STARTTLS")).startsWith("220"), words.includes("STARTTLS"), "STARTTLS");
        });
      }
    }
  }
}

/** Keywords that a default configuration offers beyond those that are always on. */
async function byDefault(options: ClientOptions): Promise<string> {
  const client = await greeted(sessionWorld(), options);
  const hello = await client.say(`${options.protocol === "lmtp" ? "LHLO" : "EHLO"} client.example.net`);
  return hello.split("\n").map((line) => line.slice(4)).filter((line) => /^(?:AUTH|STARTTLS|REQUIRETLS)/.test(line))
    .join(", ");
}

Deno.test("by default AUTH is offered on submission listeners inside TLS, and nowhere else", async () => {
  const submission = { listener: "submission", localPort: 587 };
  assert.equal(await byDefault({}), "STARTTLS");
  assert.equal(await byDefault({ tls: true }), "REQUIRETLS");
  assert.equal(await byDefault({ canStartTls: false }), "");
  assert.equal(await byDefault(submission), "STARTTLS");
  assert.equal(await byDefault({ ...submission, tls: true }), "AUTH PLAIN LOGIN, REQUIRETLS");
  assert.equal(await byDefault({ listener: "lmtp", localPort: 24, protocol: "lmtp", tls: true }), "REQUIRETLS");
});
