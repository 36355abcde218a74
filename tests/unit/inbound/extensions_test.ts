/** SMTP service extensions: what is offered when, what their parameters may be, and what they do. */

import assert from "node:assert/strict";
import type { Directory } from "../../../src/directory/mod.ts";
import type { MailParameters } from "../../../src/smtp/mod.ts";
import { dialogue, greeted, openSession, sendMessage, sessionWorld, type TestClient } from "../../support/session.ts";

const OPEN = `
session.auth.mechanisms = "['plain']"
session.auth.allow-plain-text = true
session.auth.errors = { wait = "0s" }
session.rcpt.errors = { wait = "0s" }
session.rcpt.relay = true
`;

const ALL = `${OPEN}
session.extensions = { dsn = true, future-release = "7d", deliver-by = "15d", mt-priority = "'mixer'", no-soliciting = "'net.example:ADV'", vrfy = true, expn = true }
`;

async function offer(client: TestClient): Promise<string[]> {
  return (await client.say("EHLO client.example.net")).split("\n").slice(1).map((line) => line.slice(4));
}

/** The parameters that reach the queue from one MAIL command. */
async function parametersOf(command: string, login = false): Promise<MailParameters | string> {
  const world = sessionWorld({ settings: ALL });
  const client = await greeted(world, { login, tls: true });
  const answer = await client.say(`MAIL FROM:<ana@example.org> ${command}`);
  if (!answer.startsWith("250")) return answer;
  await dialogue(client, ["RCPT TO:<x@elsewhere.example>", "250"], ["DATA", "354"]);
  client.send("A: b\r\n\r\nc\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  return world.queue.messages[0]!.envelope.parameters;
}

Deno.test("what is offered changes with TLS and login, and what is not offered is refused", async () => {
  const world = sessionWorld({ settings: OPEN });
  const client = openSession(world);
  await client.reply();
  const always = ["PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
  const tail = ["LIMITS RCPTMAX=100 MAILMAX=10", "HELP"];
  assert.deepEqual(await offer(client), [...always, "STARTTLS", "AUTH PLAIN", "CHUNKING", "BINARYMIME", ...tail]);
  for (const parameter of ["REQUIRETLS", "RET=FULL", "HOLDFOR=1", "BY=1;R", "MT-PRIORITY=1", "SOLICIT=a:b"]) {
    assert.match(await client.say(`MAIL FROM:<a@example.net> ${parameter}`), /^555 5\.5\.4 /, parameter);
  }
  assert.match(await client.say("STARTTLS"), /^220 /);
  assert.deepEqual(await offer(client), [...always, "AUTH PLAIN", "CHUNKING", "BINARYMIME", "REQUIRETLS", ...tail]);
  assert.match(await client.say("STARTTLS"), /^503 /);
  assert.match(await client.say("AUTH PLAIN AGFuYQBzZWNyZXQ="), /^235 /);
  // Usable without a second EHLO.
  await dialogue(client, ["MAIL FROM:<ana@example.org> RET=FULL HOLDFOR=1", "250"], ["RSET", "250"]);
  assert.deepEqual((await offer(client)).slice(5), [
    "AUTH PLAIN",
    "CHUNKING",
    "BINARYMIME",
    "DSN",
    "REQUIRETLS",
    "FUTURERELEASE 604800 2026-01-12T12:00:00Z",
    "DELIVERBY",
    "MT-PRIORITY MIXER",
    ...tail,
  ]);
});

Deno.test("after STARTTLS expressions know nothing of what was said in clear (RFC 3207 §4.2)", async () => {
  const settings = `${OPEN}session.ehlo.require = false\nsession.mail.is-allowed = "is_empty(helo_domain)"\n`;
  const client = await greeted(sessionWorld({ settings }));
  await dialogue(client, ["MAIL FROM:<a@example.net>", "550 5.7.1"], ["STARTTLS", "220"], [
    "MAIL FROM:<a@example.net>",
    "250",
  ]);
});

Deno.test("after HELO there are no extensions", async () => {
  const client = openSession(sessionWorld({ settings: ALL }));
  await client.reply();
  await dialogue(
    client,
    ["HELO client.example.net", "250 mx.example.org"],
    ["MAIL FROM:<a@example.net> SIZE=1", "555 5.5.4"],
    ["AUTH PLAIN AGFuYQBzZWNyZXQ=", "503"],
    ["MAIL FROM:<a@example.net>", "250"],
    ["RCPT TO:<ana@example.org> NOTIFY=NEVER", "555 5.5.4"],
    ["RCPT TO:<ana@example.org>", "250"],
  );
  client.send("BDAT 3 LAST\r\nabc");
  assert.match(await client.reply(), /^502 5\.5\.1 /);
});

Deno.test("LMTP speaks LHLO only, SMTP never", async () => {
  const lmtp = openSession(sessionWorld(), { protocol: "lmtp" });
  await lmtp.reply();
  // RFC 2033 §4.1
  await dialogue(lmtp, ["EHLO a.example", "500 5.5.1"], ["HELO a.example", "500 5.5.1"], ["LHLO a.example", "250"]);
  const smtp = openSession(sessionWorld());
  await smtp.reply();
  await dialogue(smtp, ["LHLO a.example", "500 5.5.1"]);
});

Deno.test("LMTP answers the content once for each accepted RCPT, lists and repetitions included", async () => {
  const world = sessionWorld({ settings: OPEN });
  for (const bdat of [false, true]) {
    const client = await greeted(world, { protocol: "lmtp" });
    await dialogue(
      client,
      ["MAIL FROM:<a@example.net>", "250"],
      ["RCPT TO:<staff@example.org>", "250"],
      ["RCPT TO:<nobody@example.org>", "550"],
      ["RCPT TO:<ana@example.org>", "250"],
      ["RCPT TO:<ana@example.org>", "250"],
    );
    if (bdat) client.send("BDAT 10 LAST\r\nA: b\r\n\r\nc\n");
    else {
      await dialogue(client, ["DATA", "354"]);
      client.send("A: b\r\n\r\nc\r\n.\r\n");
    }
    for (let i = 0; i < 3; i++) assert.match(await client.reply(), bdat ? /^554 5\.6\.0/ : /^250 2\.0\.0/);
    assert.match(await client.say("NOOP"), /^250 /);
  }
  assert.deepEqual(world.queue.messages[0]?.recipients.map(({ address }) => address), [
    "ana@example.org",
    "bob@example.org",
  ]);
});

Deno.test("SIZE: a message that is declared or proves too large is refused with 552 (RFC 1870)", async () => {
  const world = sessionWorld({ settings: `session.data.limits = { size = 20 }` });
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@example.net> SIZE=21", "552 5.3.4"], [
    "MAIL FROM:<a@example.net> SIZE=20",
    "250",
  ]);
  await dialogue(client, ["RCPT TO:<ana@example.org>", "250"], ["DATA", "354"]);
  client.send("A: b\r\n\r\n123456789012\r\n.\r\n");
  assert.match(await client.reply(), /^552 5\.3\.4 /);
  assert.match(await sendMessage(client, { content: "A: b\r\n\r\n1234567890\r\n" }), /^250 /);
  assert.equal(world.queue.pending, 0);
});

