import assert from "node:assert/strict";
import type { Stage } from "../../../../src/filter/mod.ts";
import { memoryEditable } from "../../../../src/filter/modify.ts";
import { octets } from "../../../support/bytes.ts";
import { makeCertificate } from "../../../support/certificates.ts";
import { type FakeMilterOptions, milterPacket, startFakeMilter } from "../../../support/fake_milter.ts";
import { SESSION } from "../filtered.ts";
import { ANA, deliver, text, transaction, world } from "./world.ts";

/** What comes of a message if the filter answers its end with these packets and `c`. */
async function changed(packets: readonly Uint8Array[], content?: string, options: FakeMilterOptions = {}) {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "E" ? [...packets, milterPacket("c")] : undefined,
    ...options,
  });
  const it = world(milter);
  const outcome = await deliver(it, transaction(content));
  it.run.close();
  it.filter.retire();
  return { outcome, troubles: it.troubles, events: it.events, text: text(outcome.transaction) };
}

Deno.test("a filter hears the whole session in order, with fields without their first space and lines by LF", async () => {
  await using milter = await startFakeMilter();
  const it = world(milter);
  await deliver(it, transaction("Subject: hi\r\nTo:  ana,\r\n\tbob\r\nX:\r\n\r\nbody\r\n"));
  it.run.close();
  await milter.hears("K");
  assert.deepEqual(milter.heard.map(({ command, text }) => [command, text]).slice(1, -1), [
    ["C", "host.example.net|4\x12g192.0.2.7|"],
    ["H", "client.example.net|"],
    ["M", "<a@example.net>|SIZE=100|BODY=8BITMIME|"],
    ["R", "<ana@example.org>|"],
    ["T", ""],
    ["L", "Subject|hi|"],
    ["L", "To| ana,\n\tbob|"],
    ["L", "X||"],
    ["N", ""],
    ["B", "body\r\n"],
    ["E", ""],
  ]);
  assert.equal(milter.commands().at(-1), "K");
});

Deno.test("macros say who sends, over what, and which message it is", async () => {
  await using milter = await startFakeMilter();
  const it = world(milter);
  await deliver(it);
  assert.deepEqual(milter.macros, {
    C: {
      j: "mx.example.org",
      _: "host.example.net [192.0.2.7]",
      v: "godwit 0",
      "{daemon_name}": "smtp",
      "{daemon_addr}": "192.0.2.1",
      "{daemon_port}": "25",
      "{client_addr}": "192.0.2.7",
      "{client_name}": "host.example.net",
      "{client_port}": "4711",
      "{client_ptr}": "host.example.net",
      "{client_connections}": "1",
    },
    H: { "{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_256_GCM_SHA384", "{cipher_bits}": "256" },
    M: {
      "{auth_type}": "PLAIN",
      "{auth_authen}": "ana",
      "{mail_addr}": "a@example.net",
      "{mail_host}": "example.net",
      "{mail_mailer}": "smtp",
    },
    R: { "{rcpt_addr}": "ana@example.org", "{rcpt_host}": "example.org", "{rcpt_mailer}": "smtp" },
    T: { i: "queue1" },
    N: { i: "queue1" },
    E: { i: "queue1" },
  });
});

Deno.test("a client with an IPv6 address is told as one", async () => {
  await using milter = await startFakeMilter();
  const it = world(milter);
  const nameless = { authResults: () => Promise.resolve({}), remote: { ip: "2001:db8::1", port: 4711 } };
  await it.open({ ...SESSION, ...nameless }).judge("connect");
  assert.equal(milter.heard.at(-1)?.text, "[2001:db8::1]|6\x12g2001:db8::1|");
  assert.equal(milter.macros["C"]?.["{client_addr}"], "IPv6:2001:db8::1");
  assert.equal(milter.macros["C"]?.["_"], "[2001:db8::1]");
});

Deno.test("what goes over the connection is told by letters and octets", async () => {
  await using milter = await startFakeMilter();
  const it = world(milter);
  await deliver(it, transaction("A: b\r\n\r\nbody\r\n"));
  const told = it.traffic.map(({ name, fields }) => `${name.slice("milter.".length)} ${fields["commands"]}`);
  // Macros (D) stand before their command, and a message goes in one piece.
  assert.deepEqual(told, [
    ...["write DC", "read c", "write DH", "read c", "write DM", "read c", "write DR", "read c"],
    ...["write DTLDNBDE", "read c", "read c", "read c", "read c", "read c"],
  ]);
  const { session, filter, size } = it.traffic.at(-1)!.fields;
  assert.deepEqual([session, filter, size], ["s1", "m", 5]);
});

