/** Following live dialogues through the management API and by `godwit trace`. */

import assert from "node:assert/strict";
import { run } from "../../src/cli/mod.ts";
import { connectClient, submit } from "../support/client.ts";
import { startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, testConfiguration, type TestServer } from "../support/server.ts";

const CONTENT = "Subject: plans\r\n\r\nsecret plans\r\n";
const HTTP = `server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }\n`;

interface Said {
  readonly direction: string;
  readonly session: string;
  readonly from: string;
  readonly text: readonly string[];
}

/** Follows with `query`; lines in the form `in client EHLO x`. */
async function follow(test: TestServer, query: string) {
  const { port } = test.address("http");
  const response = await fetch(`http://127.0.0.1:${port}/api/trace${query}`);
  assert.equal(response.status, 200);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await reader.read()).value, "\n", "the stream begins at once");
  let text = "";
  const lines: string[] = [];
  return {
    /** Reads until a line matches; gives all so far. */
    async until(pattern: RegExp): Promise<readonly string[]> {
      while (!lines.some((line) => pattern.test(line))) {
        const { value, done } = await reader.read();
        assert.ok(!done, `the stream ended; there was\n${lines.join("\n")}`);
        text += value;
        const complete = text.split("\n");
        text = complete.pop() ?? "";
        for (const line of complete.filter((one) => one !== "")) {
          const said: Said = JSON.parse(line);
          for (const one of said.text) lines.push(`${said.direction} ${said.from} ${one}`);
        }
      }
      return lines;
    },
    ended: async () => (await reader.read()).done,
    close: () => reader.cancel(),
  };
}