Deno.test("BDAT: chunks of any size make one message, and what stands behind a chunk is the next command", async () => {
  const world = sessionWorld();
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@example.net> BODY=BINARYMIME", "250"], ["RCPT TO:<ana@example.org>", "250"]);
  client.send("BDAT 0\r\nBDAT 8\r\nA: b\r\n\r\nBDAT 7\r\nQUIT\r\n.NOOP\r\nBDAT 2\r\n\r\nBDAT 0 LAST\r\n");
  for (const expected of [/^250 2\.0\.0 0 octets/, /8 octets/, /7 octets/, /^250 2\.0\.0 OK/, /2 octets/, /queued/]) {
    assert.match(await client.reply(), expected);
  }
  assert.ok(world.queue.text(0).endsWith("A: b\r\n\r\nQUIT\r\n.\r\n"));
});

Deno.test("BDAT: sizes that are no number are refused", async () => {
  const client = await greeted(sessionWorld());
  for (const line of ["BDAT", "BDAT -1", "BDAT 1e3", "BDAT 0x10", "BDAT 5 FIRST", "BDAT 99999999999999999999"]) {
    assert.match(await client.say(line), /^501 5\.5\.4 /, line);
  }
});

Deno.test("BDAT: a lost chunk spoils the message, whatever comes behind it (RFC 3030 §2)", async () => {
  const world = sessionWorld();
  const client = await greeted(world);
  client.send(
    "MAIL FROM:<a@example.net>\r\nBDAT 6\r\nNOOP\r\nRCPT TO:<ana@example.org>\r\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n",
  );
  for (const expected of ["250 2.1.0", "503 5.5.1", "503 5.5.1", "503 5.5.1", "250 2.0.0 OK"]) {
    assert.ok((await client.reply()).startsWith(expected), expected);
  }
  assert.deepEqual(world.queue.messages, []);
  assert.match(await sendMessage(client), /^250 /);
});

