/** What a sender notices when the next server or DNS behaves badly: through whole servers, until the mail is there. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type Socket } from "node:net";
import { submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type Action, type Command, type FakePeer, startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { createZone, type ZoneEntry } from "../support/zone.ts";

const CONTENT = "From: ana@example.org\r\nSubject: hello\r\n\r\nhello\r\n";
const TO = "x@elsewhere.example";

/** Relays everything to a port; a local sender hears what becomes of it. */
const relayTo = (port: number, protocol = "smtp") => `
session.rcpt.relay = true
queue.strategy.route = [ { if = "is_local_domain('', rcpt_domain)", then = "'local'" }, { else = "'next'" } ]
queue.route.next = { type = "relay", address = "127.0.0.1", port = ${port}, protocol = "${protocol}", tls = { implicit = false } }
`;

async function send(test: TestServer, to: readonly string[] = [TO], mailParameters = ""): Promise<void> {
  const [answer] = await submit(test.address("smtp"), {
    from: "ana@example.org",
    to,
    content: CONTENT,
    mailParameters,
  });
  assert.match(answer ?? "", /^250 /);
}

/** Moves time until something has happened `count` times. */
async function pass(test: TestServer, clock: FakeClock, name: string, count = 1): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (test.events.filter((event) => event.name === name).length >= count) return;
    // What goes over the network needs turns of the event loop, not time.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
    if (i % 4 === 3) await clock.advance(20_000);
  }
  assert.fail(`no ${name}; there were:\n${test.events.map(({ name }) => name).join("\n")}`);
}

const waitingOf = async (test: TestServer) =>
  (await test.server.queue.list({})).flatMap(({ recipients }) => recipients).map(({ address, lastError, lastStatus }) =>
    `${address} ${lastError} ${lastStatus}`
  );

interface Fault {
  readonly name: string;
  readonly act: (command: Command) => Action | undefined;
  /** `recipients.last_error` and status while it lasts. */
  readonly want: string;
  readonly extensions?: readonly string[];
}

const at = (verb: string, action: Action) => (command: Command) => command.verb === verb ? action : undefined;

const passing: readonly Fault[] = [
  { name: "greets with 421", act: at("greeting", "421 4.3.2 too busy"), want: "unexpected-reply 421" },
  { name: "greets with 450", act: at("greeting", "450 4.3.2 not now"), want: "unexpected-reply 450" },
  { name: "says nothing", act: at("greeting", "silent"), want: "connection 0" },
  {
    name: "greets in no protocol that anybody knows",
    act: at("greeting", "HTTP/1.1 400 Bad Request"),
    want: "unexpected-reply 0",
  },
  ...["greeting", "EHLO", "MAIL", "RCPT", "DATA", "content"].map((verb): Fault => ({
    name: `hangs up at ${verb}`,
    act: at(verb, { then: "close" }),
    want: "connection 0",
  })),
  ...["EHLO", "MAIL", "RCPT", "DATA", "content"].flatMap((verb): Fault[] => [
    { name: `answers 451 to ${verb}`, act: at(verb, "451 4.3.0 try again"), want: "unexpected-reply 451" },
    { name: `answers 421 to ${verb}`, act: at(verb, "421 4.3.2 closing"), want: "unexpected-reply 421" },
    { name: `never answers ${verb}`, act: at(verb, "silent"), want: "connection 0" },
  ]),
  {
    name: "greylists",
    act: at("RCPT", "450 4.2.0 greylisted, come back in five minutes"),
    want: "unexpected-reply 450",
  },
  {
    name: "hangs up in the middle of its reply",
    act: at("content", { then: "close", say: "250-2.0.0 nearly" }),
    want: "connection 0",
  },
  {
    name: "offers CHUNKING and does not know BDAT",
    act: at("BDAT", "502 5.5.1 unknown command"),
    want: "unexpected-reply 502",
    extensions: ["CHUNKING", "PIPELINING"],
  },
  {
    name: "offers STARTTLS and hangs up at it",
    act: at("STARTTLS", { then: "close" }),
    want: "connection 0",
    extensions: ["STARTTLS"],
  },
  {
    name: "offers nonsense",
    act: at("MAIL", "451 4.5.0 what?"),
    want: "unexpected-reply 451",
    extensions: ["SIZE many", "AUTH", "LIMITS RCPTMAX=none", "DELIVERBY -7", "=", "X".repeat(400)],
  },
];