Deno.test("both sides of a message are followed, without its content", async () => {
  await using peer = await startFakePeer();
  await using test = await startTestServer(`${HTTP}
session.rcpt.relay = true
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false, allow-invalid-certs = true } }
`);
  const trace = await follow(test, "");
  await submit(test.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
  const lines = await trace.until(/^out server 250 2\.0\.0 queued$/);
  await trace.close();
  const inward = lines.filter((line) => line.startsWith("in "));
  assert.match(inward.join("\n"), /^in note connected\nin server 220 mx\.example\.org /);
  for (
    const expected of [
      "in client EHLO client.example.net",
      "in client MAIL FROM:<ana@example.org>",
      "in server 250 2.1.0 Sender OK",
      "in client DATA",
      `in client (${CONTENT.length} octets of content)`,
      "out note connected to 127.0.0.1[127.0.0.1]",
      "out server 220 peer.example ready",
      "out client EHLO mx.example.org",
      "out client RCPT TO:<x@elsewhere.example>",
    ]
  ) assert.ok(lines.includes(expected), `${expected} is missing in\n${lines.join("\n")}`);
  assert.ok(lines.some((line) => /^out client \(\d+ octets of content\)$/.test(line)));
  assert.ok(!lines.join("\n").includes("secret"));
});

Deno.test("a login is followed without anything of the exchange, also when it goes wrong", async () => {
  await using test = await startTestServer(`${HTTP}
session.auth.mechanisms = ["plain", "login"]
session.auth.allow-plain-text = true
session.auth.errors.wait = "0s"
`);
  const trace = await follow(test, "?direction=in");
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example.net");
  const secret = btoa("\0ana\0secret");
  assert.match(await client.say(`AUTH PLAIN ${btoa("\0ana\0wrong")}`), /^535/);
  assert.match(await client.say("AUTH LOGIN"), /^334/);
  assert.match(await client.say("*"), /^501/);
  // The client did not notice, and goes on with what is a secret.
  assert.match(await client.say(secret), /^500/);
  assert.match(await client.say(`\tAUTH PLAIN ${secret}`), /^5/);
  assert.match(await client.say("AUTH LOGIN"), /^334/);
  assert.match(await client.say(btoa("ana")), /^334/);
  assert.match(await client.say(btoa("secret")), /^235/);
  await client.say("QUIT");
  const lines = await trace.until(/^in note connection closed/);
  await trace.close();
  assert.deepEqual(lines.filter((line) => line.startsWith("in client")), [
    "in client EHLO client.example.net",
    "in client AUTH ***",
    "in client AUTH ***",
    "in client ***",
    `in client (${secret.length} octets that are no command)`,
    "in client AUTH ***",
    "in client AUTH ***",
    "in client ***",
    "in client ***",
    "in client QUIT",
  ]);
  assert.deepEqual(lines.filter((line) => line.startsWith("in server 334")), Array(3).fill("in server 334 ***"));
});

Deno.test("dialogues are events while a log wants them, without secrets and content", async () => {
  await using peer = await startFakePeer();
  const settings = (level: string) => `
tracer.all = { type = "log", path = "{folder}/log", level = "${level}" }
session.rcpt.relay = true
session.auth.mechanisms = ["plain"]
session.auth.allow-plain-text = true
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false, allow-invalid-certs = true } }
`;
  await using test = await startTestServer(settings("debug"));
  await using finer = await startTestServer(settings("trace"));
  const raw = ({ events }: TestServer) => events.filter(({ name }) => /\.raw-(?:in|out)put$/.test(name));
  for (const server of [test, finer]) {
    using client = await connectClient(server.address("smtp"));
    await client.reply();
    await client.say("EHLO client.example.net");
    await client.say(`AUTH PLAIN ${btoa("\0ana\0secret")}`);
    await client.say("QUIT");
    await submit(server.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
    await server.event("delivery.delivered");
  }
  assert.deepEqual(raw(test), []);
  const lines = raw(finer).map(({ name, fields }) => `${name} ${fields.host ?? "-"} ${fields.text}`);
  for (
    const expected of [
      "smtp.raw-input - AUTH ***",
      "smtp.raw-output - 235 2.7.0 Authentication succeeded",
      `smtp.raw-input - (${CONTENT.length} octets of content)`,
      "delivery.raw-input 127.0.0.1 220 peer.example ready",
      "delivery.raw-output 127.0.0.1 RCPT TO:<x@elsewhere.example>",
    ]
  ) assert.ok(lines.includes(expected), `${expected} is missing in\n${lines.join("\n")}`);
  assert.doesNotMatch(lines.join("\n"), /secret|AGFuYQ/);

  await finer.server.reload(testConfiguration(settings("info"), finer));
  const before = raw(finer).length;
  await submit(finer.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
  assert.equal(raw(finer).length, before);
});

Deno.test("a recipient chooses what is followed", async () => {
  await using test = await startTestServer(HTTP);
  const trace = await follow(test, "?address=bob@example.org&direction=in");
  await submit(test.address("smtp"), { from: "x@example.net", to: ["ana@example.org"], content: CONTENT });
  await submit(test.address("smtp"), { from: "y@example.net", to: ["bob@example.org"], content: CONTENT });
  const lines = await trace.until(/^in note connection closed/);
  await trace.close();
  assert.ok(lines.includes("in client MAIL FROM:<y@example.net>"));
  assert.ok(!lines.join("\n").includes("ana@example.org"));
});

Deno.test("a question that cannot be understood is answered with what would be right", async () => {
  await using test = await startTestServer(HTTP);
  const { port } = test.address("http");
  for (
    const [query, detail] of [
      ["?peer=192.0.2.0/40", /peer must be an IP address or a network/],
      ["?direction=up", /direction must be in or out/],
      ["?adress=x", /Unknown parameter adress; known are address/],
    ] as const
  ) {
    const response = await fetch(`http://127.0.0.1:${port}/api/trace${query}`);
    assert.equal(response.status, 400);
    assert.match((await response.json()).detail, detail);
  }
});

Deno.test("who may not administer may not follow", async () => {
  await using test = await startTestServer(`${HTTP}http.auth.token = "letmein"\n`);
  const { port } = test.address("http");
  const response = await fetch(`http://127.0.0.1:${port}/api/trace`);
  assert.equal(response.status, 401);
  await response.body?.cancel();
});

/** Runs `godwit trace`; resolves `begun` when it follows. */
function traceCommand(port: number, ...args: string[]) {
  const lines: string[] = [];
  const begun = Promise.withResolvers<void>();
  const printed = Promise.withResolvers<void>();
  const status = run(["trace", "--url", `http://127.0.0.1:${port}`, ...args], {
    print: (line) => {
      lines.push(line);
      if (line.includes("QUIT")) printed.resolve();
    },
    error: (line) => {
      lines.push(line);
      begun.resolve();
    },
    write: () => Promise.resolve(),
    colours: false,
  });
  return { lines, status, begun: begun.promise, printed: printed.promise };
}

Deno.test("godwit trace prints lines for people until the server stops", async () => {
  const test = await startTestServer(`${HTTP}http.auth.token = "letmein"\n`);
  const { port } = test.address("http");
  const command = traceCommand(port, "--in", "--peer", "127.0.0.0/8", "--token", "letmein");
  await command.begun;
  await submit(test.address("smtp"), { from: "x@example.net", to: ["ana@example.org"], content: CONTENT });
  await command.printed;
  await test[Symbol.asyncDispose]();
  assert.equal(await command.status, 1);
  assert.ok(
    command.lines.some((line) =>
      /^\d\d:\d\d:\d\d\.\d{3} in {2}\w+ smtp 127\.0\.0\.1 C: MAIL FROM:<x@example\.net>$/.test(line)
    ),
    command.lines.join("\n"),
  );
  assert.equal(command.lines.at(-1), "the server has ended the trace");
});

Deno.test("godwit trace says what keeps it from following", async () => {
  await using test = await startTestServer(`${HTTP}http.auth.token = "letmein"\n`);
  const { port } = test.address("http");
  const refused = traceCommand(port, "--token", "wrong");
  assert.equal(await refused.status, 1);
  assert.match(refused.lines.join("\n"), /127\.0\.0\.1:\d+ says: 401 The bearer token is wrong\./);
  const both = traceCommand(port, "--in", "--out");
  assert.equal(await both.status, 2);
});