Deno.test("a filter whose answers wait for acknowledgements gets something to acknowledge them with, once that is known", async () => {
  const rest = Promise.withResolvers<void>();
  let message = 0;
  await using milter = await startFakeMilter({
    on: ({ command }) => {
      if (command !== "E") return undefined;
      const wait = ++message === 1 ? rest.promise : milter.hearsMacros("E", 3);
      return [milterPacket("h", "X-One", "1"), wait, milterPacket("h", "X-Two", "2"), milterPacket("c")];
    },
  });
  const it = world(milter);
  const first = deliver(it);
  const read = () =>
    it.traffic.filter(({ name, fields }) => name === "milter.read" && fields["commands"] === "h").length;
  while (read() === 0) await new Promise((resolve) => setTimeout(resolve));
  await it.clock.advance(40);
  rest.resolve();
  await first;
  it.run.reset();
  // A packet of macros that were told already; the filter has gone on only because of it.
  const { transaction: changed } = await deliver(it);
  assert.match(text(changed), /\r\nX-One: 1\r\nX-Two: 2\r\n/);
  const letters = it.traffic.map(({ fields }) => fields["commands"]).join(" ");
  assert.match(letters, /DTLLDNBDE c c c c c h h c .*DTLLDNBDE c .*h D h c$/);
  assert.deepEqual(milter.macros["E"], { i: "queue1" });
});

Deno.test("a filter may choose its macros for a stage", async () => {
  await using milter = await startFakeMilter({ symbols: milterPacket(" ", 2, "i {mail_addr}, v").slice(5) });
  const it = world(milter);
  await deliver(it);
  assert.deepEqual(milter.macros["M"], { "{mail_addr}": "a@example.net", v: "godwit 0" });
});

Deno.test("a filter may change its mind about macros later on", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) =>
      command === "C" ? [milterPacket("l", 3, "{rcpt_addr} {rcpt_host}"), milterPacket("c")] : undefined,
  });
  const it = world(milter);
  await deliver(it);
  assert.deepEqual(milter.macros["R"], { "{rcpt_addr}": "ana@example.org", "{rcpt_host}": "example.org" });
});

Deno.test("what a filter does not want is not sent, and what it does not answer is not waited for", async () => {
  const NOT_WANTED = 0x1 | 0x2 | 0x8 | 0x10 | 0x200;
  for (
    const [steps, commands] of [[NOT_WANTED, "OMLLNEK"], [0xff080, "OCHMRTLLNBEK"], [0x20 | 0x40, "OCHMRTBEK"]] as const
  ) {
    await using milter = await startFakeMilter({ steps });
    const it = world(milter);
    assert.equal((await deliver(it)).verdict.kind, "accept");
    it.run.close();
    await milter.hears("K");
    assert.equal(milter.commands(), commands);
  }
});

Deno.test("with SMFIP_HDR_LEADSPC values keep what stands behind the colon, both ways", async () => {
  await using milter = await startFakeMilter({
    steps: 0x100000,
    on: ({ command }) => command === "E" ? [milterPacket("h", "X-A", "\tvalue"), milterPacket("c")] : undefined,
  });
  const outcome = await deliver(world(milter), transaction("A: 1\r\nB:2\r\nC:  3\r\n\r\n"));
  assert.deepEqual(milter.heard.filter(({ command }) => command === "L").map(({ text }) => text), [
    "A| 1|",
    "B|2|",
    "C|  3|",
  ]);
  assert.equal(text(outcome.transaction), "A: 1\r\nB:2\r\nC:  3\r\nX-A:\tvalue\r\n\r\n");
});

Deno.test("version 2 knows no DATA, and its connections are not used again", async () => {
  await using milter = await startFakeMilter({ version: 2 });
  const it = world(milter, { version: 2 });
  await deliver(it);
  it.run.close();
  await milter.hears("Q");
  assert.equal(milter.commands(), "OCHMRLLNBEQ");
  assert.deepEqual([...milter.heard[0]!.data.subarray(0, 4)], [0, 0, 0, 2]);
});

