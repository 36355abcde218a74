/** Test files in Sieve, and the command that runs them. */

import assert from "node:assert/strict";
import { run } from "../../../src/cli/mod.ts";
import { runTests } from "../../../src/sieve/mod.ts";

const SOURCE = `require ["vnd.dovecot.testsuite", "fileinto", "mailbox", "relational", "comparator-i;ascii-numeric"];
test_set "message" text:
From: ann@example.org
To: bob@example.net
Subject: Hi

Text
.
;
test "passes" {
  if not test_script_compile "good.sieve" { test_fail "not compiled"; }
  if not test_script_run { test_fail "not run"; }
  if not test_result_action :index 1 "store" { test_fail "not stored"; }
  if not test_result_execute { test_fail "not executed"; }
  if not test_message :folder "friends" 0 { test_fail "not there"; }
  if not header "subject" "Hi" { test_fail "another message"; }
}
test "fails" { if true { test_fail "by intent"; } }
test "errors" {
  if test_script_compile "bad.sieve" { test_fail "compiled"; }
  if not test_error :count "eq" :comparator "i;ascii-numeric" "2" { test_fail "miscounted"; }
  if not test_error :index 1 :contains "unknown command 'kep'" { test_fail "other words"; }
}
test "sends" {
  redirect "carol@example.com";
  if not test_result_execute { test_fail "not executed"; }
  if not test_message :smtp 0 { test_fail "not sent"; }
}`;

const FILES: Readonly<Record<string, string>> = {
  "good.sieve": 'require ["fileinto", "mailbox"]; fileinto :create "friends";',
  "bad.sieve": "kep;",
};

Deno.test("a test file says of each test whether it passed, and why not", async () => {
  const report = await runTests(SOURCE, { now: () => 0, read: (path) => FILES[path] });
  assert.deepEqual(report, {
    tests: [
      { name: "passes", passed: true, reason: null },
      { name: "fails", passed: false, reason: "line 18: by intent" },
      { name: "errors", passed: true, reason: null },
      { name: "sends", passed: true, reason: null },
    ],
    problems: [],
    error: undefined,
  });
});

Deno.test("godwit sieve checks and tests files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const write = (name: string, text: string) => Deno.writeTextFile(`${folder}/${name}`, text);
    await Promise.all([...Object.entries(FILES).map(([name, text]) => write(name, text)), write("all.svtest", SOURCE)]);
    const lines: string[] = [];
    const output = {
      print: (line: string) => void lines.push(line),
      error: () => {},
      write: () => Promise.resolve(),
      colours: false,
    };
    assert.equal(await run(["sieve", "check", `${folder}/good.sieve`], output), 0);
    assert.equal(await run(["sieve", "check", `${folder}/bad.sieve`], output), 1);
    assert.deepEqual(lines.splice(0), [
      `${folder}/good.sieve is valid`,
      `${folder}/bad.sieve:1:1: unknown command 'kep'; did you mean 'keep'?`,
      `${folder}/bad.sieve has 1 error`,
    ]);
    assert.equal(await run(["sieve", "test", "--json", `${folder}/all.svtest`], output), 1);
    const { files } = JSON.parse(lines.splice(0).join(""));
    assert.equal(files[0].file, `${folder}/all.svtest`);
    assert.deepEqual(files[0].tests[1], { name: "fails", passed: false, reason: "line 18: by intent" });
    assert.equal(await run(["sieve", "test", `${folder}/all.svtest`], output), 1);
    assert.equal(lines.at(-1), "3 passed, 1 failed, in 1 file");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