for (const { name, act, want, extensions } of passing) {
  Deno.test(`while a server ${name} mail waits, and arrives once when it is well`, async () => {
    let ill = true;
    await using peer = await startFakePeer({
      on: (command) => ill ? act(command) : undefined,
      ...(extensions === undefined ? {} : { extensions: ({ number }) => ill || number === 1 ? extensions : [] }),
    });
    const clock = new FakeClock();
    await using test = await startTestServer(relayTo(peer.port), { clock });
    await send(test);
    await pass(test, clock, "delivery.deferred");
    assert.deepEqual(await waitingOf(test), [`${TO} ${want}`]);
    ill = false;
    await pass(test, clock, "delivery.delivered");
    assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt.length), [1]);
    assert.ok(peer.messages[0]?.content.endsWith(CONTENT));
    assert.deepEqual(await waitingOf(test), []);
  });
}

for (const verb of ["greeting", "MAIL", "RCPT", "DATA", "content"]) {
  Deno.test(`a server that answers 554 to ${verb} has its words told to the sender`, async () => {
    await using peer = await startFakePeer({ on: at(verb, "554 5.7.1 we do not like you") });
    const clock = new FakeClock();
    await using test = await startTestServer(relayTo(peer.port), { clock });
    await send(test);
    await pass(test, clock, "delivery.failed");
    await test.event("delivery.delivered");
    const [report] = await test.mail("example.org/ana");
    assert.match(report ?? "", /^Action: failed\r\nStatus: 5\.7\.1\r\n/m);
    assert.match(report ?? "", /^Diagnostic-Code: smtp; 554 5\.7\.1 we do not like you/m);
    assert.deepEqual(await waitingOf(test), []);
  });
}

Deno.test("a server that refuses connections gets the mail once it listens", async () => {
  const free = await startFakePeer();
  const { port } = free;
  await free[Symbol.asyncDispose]();
  const clock = new FakeClock();
  await using test = await startTestServer(relayTo(port), { clock });
  await send(test);
  await pass(test, clock, "delivery.deferred");
  assert.deepEqual(await waitingOf(test), [`${TO} connection 0`]);
  await using peer = await startFakePeer({ port });
  await pass(test, clock, "delivery.delivered");
  assert.equal(peer.messages.length, 1);
});

Deno.test("a server that takes some recipients only: each has its own fate", async () => {
  let full = true;
  await using peer = await startFakePeer({
    on: ({ verb, line }) =>
      verb !== "RCPT"
        ? undefined
        : line.includes("gone")
        ? "550 5.1.1 nobody here"
        : line.includes("full") && full
        ? "452 4.2.2 mailbox full"
        : undefined,
  });
  const clock = new FakeClock();
  await using test = await startTestServer(relayTo(peer.port), { clock });
  await send(test, ["ok@elsewhere.example", "gone@elsewhere.example", "full@elsewhere.example"]);
  await pass(test, clock, "delivery.deferred");
  await test.event("delivery.delivered", ({ fields }) => String(fields.to) === "ana@example.org");
  const [report] = await test.mail("example.org/ana");
  assert.match(report ?? "", /^Final-Recipient: rfc822; gone@elsewhere\.example\r$/m);
  assert.doesNotMatch(report ?? "", /Final-Recipient: rfc822; (ok|full)@/);
  full = false;
  await pass(test, clock, "delivery.delivered", 3);
  assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt), [
    ["RCPT TO:<ok@elsewhere.example>"],
    ["RCPT TO:<full@elsewhere.example>"],
  ]);
});