Deno.test("a filter that is asked about the message alone hears first what led to it", async () => {
  await using milter = await startFakeMilter();
  const it = world(milter, { stages: new Set<Stage>(["data"]) });
  await it.run.judge("data", transaction());
  assert.equal(milter.commands(), "OCHMRTLLNBE");
});

Deno.test("a list is one recipient for a filter, and all its members go if the filter deletes it", async () => {
  const parameters = { original: "staff@example.org" };
  const recipients = [{ address: "ana@example.org", parameters }, { address: "bob@example.org", parameters }];
  await using milter = await startFakeMilter({
    on: ({ command }) =>
      command === "E"
        ? [milterPacket("-", "<staff@EXAMPLE.org>"), milterPacket("+", "<carl@example.org>"), milterPacket("c")]
        : undefined,
  });
  const it = world(milter, { stages: new Set<Stage>(["data"]) });
  const outcome = await it.run.judge("data", transaction(undefined, { recipients }));
  assert.deepEqual(milter.heard.filter(({ command }) => command === "R").map(({ text }) => text), [
    "<staff@example.org>|",
  ]);
  assert.deepEqual(outcome.transaction?.recipients, [{ address: "carl@example.org", parameters: {} }]);
});

Deno.test("one connection serves the messages of a session, and the next session where libmilter hears of it", async () => {
  await using milter = await startFakeMilter();
  const it = world(milter);
  await deliver(it);
  it.run.reset();
  await it.run.judge("mail", { sender: "b@example.net", parameters: {}, recipients: [] });
  it.run.reset();
  await deliver(it);
  it.run.close();
  await milter.hears("K");
  const next = it.open();
  await deliver({ run: next });
  assert.equal(milter.commands(), "OCHMRTLLNBEMAHMRTLLNBEKCHMRTLLNBE");
  assert.equal(milter.connections, 1);
});

Deno.test("after a decision the connection is not handed on, because libmilter would not hear of the next session", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "E" ? [milterPacket("a")] : undefined,
  });
  const it = world(milter);
  await deliver(it);
  it.run.close();
  await milter.hears("Q");
  await deliver({ run: it.open() });
  assert.equal(milter.connections, 2);
  assert.equal(milter.commands(1), "OCHMRTLLNBEQ");
});

const REFUSALS = [
  ["r", [], 550, "5.7.1"],
  ["t", [], 451, "4.7.1"],
  ["4", [], 421, "4.7.0"],
  ["f", [], 421, "4.7.0"],
  ["y", ["553 5.7.9 No %%d of that"], 553, "5.7.9"],
  ["y", ["450-4.2.1 one\r\n450 4.2.1 two"], 450, "4.2.1"],
  ["y", ["554 plain"], 554, undefined],
  // RFC 2034 §4: an enhanced code of another class is none.
  ["y", ["550 4.7.1 of two minds"], 550, undefined],
] as const;

for (const [letter, data, code, enhanced] of REFUSALS) {
  for (
    const [at, stage] of [["H", "ehlo"], ["M", "mail"], ["R", "rcpt"], ["L", "data"], ["B", "data"], ["E", "data"]]
  ) {
    Deno.test(`"${letter}" ${data.join("")} in answer to ${at} refuses stage ${stage} with ${code}`, async () => {
      await using milter = await startFakeMilter({
        on: ({ command }) => command === at ? [milterPacket(letter, ...data)] : undefined,
      });
      const it = world(milter);
      const { sender, parameters, recipients } = transaction();
      const given = stage === "rcpt" ? { recipient: ANA } : stage === "data" ? transaction() : {};
      const outcome = await it.run.judge(stage as Stage, { sender, parameters, recipients, ...given });
      assert.equal(outcome.verdict.kind, "reply");
      const { reply, disconnect } = outcome.verdict as Extract<typeof outcome.verdict, { kind: "reply" }>;
      assert.equal(reply.code, code);
      assert.equal(reply.enhanced, enhanced);
      assert.equal(disconnect, code === 421 ? true : undefined);
      if (data[0]?.startsWith("450")) assert.deepEqual(reply.text, ["one", "two"]);
      if (data[0]?.startsWith("553")) assert.deepEqual(reply.text, ["No %d of that"]);
      assert.equal(outcome.filter, "m");
      assert.match(it.names().join(), /^milter\.action-(?:reject|temp-fail|shutdown|connection-failure|reply-code)$/);
    });
  }
}

