/** What was said in a failed attempt, from the peer to the people who ask. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { run } from "../../src/cli/mod.ts";
import { submit } from "../support/client.ts";
import { type FakePeer, startFakePeer } from "../support/fake_peer.ts";
import { baseConfiguration, startTestServer } from "../support/server.ts";

const CONTENT = "From: ana@example.org\r\nSubject: plans\r\n\r\nsecret plans\r\n";

function relayTo(peer: FakePeer): string {
  return `
session.rcpt.relay = true
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false, allow-invalid-certs = true } }
`;
}

/** Runs a command beside the server in `folder`. */
async function command(folder: string, ...args: string[]): Promise<string> {
  const file = join(folder, "config.toml");
  await Deno.writeTextFile(file, baseConfiguration(folder));
  const lines: string[] = [];
  const output = {
    print: (line: string) => lines.push(line),
    error: (line: string) => lines.push(line),
    write: () => Promise.resolve(),
    colours: false,
  };
  assert.equal(await run([...args, "--config", file], output), 0, lines.join("\n"));
  return lines.join("\n");
}

Deno.test("queue show tells what was said with the peer that deferred a message", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "RCPT" ? "451 4.7.1 greylisted" : undefined });
  await using test = await startTestServer(relayTo(peer));
  await submit(test.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
  await test.event("delivery.deferred");
  const [waiting] = await test.server.queue.list();
  assert.ok(waiting);
  const shown = await command(test.folder, "queue", "show", waiting.id);
  assert.match(shown, /^last failed attempt for x@elsewhere\.example, in seconds/m);
  assert.match(shown, /^ +[0-9.]+ C: EHLO mx\.example\.org$/m);
  assert.match(shown, /^ +[0-9.]+ C: RCPT TO:<x@elsewhere\.example>\n +[0-9.]+ S: 451 4\.7\.1 greylisted$/m);
  assert.ok(!shown.includes("secret plans"));
  const json = JSON.parse(await command(test.folder, "queue", "show", waiting.id, "--json"));
  const texts = json.recipients[0].dialogue.map(({ text }: { text: string }) => text);
  assert.ok(texts.includes("451 4.7.1 greylisted"));
});

Deno.test("a bounce quotes the end of the conversation, and queue show still tells it", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "content" ? "554 5.6.0 not this" : undefined });
  await using test = await startTestServer(relayTo(peer));
  await submit(test.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
  await test.event("delivery.delivered", ({ fields }) => String(fields.to).includes("ana@example.org"));
  const [report] = await test.mail("example.org/ana");
  assert.match(report ?? "", /\r\n {4}[0-9.]+ C: \(\d+ octets of content\)\r\n {4}[0-9.]+ S: 554 5\.6\.0 not this\r\n/);
  const failed = (await test.server.queue.recent(10)).find(({ name }) => name === "failed");
  const shown = await command(test.folder, "queue", "show", failed?.id ?? "");
  assert.match(shown, /^ +[0-9.]+ S: 554 5\.6\.0 not this$/m);
});