/** A server that does with a connection what `serve` says; for what no server does that keeps to lines and replies. */
async function withRawPeer(serve: (socket: Socket, sofar: string) => void, body: (port: number) => Promise<void>) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let sofar = "";
    socket.on("error", () => {});
    socket.on("data", (bytes: Uint8Array) => serve(socket, sofar += Buffer.from(bytes).toString("latin1")));
    serve(socket, "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  try {
    await body(typeof address === "object" && address !== null ? address.port : 0);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

/** Writes until the other side has had enough. */
function flood(socket: Socket, text: string): void {
  const bytes = Buffer.from(text);
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
    if (!socket.destroyed) socket.once("drain", more);
  };
  more();
}

for (
  const [what, first, text, why] of [
    ["a reply without end", "", "220-still greeting\r\n".repeat(1000), /reply of more than 128 lines$/],
    ["a line of megabytes", "220 ", "x".repeat(65_536), /reply line longer than 4096 octets$/],
    [
      "replies that nobody asked for",
      "220 ready\r\n",
      "250 again\r\n".repeat(1000),
      /said: 250 again \(in reply to DATA\)$/,
    ],
  ] as const
) {
  Deno.test(`a server that sends ${what} costs one attempt and no memory`, async () => {
    await withRawPeer((socket, sofar) => {
      if (sofar !== "") return;
      socket.write(first);
      flood(socket, text);
    }, async (port) => {
      const clock = new FakeClock();
      await using test = await startTestServer(relayTo(port), { clock });
      await send(test);
      await pass(test, clock, "delivery.deferred");
      const [recipient] = (await test.server.queue.list({})).flatMap(({ recipients }) => recipients);
      assert.match(`${recipient?.lastError}`, /unexpected-reply|connection/);
      // Not that it took too long: it was too much.
      assert.match(recipient?.lastText ?? "", why);
    });
  });
}

/** Speaks SMTP up to the data, then does what `end` says. */
function upToData(end: (socket: Socket, content: string) => void) {
  return (socket: Socket, sofar: string) => {
    const { length } = sofar.split("\r\n");
    if (sofar === "") socket.write("220 ready\r\n");
    else if (sofar.endsWith("QUIT\r\n")) socket.end("221 bye\r\n");
    else if (/DATA\r\n/.test(sofar)) {
      const content = sofar.slice(sofar.indexOf("DATA\r\n") + 6);
      if (content === "") socket.write("354 go on\r\n");
      else end(socket, content);
    } else if (length > 1) socket.write("250 ok\r\n");
  };
}

Deno.test("a server that hangs up in the middle of the data gets the message again", async () => {
  let attempts = 0;
  await withRawPeer(
    upToData((socket) => {
      attempts++;
      socket.resetAndDestroy();
    }),
    async (port) => {
      const clock = new FakeClock();
      await using test = await startTestServer(relayTo(port), { clock });
      await send(test);
      await pass(test, clock, "delivery.deferred", 2);
      assert.equal(attempts, 2);
      assert.deepEqual(await waitingOf(test), [`${TO} connection 0`]);
    },
  );
});

Deno.test("a server that answers 250 and resets the connection has the message, and does not get it again", async () => {
  let messages = 0;
  await withRawPeer(
    upToData((socket, content) => {
      if (!content.endsWith("\r\n.\r\n")) return;
      messages++;
      socket.write("250 2.0.0 taken\r\n", () => setTimeout(() => socket.resetAndDestroy(), 5));
    }),
    async (port) => {
      const clock = new FakeClock();
      await using test = await startTestServer(relayTo(port), { clock });
      await send(test);
      await pass(test, clock, "delivery.delivered");
      await clock.advance(600_000);
      assert.equal(messages, 1);
      assert.deepEqual(await waitingOf(test), []);
    },
  );
});

Deno.test("an answer that comes after its time is not taken for that to the next message", async () => {
  let late: Socket | undefined;
  await withRawPeer(
    upToData((socket, content) => {
      if (!content.endsWith("\r\n.\r\n")) return;
      if (late === undefined) late = socket;
      else socket.write("250 2.0.0 taken\r\n");
    }),
    async (port) => {
      const clock = new FakeClock();
      await using test = await startTestServer(relayTo(port), { clock });
      await send(test);
      await pass(test, clock, "delivery.deferred");
      late?.write("250 2.0.0 taken, at last\r\n");
      await pass(test, clock, "delivery.delivered");
      const { fields } = await test.event("delivery.delivered");
      assert.match(String(fields.reason), /250 2\.0\.0 taken$/);
    },
  );
});