Deno.test("a connection that is refused is refused with 554 or 421 in the greeting, and stays so", async () => {
  for (const [letter, code] of [["r", 554], ["t", 421]] as const) {
    await using milter = await startFakeMilter({
      on: ({ command }) => command === "C" ? [milterPacket(letter)] : undefined,
    });
    const it = world(milter);
    for (const stage of ["connect", "ehlo"] as const) {
      const { verdict } = await it.run.judge(stage);
      assert.equal(verdict.kind === "reply" && verdict.reply.code, code);
    }
    assert.equal(milter.commands().startsWith("OC"), true);
  }
});

Deno.test("after accept at EHLO the filter hears nothing more of the session; at MAIL, nothing more of the message", async () => {
  await using once = await startFakeMilter({ on: ({ command }) => command === "H" ? [milterPacket("a")] : undefined });
  const it = world(once);
  await deliver(it);
  assert.equal(once.commands().replace("Q", ""), "OCH");
  await using each = await startFakeMilter({ on: ({ command }) => command === "M" ? [milterPacket("a")] : undefined });
  const other = world(each);
  await deliver(other);
  other.run.reset();
  await deliver(other);
  assert.equal(each.commands(), "OCHMAHM");
});

Deno.test("a command that is none is told as it came, and has the reply of the filter, or none", async () => {
  const line = octets("FROB  the Queue");
  for (
    const [letter, verdict] of [["c", undefined], ["a", undefined], ["r", 550], ["t", 451], ["4", 421], [
      "s",
      undefined,
    ]]
  ) {
    await using milter = await startFakeMilter({
      on: ({ command }) => command === "U" ? [milterPacket(String(letter))] : undefined,
    });
    const it = world(milter);
    // Nobody knows this session yet.
    assert.equal((await it.run.unknown(line)).verdict.kind, "accept");
    assert.equal(milter.connections, 0);
    await it.run.judge("connect");
    const said = await it.run.unknown(line);
    assert.equal(said.verdict.kind === "reply" ? said.verdict.reply.code : undefined, verdict);
    assert.equal(said.filter, verdict === undefined ? "" : "m");
    assert.deepEqual(milter.heard.slice(2).map(({ command, text }) => `${command} ${text}`), ["U FROB  the Queue|"]);
    // Whatever it said: the message is another matter.
    assert.equal((await deliver(it)).verdict.kind, "accept");
  }
});

Deno.test("a filter that fails at an unknown command, or does not want any, changes nothing", async () => {
  await using closing = await startFakeMilter({ on: ({ command }) => command === "U" ? "close" : undefined });
  const it = world(closing);
  await it.run.judge("connect");
  assert.equal((await it.run.unknown(octets("X"))).verdict.kind, "accept");
  assert.deepEqual(it.names(), ["milter.disconnected"]);
  assert.equal((await deliver(it)).verdict.kind, "accept");
  await using unwilling = await startFakeMilter({ steps: 0x100 });
  const other = world(unwilling);
  await other.run.judge("connect");
  await other.run.unknown(octets("X"));
  assert.equal(unwilling.commands(), "OC");
  await using quiet = await startFakeMilter({ steps: 0x20000 });
  const third = world(quiet);
  await third.run.judge("connect");
  await third.run.unknown(octets("X"));
  await deliver(third);
  assert.equal(quiet.commands(), "OCUHMRTLLNBE");
});

