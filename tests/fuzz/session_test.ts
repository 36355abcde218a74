/**
 * Random and mutated dialogues against a live session: it neither breaks nor hangs, says nothing but replies, keeps
 * nothing that it did not acknowledge, and holds no more in memory than it must.
 */

import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { settle } from "../support/fake_clock.ts";
import { runs } from "../support/fuzz_runs.ts";
import { openSession, sessionWorld } from "../support/session.ts";

const SETTINGS = `
session.auth = { mechanisms = "['plain', 'login']", allow-plain-text = true, must-match-sender = false, errors = { wait = "0s", total = 5 } }
session.rcpt = { relay = "remote_ip == '192.0.2.7'", errors = { wait = "0s", total = 10 } }
session.extensions = { dsn = true, future-release = "7d", deliver-by = "15d", mt-priority = "'stanag4406'", no-soliciting = "'net.example:ADV'", vrfy = true, expn = true }
session.data.limits = { size = 5000, messages = 5 }
session.transfer-limit = 50000
`;

const worlds = ["refuse", "normalize"].map((mode) =>
  sessionWorld({ settings: `${SETTINGS}\nsession.data.bare-newline = "'${mode}'"` })
);

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const utf8 = (text: string) => new TextEncoder().encode(text);

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const address = fc.constantFrom(
  "ana@example.org",
  "staff@example.org",
  "nobody@example.org",
  "x@elsewhere.example",
  '"a b"@example.org',
  "x@[192.0.2.1]",
  "ä@bücher.example",
  "@a.example:ana@example.org",
  "",
  "postmaster",
);
const mailParameter = fc.constantFrom(
  "SIZE=100",
  "SIZE=999999",
  "BODY=8BITMIME",
  "BODY=BINARYMIME",
  "SMTPUTF8",
  "RET=HDRS",
  "ENVID=a+2Bb",
  "AUTH=<>",
  "HOLDFOR=60",
  "HOLDUNTIL=2026-01-06T00:00:00Z",
  "BY=100;R",
  "BY=-1;N",
  "MT-PRIORITY=3",
  "SOLICIT=net.example:ADV",
  "REQUIRETLS",
);
const rcptParameter = fc.constantFrom("NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;a+40b", "NOTIFY=");
const words = (parameter: fc.Arbitrary<string>) =>
  fc.uniqueArray(parameter, { maxLength: 4 }).map((list) => list.map((word) => ` ${word}`).join(""));

const content = fc.array(
  fc.constantFrom(
    "Subject: x\r\n",
    "\r\n",
    ".",
    "..",
    "a",
    "\n",
    "\r",
    "\0",
    "\xff",
    "\r\n.\r",
    "QUIT\r\n",
    "y".repeat(900),
  ),
  { maxLength: 12 },
).map((parts) => parts.join(""));

const command = fc.oneof(
  fc.constantFrom(
    "EHLO client.example",
    "LHLO client.example",
    "HELO client.example",
    "EHLO [192.0.2.7]",
    "RSET",
    "NOOP",
  )
    .map((line) => utf8(`${line}\r\n`)),
  fc.constantFrom("VRFY ana@example.org", "EXPN staff@example.org", "HELP", "STARTTLS", "QUIT", "", "XYZZY", "DATA")
    .map((line) => utf8(`${line}\r\n`)),
  fc.constantFrom(
    "AUTH PLAIN AGFuYQBzZWNyZXQ=",
    "AUTH PLAIN",
    "AUTH LOGIN",
    "AUTH LOGIN YW5h",
    "AUTH X",
    "*",
    "c2VjcmV0",
    "=",
  )
    .map((line) => utf8(`${line}\r\n`)),
  fc.tuple(address, words(mailParameter)).map(([path, rest]) => utf8(`MAIL FROM:<${path}>${rest}\r\n`)),
  fc.tuple(address, words(rcptParameter)).map(([path, rest]) => utf8(`RCPT TO:<${path}>${rest}\r\n`)),
  content.map((text) => latin1(`DATA\r\n${text}\r\n.\r\n`)),
  fc.tuple(content, fc.boolean(), fc.constantFrom(0, 0, 0, 1, -1)).map(([text, last, slip]) =>
    latin1(`BDAT ${Math.max(0, text.length + slip)}${last ? " LAST" : ""}\r\n${text}`)
  ),
  // A transaction that may well succeed.
  fc.tuple(words(mailParameter), content, fc.boolean()).map(([rest, text, chunk]) =>
    concat([
      utf8(`MAIL FROM:<ana@example.org>${rest}\r\nRCPT TO:<ana@example.org>\r\n`),
      latin1(chunk ? `BDAT ${text.length} LAST\r\n${text}` : `DATA\r\n${text.replace(/\r\n\./g, "\r\n..")}\r\n.\r\n`),
    ])
  ),
  fc.uint8Array({ maxLength: 40 }),
  fc.nat(20_000).map((length) => new Uint8Array(length).fill(0x41)),
);

/** Octets changed, taken out, put in or repeated. */
const mutation = fc.record({
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: fc.constantFrom("change", "delete", "insert", "repeat"),
  octet: fc.constantFrom(0x00, 0x0a, 0x0d, 0x20, 0x2e, 0x3c, 0x3e, 0x22, 0x41, 0x7f, 0x80, 0xc3, 0xff),
});

function mutate(bytes: Uint8Array, mutations: readonly { place: number; kind: string; octet: number }[]): Uint8Array {
  let octets = bytes;
  for (const { place, kind, octet } of mutations) {
    const at = Math.min(octets.length, Math.floor(place * octets.length));
    const [before, after] = [
      octets.subarray(0, at),
      octets.subarray(kind === "change" || kind === "delete" ? at + 1 : at),
    ];
    const middle = kind === "delete" ? [] : kind === "repeat" ? octets.subarray(at, at + 30) : [octet];
    octets = concat([before, Uint8Array.from(middle), after]);
  }
  return octets;
}

