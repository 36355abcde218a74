/** `godwit sieve run`: what a script would do, told to people and to programs. */

import assert from "node:assert/strict";
import { run } from "../../../src/cli/mod.ts";

const SCRIPT = `require ["fileinto", "imap4flags", "editheader", "copy", "extlists"];
if header :list "subject" "words" { fileinto :flags "\\\\Seen" "Odd"; }
addheader "X-Time" "now";
redirect :copy "carol@example.com";
`;

interface Ran {
  readonly status: number;
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  /** The message that `--output` wrote. */
  readonly written: string | undefined;
}

async function runScript(script: string, ...args: readonly string[]): Promise<Ran> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/script.sieve`, script);
    await Deno.writeTextFile(`${folder}/m.eml`, "Subject: Strange\n\nText\n");
    const [lines, errors]: [string[], string[]] = [[], []];
    const output = {
      print: (line: string) => void lines.push(line),
      error: (line: string) => void errors.push(line.replaceAll(folder, "")),
      write: () => Promise.resolve(),
      colours: false,
    };
    const given = args.map((arg) => arg.replace("FOLDER", folder));
    const status = await run(
      ["sieve", "run", `${folder}/script.sieve`, "--message", `${folder}/m.eml`, ...given],
      output,
    );
    return { status, lines, errors, written: await Deno.readTextFile(`${folder}/out.eml`).catch(() => undefined) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("actions are told in the order in which they were taken", async () => {
  const { status, lines, written } = await runScript(
    SCRIPT,
    ...["--list", "words=Strange", "--envelope", "from=ann@example.org", "--output", "FOLDER/out.eml"],
  );
  assert.equal(status, 0);
  assert.deepEqual(lines, [
    'fileinto "Odd" with flags \\Seen',
    "redirect to carol@example.com",
    "message changed: 26 octets before, 39 after",
  ]);
  assert.equal(written, "X-Time: now\r\nSubject: Strange\r\n\r\nText\r\n");
});

Deno.test("JSON has the actions with the message they act on, and the envelope", async () => {
  const { status, lines } = await runScript(SCRIPT, "--envelope", "from=ann@example.org", "--json");
  assert.equal(status, 0);
  const { instructions, ...told } = JSON.parse(lines.join("\n"));
  assert.ok(instructions > 0);
  const message = "X-Time: now\r\nSubject: Strange\r\n\r\nText\r\n";
  assert.deepEqual(told, {
    actions: [{ kind: "redirect", address: "carol@example.com", copy: true, message }],
    implicitKeep: { kind: "keep", message },
    envelope: { from: "ann@example.org" },
    changed: true,
    error: null,
    log: [],
  });
});

Deno.test("scripts of the configuration run with their variables and without require", async () => {
  const script = 'if string "${env.helo_domain}" "mx.example.org" { set "envelope.from" ""; reject "no"; }';
  const { status, lines } = await runScript(script, "--no-capability-check", "--env", "helo_domain=mx.example.org");
  assert.equal(status, 0);
  assert.deepEqual(lines, ['reject "no"']);
});

Deno.test("an error of the script is told with its place, and kept mail is kept", async () => {
  const { status, lines } = await runScript('require "ihave";\nerror "by intent";');
  assert.equal(status, 1);
  assert.deepEqual(lines, ["implicit keep", "error: line 2, column 1: by intent"]);
});

Deno.test("what is wrong before the script runs is told on standard error", async () => {
  assert.match((await runScript("kep;")).errors[0] ?? "", /script\.sieve:1:1: unknown command 'kep'/);
  const wrong = await runScript("keep;", "--envelope", "from", "--time", "soon");
  assert.deepEqual([wrong.status, wrong.errors.length], [2, 2]);
  const unknown = await runScript("keep;", "--envelope", "frm=a@b.example");
  assert.equal(unknown.status, 2);
  assert.match(unknown.errors[0] ?? "", /^--envelope: there is no part "frm"; there are from, to, notify, /);
});

Deno.test("copies of what is sent are told, and notifications that nobody gets", async () => {
  const script = `require ["vacation", "enotify", "fcc"];
vacation :addresses "bob@example.net" :fcc "Sent" "Away.";
notify :fcc "Sent" "mailto:a@example.org"; notify "mailto:A@example.org";`;
  const { lines } = await runScript(script, "--envelope", "from=ann@example.org", "--envelope", "to=bob@example.net");
  assert.deepEqual(lines, [
    "vacation, but no reply is due",
    'notify "mailto:a@example.org", a copy is filed into "Sent"',
    'notify "mailto:A@example.org", but nobody is to be told',
    "implicit keep",
  ]);
});