Deno.test("a filter that asks for them hears of recipients that were refused, and why; its opinion counts for nothing", async () => {
  const refusal = { code: 550, enhanced: "5.1.1", text: ["Mailbox does not exist"] };
  const { sender, parameters } = transaction();
  const nobody = { sender, parameters, recipients: [], recipient: { address: "nobody@example.org", parameters: {} } };
  for (
    const [letter, kind, rest] of [
      ["c", "accept", "RTLLNBE"],
      ["r", "accept", "RTLLNBE"],
      ["a", "accept", ""],
      ["d", "discard", ""],
      ["4", "reply", "RTLLNBE"],
    ] as const
  ) {
    await using milter = await startFakeMilter({
      steps: 0x800,
      on: ({ command, text }) => command === "R" && text.includes("nobody") ? [milterPacket(letter)] : undefined,
    });
    const it = world(milter, { stages: new Set<Stage>(["rcpt", "data"]) });
    assert.equal((await it.run.refused(nobody, refusal)).verdict.kind, kind);
    assert.deepEqual(milter.macros["R"], {
      "{rcpt_addr}": "Mailbox does not exist",
      "{rcpt_host}": "5.1.1",
      "{rcpt_mailer}": "error",
    });
    await it.run.judge("rcpt", { sender, parameters, recipients: [], recipient: ANA });
    await it.run.judge("data", transaction());
    assert.equal(milter.commands(), `OCHMR${rest}`);
  }
  await using unasked = await startFakeMilter();
  const it = world(unasked);
  await it.run.refused(nobody, refusal);
  await deliver(it);
  assert.equal(unasked.commands(), "OCHMRTLLNBE");
});

Deno.test("a sender that is refused only at the first recipient stays refused for all of them", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "M" ? [milterPacket("r")] : undefined,
  });
  const it = world(milter, { stages: new Set<Stage>(["rcpt"]) });
  const { sender, parameters } = transaction();
  for (const address of ["ana@example.org", "bob@example.org"]) {
    const recipient = { address, parameters: {} };
    const { verdict } = await it.run.judge("rcpt", { sender, parameters, recipients: [], recipient });
    assert.equal(verdict.kind === "reply" && verdict.reply.code, 550);
  }
  assert.equal(milter.commands(), "OCHM");
  it.run.reset();
  await it.run.judge("rcpt", { sender, parameters, recipients: [], recipient: ANA });
  await milter.hears("M", 2);
  assert.equal(milter.commands(), "OCHMAM");
});

Deno.test("discard and quarantine", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "B" ? [milterPacket("d")] : undefined,
  });
  assert.equal((await deliver(world(milter))).verdict.kind, "discard");
  const { outcome, events } = await changed([milterPacket("q", "looks odd")]);
  assert.equal(outcome.verdict.kind, "quarantine");
  assert.equal(events.at(-1)?.fields["quarantine"], "looks odd");
});

Deno.test("skip ends the body, and only the body", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "B" ? [milterPacket("s")] : undefined,
  });
  const it = world(milter);
  await deliver(it, transaction(`A: b\r\n\r\n${"x".repeat(200_000)}\r\n`));
  assert.equal(milter.commands(), "OCHMRTLNBE");
});

Deno.test("a long body comes in pieces that every filter takes, or in larger ones that were agreed on", async () => {
  for (const [steps, sizes] of [[0, [65_535, 65_535, 2]], [0x10000000, [131_072]]] as const) {
    await using milter = await startFakeMilter({ steps });
    const it = world(milter, { flags: { actions: 0xff, protocol: 0x10000042, fixed: true } });
    await deliver(it, transaction(`A: b\r\n\r\n${"x".repeat(131_070)}\r\n`));
    const pieces = milter.heard.filter(({ command }) => command === "B").map(({ data }) => data.length);
    assert.deepEqual(pieces, sizes);
  }
});

Deno.test("progress gives a filter more time", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) => command === "E" ? [milterPacket("p"), milterPacket("p"), milterPacket("c")] : undefined,
  });
  assert.equal((await deliver(world(milter))).verdict.kind, "accept");
});