const VALID = concat([
  utf8("EHLO client.example\r\nMAIL FROM:<a@example.net> SIZE=100\r\nRCPT TO:<ana@example.org>\r\n"),
  utf8("DATA\r\nSubject: x\r\n\r\n..\r\ntext\r\n.\r\nAUTH PLAIN AGFuYQBzZWNyZXQ=\r\nMAIL FROM:<ana@example.org>\r\n"),
  utf8(
    "RCPT TO:<x@elsewhere.example> NOTIFY=NEVER\r\nBDAT 14\r\nSubject: x\r\n\r\nBDAT 6 LAST\r\nbody\r\nSTARTTLS\r\n",
  ),
  utf8("EHLO client.example\r\nVRFY ana@example.org\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n"),
]);

interface Input {
  readonly bytes: Uint8Array;
  readonly segment: number;
  readonly protocol: "smtp" | "lmtp";
  readonly world: number;
}

const REPLY_LINE = /^([2-5][0-9]{2})([ -])([ -~\u00a0-\u{10ffff}]*)$/u;

/** Runs one session over the input and checks what must hold whatever it was. Gives the session. */
async function check({ bytes, segment, protocol, world: index }: Input): Promise<object> {
  const world = worlds[index]!;
  world.events.length = 0;
  world.queue.messages.length = 0;
  const client = openSession(world, { segment, protocol });
  let over = false;
  const ended = client.ended.then(() => over = true);
  client.send(bytes);
  client.hangUp();
  for (let round = 0; round < 2000 && !over; round++) {
    if (round > 100) await new Promise((resolve) => setTimeout(resolve, 0));
    await settle(50);
    // Delays and limits go by the clock; a session that still waits then hangs.
    if (round > 200) await world.clock.advance(1000);
  }
  assert.ok(over, "the session hangs");
  await ended;

  const broken = world.events.find(({ name }) => name === "server.unexpected-error");
  assert.equal(broken, undefined, JSON.stringify(broken));
  assert.equal(world.queue.pending, 0, "content is left behind");
  assert.equal(world.clock.pending, 0, "a timer is left behind");
  assert.ok(client.session.input.length <= 64 * 1024, "too much input is kept");

  const output = client.unread;
  assert.ok(output === "" || output.endsWith("\r\n"), "a reply is not ended");
  let open = "";
  let acknowledged = 0;
  for (const line of output.split("\r\n").slice(0, -1)) {
    const match = REPLY_LINE.exec(line);
    assert.ok(match, `not a reply: ${JSON.stringify(line)}`);
    assert.ok(utf8(line).length <= 510 || match[1] === "334", `reply line too long: ${line}`);
    assert.ok(open === "" || open === match[1], `the code changes within a reply: ${line}`);
    open = match[2] === "-" ? match[1]! : "";
    if (line.startsWith("250 2.0.0 Message queued")) acknowledged++;
  }
  assert.equal(open, "", "the last reply is not complete");
  const queued = world.queue.messages.length;
  if (protocol === "smtp") assert.equal(acknowledged, queued, "what is acknowledged is what is queued");
  else assert.ok(acknowledged >= queued && (queued > 0 || acknowledged === 0));
  for (let i = 0; i < queued; i++) {
    const message = world.queue.messages[i]!;
    assert.ok(message.recipients.length > 0);
    if (message.envelope.parameters.body !== "binarymime") {
      assert.doesNotMatch(world.queue.text(i), /(?<!\r)\n|\r(?!\n)/, "a bare CR or LF got through");
    }
  }
  return client.session;
}

const surroundings = {
  segment: fc.constantFrom(1, 2, 7, 100, 100_000),
  protocol: fc.constantFrom("smtp" as const, "smtp" as const, "lmtp" as const),
  world: fc.constantFrom(0, 1),
};

Deno.test("a session withstands random dialogues", async () => {
  const greeted = fc.array(command, { maxLength: 25 }).map((parts) =>
    concat([utf8("EHLO client.example\r\n"), ...parts])
  );
  const input = fc.record({
    bytes: fc.oneof(greeted, fc.array(command, { maxLength: 25 }).map(concat)),
    ...surroundings,
  });
  await fc.assert(fc.asyncProperty(input, async (one) => void await check(one)), { numRuns: runs(300) });
});

Deno.test("a session withstands mutated dialogues", async () => {
  const bytes = fc.array(mutation, { minLength: 1, maxLength: 8 }).map((mutations) => mutate(VALID, mutations));
  await fc.assert(fc.asyncProperty(fc.record({ bytes, ...surroundings }), async (one) => void await check(one)), {
    numRuns: runs(300),
  });
});

Deno.test("the dialogue that is mutated is a valid one", async () => {
  await check({ bytes: VALID, segment: 100_000, protocol: "smtp", world: 0 });
  assert.equal(worlds[0]!.queue.messages.length, 2);
});

Deno.test("a session that is over is not kept in memory", async () => {
  const bytes = concat(Array.from({ length: 20 }, (_, i) => utf8(`NOOP ${"x".repeat(i * 300)}\r\n`)));
  const sessions: WeakRef<object>[] = [];
  for (let i = 0; i < 300; i++) {
    sessions.push(new WeakRef(await check({ bytes, segment: 500, protocol: "smtp", world: 0 })));
  }
  const alive = () => sessions.filter((session) => session.deref() !== undefined).length;
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    collect();
  }
  assert.ok(alive() <= 5, `${alive()} of 300 sessions are still held`);
});