Deno.test("BDAT: octets of a chunk are read although its settings cannot be looked up", async () => {
  const { LookupUnavailable } = await import("../../../src/expression/mod.ts");
  let away = false;
  const world = sessionWorld({
    settings: `session.extensions.chunking = "!key_exists('data', 'x')"`,
    functions: {
      keyExists: () => {
        if (away) throw new LookupUnavailable("no store");
        return false;
      },
    },
  });
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@example.net>", "250"], ["RCPT TO:<ana@example.org>", "250"]);
  away = true;
  client.send("BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n");
  assert.match(await client.reply(), /^451 4\.3\.0 /);
  assert.match(await client.reply(), /^451 4\.3\.0 /);
  away = false;
  assert.match(await sendMessage(client), /^250 /);
  assert.equal(world.queue.messages.length, 1);
});

Deno.test("SMTPUTF8: international addresses need the parameter (RFC 6531 §3.5)", async () => {
  const world = sessionWorld({ settings: OPEN });
  const client = await greeted(world);
  await dialogue(
    client,
    ["MAIL FROM:<ä@example.net>", "553 5.6.7"],
    ["MAIL FROM:<a@bücher.example>", "553 5.6.7"],
    ["MAIL FROM:<a@example.net> SMTPUTF8=1", "501 5.5.4"],
    ["MAIL FROM:<a@example.net>", "250"],
    ["RCPT TO:<ana@bücher.example>", "553 5.6.7"],
    ["RSET", "250"],
    ["MAIL FROM:<ä@example.net> SMTPUTF8", "250"],
    ["RCPT TO:<ana@xn--bcher-kva.example>", "250"],
    ["RCPT TO:<ana@BÜCHER.example>", "250"],
    ["DATA", "354"],
  );
  client.send("A: b\r\n\r\nc\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  assert.equal(world.queue.messages[0]?.envelope.parameters.smtputf8, true);
  assert.match(world.queue.text(0), / with UTF8SMTP id /);
});

Deno.test("DSN: parameters are decoded, and each rule of RFC 3461 §4 holds", async () => {
  const world = sessionWorld({ settings: ALL });
  const client = await greeted(world);
  for (
    const bad of [
      "RET=BOTH",
      "RET",
      "ENVID=",
      `ENVID=${"x".repeat(101)}`,
      "ENVID=a+2",
      "ENVID=a+0A",
      "RET=FULL RET=FULL",
    ]
  ) {
    assert.match(await client.say(`MAIL FROM:<a@example.net> ${bad}`), /^501 5\.5\.4 /, bad);
  }
  await dialogue(client, ["MAIL FROM:<a@example.net> RET=HDRS ENVID=QQ+2B1", "250"]);
  const bad = [
    "NOTIFY=",
    "NOTIFY=NEVER,SUCCESS",
    "NOTIFY=SUCCESS,NEVER",
    "NOTIFY=OFTEN",
    "NOTIFY=SUCCESS NOTIFY=DELAY",
    "ORCPT=ana@example.org",
    "ORCPT=rfc822;",
    "ORCPT=rfc822;a+0D+0A",
    `ORCPT=rfc822;${"x".repeat(500)}`,
    "RET=FULL",
  ];
  for (const parameter of bad) {
    assert.match(await client.say(`RCPT TO:<ana@example.org> ${parameter}`), /^5(?:01|55) 5\.5\.4 /, parameter);
  }
  await dialogue(
    client,
    ["RCPT TO:<ana@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Ana+2B1@example.org", "250"],
    ["RCPT TO:<bob@example.org> NOTIFY=never", "250"],
    ["DATA", "354"],
  );
  client.send("A: b\r\n\r\nc\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  const [message] = world.queue.messages;
  assert.equal(message?.envelope.parameters.ret, "hdrs");
  assert.equal(message?.envelope.parameters.envid, "QQ+1");
  assert.deepEqual(message?.recipients.map(({ parameters }) => parameters), [
    {
      notify: { never: false, success: true, failure: false, delay: true },
      orcpt: { type: "rfc822", address: "Ana+1@example.org" },
    },
    { notify: { never: true, success: false, failure: false, delay: false } },
  ]);
});

Deno.test("AUTH=: only a login may vouch, and only for its own addresses (RFC 4954 §5)", async () => {
  const auth = async (value: string, login: boolean) => await parametersOf(`AUTH=${value}`, login);
  assert.deepEqual(await auth("ana@example.org", false), { auth: "" });
  assert.deepEqual(await auth("<>", false), { auth: "" });
  assert.deepEqual(await auth("ana@example.org", true), { auth: "ana@example.org" });
  assert.deepEqual(await auth("ana+40example.org", true), { auth: "ana@example.org" });
  assert.deepEqual(await auth("bob@example.org", true), { auth: "" });
  assert.match(String(await auth("ana+4", true)), /^501 5\.5\.4 /);
  assert.match(String(await auth("a+0Ab", true)), /^501 5\.5\.4 /);
});

Deno.test("REQUIRETLS: offered and honoured inside TLS only (RFC 8689)", async () => {
  assert.deepEqual(await parametersOf("REQUIRETLS"), { requiretls: true });
  assert.match(String(await parametersOf("REQUIRETLS=1")), /^501 5\.5\.4 /);
  const client = await greeted(sessionWorld({ settings: ALL }));
  assert.match(await client.say("MAIL FROM:<a@example.net> REQUIRETLS"), /^555 5\.5\.4 /);
});

Deno.test("NO-SOLICITING: classes that are not wanted are refused at MAIL and in the header (RFC 3865)", async () => {
  const world = sessionWorld({ settings: ALL });
  const client = await greeted(world);
  assert.ok((await offer(client)).includes("NO-SOLICITING net.example:ADV"));
  await dialogue(
    client,
    [
      "MAIL FROM:<a@example.net> SOLICIT=org.example:X,NET.example:adv",
      "550 5.7.1 Soliciting mail of this kind is not wanted here, SOLICIT=NET.example:adv",
    ],
    ["MAIL FROM:<a@example.net> SOLICIT=net.example:adv,", "501 5.5.4"],
    ["MAIL FROM:<a@example.net> SOLICIT=org.example:X", "250"],
    ["RSET", "250"],
  );
  assert.match(await sendMessage(client, { content: "Solicitation: net.example:ADV\r\n\r\n" }), /^550 5\.7\.1 /);
  assert.match(await sendMessage(client, { content: "Solicitation: org.example:X, com.example:Y\r\n\r\n" }), /^250 /);
  // RFC 3865 §2.6 and 2.7: told on, and in the trace field.
  assert.equal(world.queue.messages.at(-1)?.envelope.parameters.solicit, "org.example:X,com.example:Y");
  assert.match(world.queue.text(0), /\r\n\t\(SOLICIT=org\.example:X,com\.example:Y\)\r\n/);
  assert.match(await sendMessage(client, { content: "Solicitation: really? (no)\r\n\r\n" }), /^250 /);
  assert.equal(world.queue.messages.at(-1)?.envelope.parameters.solicit, undefined);
});

Deno.test("FUTURERELEASE: holds up to the limit, by interval or by time (RFC 4865)", async () => {
  const day = 24 * 60 * 60;
  const world = sessionWorld({ settings: ALL });
  const client = await greeted(world);
  const week = new Date(world.clock.now() + 7 * day * 1000).toISOString();
  const later = new Date(world.clock.now() + 7 * day * 1000 + 1000).toISOString();
  for (
    const bad of [
      `HOLDFOR=${7 * day + 1}`,
      `HOLDUNTIL=${later}`,
      "HOLDFOR=-1",
      "HOLDFOR=0",
      "HOLDFOR=",
      "HOLDFOR=1d",
      "HOLDUNTIL=2026-01-06",
      "HOLDUNTIL=2026-13-06T00:00:00Z",
      `HOLDFOR=60 HOLDUNTIL=${week}`,
      "HOLDFOR=60 HOLDFOR=60",
    ]
  ) {
    assert.match(await client.say(`MAIL FROM:<a@example.net> ${bad}`), /^501 5\.5\.4 /, bad);
  }
  for (const [parameter, seconds] of [[`HOLDFOR=${7 * day}`, 7 * day], [`HOLDUNTIL=${week}`, 7 * day]] as const) {
    await dialogue(
      client,
      [`MAIL FROM:<a@example.net> ${parameter}`, "250"],
      ["RCPT TO:<ana@example.org>", "250"],
      ["DATA", "354"],
    );
    client.send("A: b\r\n\r\n.\r\n");
    assert.match(await client.reply(), /^250 /);
    assert.equal(world.queue.messages.at(-1)?.holdUntil, world.clock.now() + seconds * 1000);
  }
});

Deno.test("DELIVERBY: deadlines up to the limit; mode R needs one that lies ahead (RFC 2852 §4)", async () => {
  const day = 24 * 60 * 60;
  for (
    const bad of [
      "0;R",
      "-5;R",
      "",
      "5",
      "5;X",
      "5;RX",
      "1234567890;N",
      "5;R BY=5;R",
    ]
  ) {
    assert.match(String(await parametersOf(`BY=${bad}`)), /^501 5\.5\.4 /, bad);
  }
  for (const far of [`${15 * day + 1};R`, `${16 * day};N`]) {
    assert.match(String(await parametersOf(`BY=${far}`)), /^555 5\.5\.4 /, far);
  }
  assert.deepEqual(await parametersOf("BY=1;R"), { by: { seconds: 1, mode: "return", trace: false } });
  assert.deepEqual(await parametersOf("BY=-5;nt"), { by: { seconds: -5, mode: "notify", trace: true } });
  // It could never be delivered in time.
  assert.match(String(await parametersOf("BY=60;R HOLDFOR=60")), /^501 5\.5\.4 /);
  // RFC 4865 §5.2.2 does not ask which mode it is.
  assert.match(String(await parametersOf("BY=59;N HOLDFOR=60")), /^501 5\.5\.4 /);
  assert.match(String(await parametersOf("BY=-5;N HOLDFOR=60")), /^501 5\.5\.4 /);
  assert.deepEqual(await parametersOf("BY=61;R HOLDFOR=60"), {
    by: { seconds: 61, mode: "return", trace: false },
    holdFor: 60,
  });
});

Deno.test("MT-PRIORITY: messages are handled at the levels of the policy, and keep their value (RFC 6710 §5)", async () => {
  // The levels of appendices B, A and C; what lies between is handled at the next one above.
  const levels = {
    mixer: [[-9, -4], [-4, -4], [-3, 0], [0, 0], [1, 4], [4, 4], [9, 4]],
    stanag4406: [[-9, -4], [-3, -2], [-2, -2], [-1, 0], [0, 0], [2, 2], [3, 4], [5, 6], [6, 6], [9, 6]],
    nsep: [[-9, -2], [-2, -2], [-1, 0], [0, 0], [1, 2], [4, 4], [5, 6], [6, 6], [8, 6]],
  } as const;
  for (const [policy, pairs] of Object.entries(levels)) {
    const world = sessionWorld({ settings: `session.extensions.mt-priority = "'${policy}'"` });
    for (const [asked, level] of pairs) {
      const client = await greeted(world);
      assert.ok((await offer(client)).includes(`MT-PRIORITY ${policy.toUpperCase()}`));
      await dialogue(
        client,
        [`MAIL FROM:<a@example.net> MT-PRIORITY=${asked}`, "250 2.1.0 Sender OK"],
        ["RCPT TO:<ana@example.org>", "250"],
        ["DATA", "354"],
      );
      client.send("A: b\r\n\r\n.\r\n");
      assert.match(await client.reply(), /^250 /);
      const message = world.queue.messages.at(-1);
      assert.equal(message?.priority, level, `${policy} ${asked}`);
      assert.equal(message?.envelope.parameters.mtPriority, asked);
      assert.match(world.queue.text(world.queue.messages.length - 1), new RegExp(`\\tpriority ${asked};\\r\\n`));
    }
  }
  for (const bad of ["10", "-10", "+1", "01", "", "high"]) {
    assert.match(String(await parametersOf(`MT-PRIORITY=${bad}`)), /^501 5\.5\.4 /, bad);
  }
});

Deno.test("VRFY and EXPN answer from the directory where they are on, and keep silent where they are off", async () => {
  const off = await greeted(sessionWorld());
  await dialogue(off, ["VRFY ana@example.org", "252 2.5.2"], ["VRFY nobody@example.org", "252"], [
    "EXPN staff@example.org",
    "502",
  ]);
  const on = await greeted(sessionWorld({ settings: ALL }));
  const words = await offer(on);
  assert.ok(words.includes("VRFY") && words.includes("EXPN"));
  await dialogue(
    on,
    ["VRFY <ana@example.org>", "250 2.1.5 <ana@example.org>"],
    ["VRFY nobody@example.org", "550 5.1.1"],
    ["VRFY x@elsewhere.example", "252"],
    ["VRFY", "501 5.5.4"],
    ["EXPN staff@example.org", "250-2.1.5 Ana Lima <ana@example.org>\n250 2.1.5 <bob@example.org>"],
    ["EXPN nobody@example.org", "550 5.1.1"],
  );
});

Deno.test("VRFY and EXPN take a name without a domain for the one that a local domain has", async () => {
  const people: Readonly<Record<string, readonly string[]>> = {
    "ana@example.org": ["ana"],
    "ana@example.net": ["ana"],
    "info@example.org": ["ana"],
    "info@example.net": ["bob"],
    "all@example.net": ["ana", "bob"],
  };
  const listed = { domains: ["example.org", "example.net"] };
  const directory: Directory = {
    id: "staff",
    isLocalDomain: (domain) => domain.startsWith("example."),
    localDomains: () => listed.domains,
    recipients: (address) => people[address] ?? [],
    account: (name) => ({ name, class: "individual", emails: [`${name}@example.org`] }),
    login: () => Promise.resolve({ kind: "refused" }),
  };
  const client = await greeted(sessionWorld({ settings: ALL, directory }));
  await dialogue(
    client,
    ["VRFY ana", "250 2.1.5 <ana@example.org>"],
    ["VRFY <ana+list>", "250 2.1.5 <ana+list@example.org>"],
    ["VRFY all", "250 2.1.5 <all@example.net>"],
    ["EXPN all", "250-2.1.5 <ana@example.org>\n250 2.1.5 <bob@example.org>"],
    // RFC 5321 §3.5.1: no one of them is meant more than the other.
    ["VRFY info", "553 5.1.4"],
    ["EXPN info", "553 5.1.4"],
    // Not all domains have to be listed, so nobody is denied.
    ["VRFY nobody", "252 2.5.2"],
    ["EXPN nobody", "550 5.1.1"],
    ["VRFY no body", "252 2.5.2"],
    ["VRFY a@b@c", "252 2.5.2"],
  );
  listed.domains = Array.from({ length: 17 }, (_, i) => i === 0 ? "example.org" : `d${i}.example.net`);
  await dialogue(client, ["VRFY ana", "252 2.5.2"], ["VRFY ana@example.org", "250 2.1.5"]);
});

Deno.test("VRFY does not deny an address that RCPT would take by the catch-all", async () => {
  const world = sessionWorld({ settings: `${ALL}\nsession.rcpt.catch-all = "'bob@example.org'"` });
  const client = await greeted(world);
  await dialogue(client, ["VRFY anybody@example.org", "252 2.5.2"], ["EXPN anybody@example.org", "550 5.1.1"]);
});

Deno.test("settings that cannot be looked up cost DATA with 451, and no content is begun", async () => {
  const { LookupUnavailable } = await import("../../../src/expression/mod.ts");
  const world = sessionWorld({
    settings: `session.data.limits.size = "if_then(rcpt != '' && key_exists('data', rcpt), 1, 1000)"`,
    functions: {
      keyExists: () => {
        throw new LookupUnavailable("no store");
      },
    },
  });
  const client = await greeted(world);
  await dialogue(
    client,
    ["MAIL FROM:<a@example.net>", "250"],
    ["RCPT TO:<ana@example.org>", "250"],
    ["DATA", "451 4.3.0"],
    ["NOOP", "250"],
  );
  assert.equal(world.queue.pending, 0);
});

Deno.test("VRFY and EXPN: international answers go only to who asks for them (RFC 6531 §3.7.4)", async () => {
  const client = await greeted(sessionWorld({ settings: ALL }));
  await dialogue(
    client,
    ["VRFY ana@bücher.example", "553 5.6.7"],
    ["VRFY ana@bücher.example SMTPUTF8", "250 2.1.5 <ana@bücher.example>"],
    ["VRFY ana@xn--bcher-kva.example", "550 5.6.8"],
    ["EXPN ana@bücher.example", "553 5.6.7"],
  );
});

Deno.test("EXPN leaves out a full name beyond ASCII where the client did not ask for UTF-8", async () => {
  const directory: Directory = {
    id: "staff",
    isLocalDomain: () => true,
    localDomains: () => ["example.org"],
    recipients: () => Promise.resolve(["joao"]),
    account: (name) =>
      Promise.resolve({ name, class: "individual", description: "João Sá", emails: ["joao@example.org"] }),
    login: () => Promise.resolve({ kind: "refused" }),
  };
  const client = await greeted(sessionWorld({ settings: ALL, directory }));
  await dialogue(
    client,
    ["EXPN staff@example.org", "250 2.1.5 <joao@example.org>"],
    ["EXPN staff@example.org SMTPUTF8", "250 2.1.5 João Sá <joao@example.org>"],
  );
});

Deno.test("LIMITS names what the session permits, if it can be said in six digits (RFC 9422)", async () => {
  const settings = `session.rcpt.max-recipients = 7\nsession.data.limits = { messages = 1000000 }`;
  const client = await greeted(sessionWorld({ settings }));
  assert.ok((await offer(client)).includes("LIMITS RCPTMAX=7"));
});