Deno.test("fields are added, inserted with our Received field counted, changed and deleted", async () => {
  const content = "Subject: hi\r\nX: 1\r\nX: 2\r\n\r\nbody\r\n";
  for (
    const [packets, wanted] of [
      [[milterPacket("h", "New", "v")], "Subject: hi\r\nX: 1\r\nX: 2\r\nNew: v\r\n"],
      [[milterPacket("i", 0, "New", "v")], "New: v\r\nSubject: hi\r\nX: 1\r\nX: 2\r\n"],
      [[milterPacket("i", 1, "New", "v")], "New: v\r\nSubject: hi\r\nX: 1\r\nX: 2\r\n"],
      [[milterPacket("i", 2, "New", "v")], "Subject: hi\r\nNew: v\r\nX: 1\r\nX: 2\r\n"],
      [[milterPacket("i", 99, "New", "v")], "Subject: hi\r\nX: 1\r\nX: 2\r\nNew: v\r\n"],
      // Above our field first, so that it is the second one from then on.
      [
        [milterPacket("i", 0, "A", "a"), milterPacket("i", 1, "B", "b"), milterPacket("i", 3, "C", "c")],
        "A: a\r\nB: b\r\nC: c\r\nSubject: hi\r\nX: 1\r\nX: 2\r\n",
      ],
      [[milterPacket("m", 2, "x", "two")], "Subject: hi\r\nX: 1\r\nx: two\r\n"],
      [[milterPacket("m", 0, "X", "one")], "Subject: hi\r\nX: one\r\nX: 2\r\n"],
      [[milterPacket("m", 1, "X", "")], "Subject: hi\r\nX: 2\r\n"],
      [[milterPacket("m", 3, "X", "")], "Subject: hi\r\nX: 1\r\nX: 2\r\n"],
      [[milterPacket("m", 3, "X", "three")], "Subject: hi\r\nX: 1\r\nX: 2\r\nX: three\r\n"],
      [
        [milterPacket("h", "Long", "one\n two\r\n\tthree\nfour\n")],
        "Subject: hi\r\nX: 1\r\nX: 2\r\nLong: one\r\n two\r\n\tthree\r\n\tfour\r\n",
      ],
    ] as const
  ) {
    assert.equal((await changed(packets, content)).text, `${wanted}\r\nbody\r\n`);
  }
});

Deno.test("octets that are no UTF-8 pass both ways unchanged", async () => {
  await using milter = await startFakeMilter({
    on: ({ command }) =>
      command === "E" ? [milterPacket("h", "X-B", Uint8Array.of(0xe9, 0xff, 0)), milterPacket("c")] : undefined,
  });
  const it = world(milter);
  // A NUL would end the value in the eyes of the filter, so it is left out of what is told.
  const field = [...octets("A: "), 0xe4, 0, ...octets("\r\n\r\n")];
  const content = memoryEditable(Uint8Array.of(...field, 0xfc, 0x0d, 0x0a));
  const outcome = await deliver(it, transaction("", { message: { id: "1", content, serverFields: [] } }));
  assert.deepEqual([...milter.heard.find(({ command }) => command === "L")!.data], [0x41, 0, 0xe4, 0]);
  assert.equal(text(outcome.transaction), "A: \xe4\0\r\nX-B: \xe9\xff\r\n\r\n\xfc\r\n");
});

Deno.test("a body comes back in several pieces, cut anywhere, and no bare line feed gets in with it", async () => {
  const pieces = [
    milterPacket("b", octets("one\r")),
    milterPacket("h", "X", "y"),
    milterPacket("b", octets("\ntwo\nthree")),
  ];
  assert.equal((await changed(pieces)).text, "Subject: hi\r\nTo:  ana\r\nX: y\r\n\r\none\r\ntwo\r\nthree");
  assert.equal((await changed([milterPacket("b")])).text, "Subject: hi\r\nTo:  ana\r\n\r\n");
});

Deno.test("sender and recipients are changed, with parameters", async () => {
  const { outcome, troubles, events } = await changed([
    milterPacket("e", "<new@example.net>", "RET=HDRS ENVID=x"),
    milterPacket("2", "<carl@example.org>", "NOTIFY=NEVER"),
    milterPacket("2", "dora@example.org", "NOTIFY=PERHAPS"),
    milterPacket("+", "<not an address>"),
    milterPacket("-", "<ana@example.org>"),
  ]);
  assert.equal(outcome.transaction?.sender, "new@example.net");
  assert.deepEqual(outcome.transaction?.parameters, { size: 100, body: "8bitmime", ret: "hdrs", envid: "x" });
  assert.deepEqual(outcome.transaction?.recipients, [
    {
      address: "carl@example.org",
      parameters: { notify: { never: true, success: false, failure: false, delay: false } },
    },
    { address: "dora@example.org", parameters: {} },
  ]);
  assert.match(troubles[0] ?? "", /not an address/);
  assert.match(String(events[0]?.fields["reason"]), /NOTIFY=PERHAPS/);
});

