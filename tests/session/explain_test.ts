/** `godwit explain` and `/api/explain`, as administrators ask them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { run } from "../../src/cli/mod.ts";
import type { Explanation } from "../../src/server/mod.ts";
import { baseConfiguration, startTestServer } from "../support/server.ts";

const RULES = `
session.rcpt.relay = [
  { if = "remote_ip == '192.0.2.1'", then = true },
  { else = false },
]
queue.strategy.route = "'next'"
queue.route.next = { type = "relay", address = "192.0.2.77", port = 2525 }
`;

async function command(folder: string, ...args: string[]) {
  return await explainWith(RULES, folder, ...args);
}

async function explainWith(settings: string, folder: string, ...args: string[]) {
  const file = join(folder, "config.toml");
  await Deno.writeTextFile(file, settings + baseConfiguration(folder));
  const lines: string[] = [];
  const errors: string[] = [];
  const status = await run(["explain", ...args, "--config", file], {
    print: (line) => lines.push(line),
    error: (line) => errors.push(line),
    write: () => Promise.resolve(),
    colours: false,
  });
  return { status, lines, errors };
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("people read which line decided, and scripts the exit status", () =>
  withFolder(async (folder) => {
    const yes = ["--from", "a@example.net", "--to", "x@elsewhere.example", "--offline"];
    const accepted = await command(folder, ...yes, "--ip", "192.0.2.1");
    assert.equal(accepted.status, 0, accepted.errors.join("\n"));
    const text = accepted.lines.join("\n");
    assert.match(text, /^ {4}session\.rcpt\.relay = true {4}\(line 3, item 1: if remote_ip == '192\.0\.2\.1'\)$/m);
    assert.match(text, /^delivery to x@elsewhere\.example$/m);
    assert.doesNotMatch(text, /STARTTLS/, "without a certificate no TLS is offered");
    assert.match(text, /^ {2}queue\.strategy\.route = next {4}\(line 6: 'next'\)$/m);
    assert.match(text, /^ {2}host 192\.0\.2\.77 \[192\.0\.2\.77\]$/m);
    const refused = await command(folder, ...yes, "--ip", "192.0.2.2");
    assert.equal(refused.status, 3);
    assert.match(refused.lines.join("\n"), /^ {2}S: 550 5\.7\.1 Relay not allowed$/m);
    assert.match(refused.lines.join("\n"), /\(line 4, item 2: else\)$/m);
    const wrong = await command(folder, "--from", "a@example.net", "--to", "nobody");
    assert.equal(wrong.status, 2);
    assert.deepEqual(wrong.errors, ["--to: expected an address such as ana@example.org, found nobody"]);
    const unknown = await command(folder, ...yes, "--auth-as", "eve");
    assert.equal(unknown.status, 1);
  }));

Deno.test("a question leaves nothing behind, and takes a message of the system's line ends", () =>
  withFolder(async (folder) => {
    const file = join(folder, "mail.eml");
    await Deno.writeTextFile(file, "From: a@example.net\nSubject: x\n\nbody\n");
    const { status, lines } = await command(
      folder,
      ...["--from", "a@example.net", "--to", "ana@example.org", "--message", file, "--offline", "--json"],
    );
    assert.equal(status, 0);
    const explanation: Explanation = JSON.parse(lines.join(""));
    assert.equal(explanation.accepted, true);
    const names = [];
    for await (const { name } of Deno.readDir(folder)) names.push(name);
    assert.deepEqual(names.sort(), ["config.toml", "mail.eml"]);
  }));

const SCRIPTS = `
session.rcpt.script = "'rcpt'"
session.data.script = [{ if = "sender == 'noisy@example.net'", then = "'noisy'" }, { else = "'data'" }]
sieve.trusted.scripts.rcpt.contents = '''
if envelope :matches "to" "*@old.example" { set "envelope.to" "\${1}@example.org"; }
if envelope "from" "bad@example.net" { reject "554 5.7.1 Not you"; }
if not eval "exec('/usr/bin/false', [])" { set "x" "y"; }
'''
sieve.trusted.scripts.data.contents = '''
if duplicate { discard; stop; }
if header "subject" "away" { redirect "else@example.com"; stop; }
if header "subject" "bin" { discard; stop; }
addheader "X-Sorted" "yes";
deleteheader "x-old";
fileinto :flags "\\\\Seen" "Lists";
'''
sieve.trusted.scripts.noisy.contents = '''redirect :list "nobody";'''
session.rcpt.relay = true
`;

Deno.test("scripts are run, and what they would do is told instead of done", () =>
  withFolder(async (folder) => {
    const file = join(folder, "mail.eml");
    const ask = async (from: string, to: string, subject: string) => {
      await Deno.writeTextFile(file, `Subject: ${subject}\nMessage-ID: <1@x>\nX-Old: 1\n\nbody\n`);
      const args = ["--from", from, "--to", to, "--message", file, "--offline"];
      const text = await explainWith(SCRIPTS, folder, ...args, "--json");
      const { lines } = await explainWith(SCRIPTS, folder, ...args);
      return {
        status: text.status,
        told: lines.join("\n"),
        explanation: JSON.parse(text.lines.join("")) as Explanation,
      };
    };
    const notes = ({ session }: Explanation, name: string) => session.find((stage) => stage.name === name)?.notes;
    const kept = await ask("a@example.net", "ana@old.example", "list");
    assert.equal(kept.status, 0);
    assert.deepEqual(notes(kept.explanation, "data"), [
      "script data takes the message, with changes",
      "the script files the message into Lists with \\Seen",
      "the script takes out: X-Old: 1",
      "the script puts in: X-Sorted: yes",
    ]);
    assert.match(kept.told, /^ {4}the script makes ana@example\.org the recipient$/m);
    assert.match(kept.told, /a script would run \/usr\/bin\/false; programs are not run/);
    assert.match(kept.told, /session\.data\.script = data/);
    assert.deepEqual(kept.explanation.recipients.map(({ address }) => address), ["ana@example.org"]);
    // A second question is no duplicate of the first.
    assert.equal((await ask("a@example.net", "ana@old.example", "list")).explanation.dropped, false);
    const refused = await ask("bad@example.net", "ana@example.org", "list");
    assert.equal(refused.status, 3);
    assert.match(refused.told, /^ {4}script rcpt refuses: 554 Not you$/m);
    const away = await ask("a@example.net", "ana@example.org", "away");
    assert.deepEqual([away.status, away.explanation.dropped, away.explanation.recipients], [0, true, []]);
    assert.match(away.told, /script data sends a message from <a@example\.net> to else@example\.com/);
    assert.match(away.told, /the message is taken, and delivered to nobody/);
    const gone = await ask("a@example.net", "ana@example.org", "bin");
    assert.match(gone.told, /script data drops the message/);
    const noisy = await ask("noisy@example.net", "ana@example.org", "x");
    assert.match(noisy.told, /script noisy fails at line 1, column 1: the members of the list 'nobody' cannot be told/);
    assert.equal(noisy.explanation.recipients.length, 1);
    const names = [];
    for await (const { name } of Deno.readDir(folder)) names.push(name);
    assert.deepEqual(names.sort(), ["config.toml", "mail.eml"]);
  }));

Deno.test("a running server explains over its API, and queues nothing", async () => {
  await using test = await startTestServer(
    `server.listener.http = { bind = "127.0.0.1:0", protocol = "http" }\n${RULES}`,
  );
  const { port } = test.address("http");
  const url = `http://127.0.0.1:${port}/api/explain`;
  const query = "from=a@example.net&to=x@elsewhere.example&to=ana@example.org&ip=192.0.2.1&offline=true";
  const answer: Explanation = await (await fetch(`${url}?${query}`)).json();
  assert.equal(answer.accepted, true);
  assert.deepEqual(answer.recipients.map(({ address }) => address), ["x@elsewhere.example", "ana@example.org"]);
  const ehlo = answer.session.find(({ name }) => name === "ehlo");
  assert.ok(ehlo?.said.some(({ text }) => text === "250-STARTTLS"), JSON.stringify(ehlo));
  const posted = await fetch(`${url}?from=&to=ana@example.org&offline=true`, {
    method: "POST",
    body: "Subject: from the body\r\n\r\n",
  });
  const explained: Explanation = await posted.json();
  const data = explained.session.find(({ name }) => name === "data");
  assert.ok(data?.said.some(({ text }) => text === "(26 octets of content)"), JSON.stringify(data));
  const wrong = await fetch(`${url}?from=a@example.net&to=x@elsewhere.example&ip=somewhere`);
  assert.equal(wrong.status, 400);
  assert.equal((await wrong.json()).detail, "ip: expected an IP address, found somewhere");
  const large = await fetch(`${url}?from=&to=ana@example.org`, { method: "POST", body: "x".repeat(70_000) });
  assert.equal(large.status, 413);
  await large.body?.cancel();
  assert.deepEqual(await test.server.queue.list(), []);
});