/** Sends to a domain of `zone` whose hosts are at the port of `peer`. */
async function withZone(
  zone: Record<string, ZoneEntry>,
  body: (test: TestServer, clock: FakeClock, peer: FakePeer) => Promise<void>,
): Promise<void> {
  await using peer = await startFakePeer();
  const clock = new FakeClock();
  await using test = await startTestServer("session.rcpt.relay = true\n", {
    clock,
    resolver: createZone(zone),
    mxPort: peer.port,
  });
  await body(test, clock, peer);
}

const MX = "elsewhere.example";

for (const reason of ["timeout", "servfail", "bogus", "malformed"] as const) {
  Deno.test(`while DNS answers with ${reason} mail waits, and arrives when it is well`, async () => {
    const zone: Record<string, ZoneEntry> = { [MX]: { error: reason } };
    await withZone(zone, async (test, clock, peer) => {
      await send(test);
      await pass(test, clock, "delivery.deferred");
      assert.deepEqual(await waitingOf(test), [`${TO} dns 0`]);
      zone[MX] = { mx: [[10, "mx.elsewhere.example"]] };
      zone["mx.elsewhere.example"] = { error: reason };
      await pass(test, clock, "delivery.deferred", 2);
      zone["mx.elsewhere.example"] = { a: ["127.0.0.1"] };
      await pass(test, clock, "delivery.delivered");
      assert.equal(peer.messages.length, 1);
    });
  });
}

Deno.test("a domain with a hundred mail hosts without address costs one attempt, and an end", async () => {
  const mx = Array.from({ length: 100 }, (_, i) => [i % 3, `mx${i}.elsewhere.example`] as const);
  await withZone({ [MX]: { mx } }, async (test, clock) => {
    await send(test);
    await pass(test, clock, "delivery.failed");
    await test.event("delivery.delivered");
    assert.match((await test.mail("example.org/ana"))[0] ?? "", /^Status: 5\.4\.4\r$/m);
  });
});

Deno.test("of a hundred mail hosts no more are tried than the limits say", async () => {
  const mx = Array.from({ length: 100 }, (_, i) => [10, `mx${i}.elsewhere.example`] as const);
  const zone: Record<string, ZoneEntry> = { [MX]: { mx } };
  for (const [, name] of mx) zone[name] = { a: Array.from({ length: 100 }, (_, i) => `127.1.${i}.1`) };
  await withZone(zone, async (test, clock) => {
    await send(test);
    await pass(test, clock, "delivery.deferred");
    // The limits of a route: five hosts, two addresses each.
    assert.ok(test.events.filter(({ name }) => name === "delivery.connect-error").length <= 10);
  });
});

Deno.test("a mail host that is another name for itself is trouble with DNS", async () => {
  await withZone(
    { [MX]: { mx: [[10, "a.example"]] }, "a.example": { cname: "b.example" }, "b.example": { cname: "a.example" } },
    async (test, clock) => {
      await send(test);
      await pass(test, clock, "delivery.deferred");
      assert.deepEqual(await waitingOf(test), [`${TO} dns 0`]);
    },
  );
});

Deno.test("a mail host that DNS places where nobody answers gives way to the next", async () => {
  await withZone({
    [MX]: { mx: [[10, "lie.example"], [20, "mx.elsewhere.example"]] },
    // Nothing can be connected to there, or is routed.
    "lie.example": { a: ["0.0.0.0", "255.255.255.255"] },
    "mx.elsewhere.example": { a: ["127.0.0.1"] },
  }, async (test, clock, peer) => {
    await send(test);
    await pass(test, clock, "delivery.delivered");
    assert.equal(peer.messages.length, 1);
  });
});