Deno.test("TLS to the filter, whose certificate must verify unless that is switched off", async () => {
  const tls = await makeCertificate({ names: ["filter.example"] });
  await using milter = await startFakeMilter({ tls });
  const strict = world(milter, { tls: true });
  assert.equal((await deliver(strict)).verdict.kind, "reply");
  assert.match(String(strict.events.at(-1)?.fields["reason"]), /does not verify/);
  const lax = world(milter, { tls: true, allowInvalidCerts: true });
  assert.equal((await deliver(lax)).verdict.kind, "accept");
  lax.run.close();
});

Deno.test("a filter is found by its name, at the first of its addresses that answers", async () => {
  await using milter = await startFakeMilter();
  const hostname = "filter.example";
  const it = world(milter, { hostname }, ["127.0.0.2", "127.0.0.1"]);
  assert.equal((await deliver(it)).verdict.kind, "accept");
  const lost = world(milter, { hostname });
  assert.equal((await lost.run.judge("ehlo")).verdict.kind, "reply");
  assert.equal(lost.names()[0], "milter.io-error");
  assert.match(String(lost.events[0]?.fields["reason"]), /filter\.example/);
});

Deno.test("a path is a Unix socket", async () => {
  const folder = await Deno.makeTempDir();
  await using milter = await startFakeMilter({ path: `${folder}/m.sock` });
  const it = world(milter, { hostname: `${folder}/m.sock`, port: 0 });
  assert.equal((await deliver(it)).verdict.kind, "accept");
  assert.equal(milter.connections, 1);
  it.run.close();
  const nobody = world(milter, { hostname: `${folder}/nobody.sock` });
  assert.equal((await nobody.run.judge("ehlo")).verdict.kind, "reply");
  assert.match(String(nobody.events[0]?.fields["reason"]), /nobody\.sock/);
});

Deno.test("a filter that hangs up at the usual offer is offered everything, once and for all, unless the file says what to offer", async () => {
  const wide = (data: Uint8Array) => data[8] === 0x00 && data[9] === 0x1f;
  const options: FakeMilterOptions = {
    on: ({ command, data }) => command === "O" && !wide(data) ? "close" : undefined,
  };
  await using milter = await startFakeMilter(options);
  const it = world(milter);
  assert.equal((await deliver(it)).verdict.kind, "accept");
  await deliver({ run: it.open() });
  assert.equal(milter.connections, 3);
  await using other = await startFakeMilter(options);
  const fixed = world(other, { flags: { actions: 0xff, protocol: 0x42, fixed: true } });
  assert.equal((await deliver(fixed)).verdict.kind, "reply");
});

Deno.test("after a decision before the end of the message the next one finds a filter that is in step", async () => {
  for (
    const [at, letter, connections] of [["L", "r", 2], ["N", "a", 2], ["T", "t", 2], ["B", "d", 2], [
      "E",
      "r",
      1,
    ]] as const
  ) {
    let first = true;
    await using milter = await startFakeMilter({
      on: ({ command }) => {
        if (command !== at || !first) return undefined;
        first = false;
        return [milterPacket(letter)];
      },
    });
    const it = world(milter);
    const { verdict } = await deliver(it);
    assert.equal(verdict.kind, letter === "a" ? "accept" : letter === "d" ? "discard" : "reply");
    it.run.reset();
    assert.equal((await deliver(it)).verdict.kind, "accept");
    assert.equal(milter.commands(milter.connections).endsWith("MRTLLNBE"), true);
    assert.equal(milter.connections, connections);
    assert.equal(it.names().length, 1);
  }
});

Deno.test("a header of many fields and a long body are told with an answer to each", async () => {
  await using milter = await startFakeMilter();
  const fields = Array.from({ length: 3000 }, (_, index) => `X-${index}: ${"v".repeat(60)}\r\n`).join("");
  const body = "0123456789abcdef\r\n".repeat(40_000);
  const outcome = await deliver(world(milter), transaction(`${fields}\r\n${body}`));
  assert.equal(outcome.verdict.kind, "accept");
  assert.equal(milter.heard.filter(({ command }) => command === "L").length, 3000);
  const told = milter.heard.filter(({ command }) => command === "B").map(({ text }) => text).join("");
  assert.equal(told, body);
});
