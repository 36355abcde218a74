/** Scripts in the configuration. */

import assert from "node:assert/strict";
import { configOf, load, MINIMAL, problemsOf, valueOf } from "./loading.ts";

/** Problems of scripts, with lines as they are. */
function scriptProblems(text: string, files: Readonly<Record<string, string>> = {}): readonly string[] {
  return load(MINIMAL + text, { files }).problems
    .filter(({ key }) => key.startsWith("sieve."))
    .map(({ severity, key, line, message }) => `${severity} ${key}:${line}: ${message}`);
}

Deno.test("the defaults of trusted scripts", () => {
  const { sieve } = configOf('report.domain = "example.net"');
  assert.equal(sieve.scripts.size, 0);
  for (const stage of ["connect", "ehlo", "mail", "rcpt", "data"] as const) {
    assert.equal(valueOf(sieve.stages[stage]), false);
  }
  assert.equal(valueOf(sieve.fromName), "Automated Message");
  assert.equal(valueOf(sieve.fromAddress), "MAILER-DAEMON@example.net");
  assert.equal(valueOf(sieve.returnPath), "");
  assert.deepEqual(valueOf(sieve.sign), []);
  assert.equal(sieve.hostname, "mx.example.net");
  assert.equal(sieve.receivedHeaders, 50);
  assert.deepEqual(sieve.exec, { allow: undefined, timeout: 10_000 });
});

Deno.test("settings of trusted scripts reach the configuration", () => {
  const { sieve } = configOf(`
session.connect.script = "'s'"
session.ehlo.script = "s"
session.mail.script = "'s'"
session.rcpt.script = "'s_' + rcpt_domain"
session.data.script = [{ if = "listener == 'a'", then = "'s'" }, { else = false }]
sieve.trusted.from-name = "'Robot'"
sieve.trusted.from-addr = "'robot@' + sender_domain"
sieve.trusted.return-path = "'back@example.net'"
sieve.trusted.sign = "['x_' + sender_domain]"
sieve.trusted.hostname = "id.example.net"
sieve.trusted.exec = { allow = ["/usr/bin/true"], timeout = "3s" }
sieve.trusted.limits.received-headers = 7
sieve.trusted.limits.cpu = 8
sieve.trusted.limits.redirects = 9
sieve.trusted.limits.outgoing-messages = 10
sieve.trusted.limits.nested-includes = 11
sieve.trusted.limits.variable-size = 12
sieve.trusted.limits.duplicate-expiry = "13s"
sieve.trusted.scripts.s.contents = "keep;"
`);
  for (const stage of ["connect", "ehlo", "mail"] as const) assert.equal(valueOf(sieve.stages[stage]), "s");
  assert.equal(valueOf(sieve.stages.data, { listener: "a" }), "s");
  assert.equal(valueOf(sieve.stages.data, { listener: "b" }), false);
  assert.equal(valueOf(sieve.fromName), "Robot");
  assert.equal(valueOf(sieve.fromAddress, { sender_domain: "d.example" }), "robot@d.example");
  assert.equal(valueOf(sieve.returnPath), "back@example.net");
  assert.equal(sieve.hostname, "id.example.net");
  assert.deepEqual(sieve.exec, { allow: ["/usr/bin/true"], timeout: 3000 });
  assert.equal(sieve.receivedHeaders, 7);
  const { options } = sieve.scripts.get("s")?.script ?? {};
  assert.deepEqual(options?.limits, {
    instructions: 8,
    redirects: 9,
    outMessages: 10,
    nestedIncludes: 11,
    variableSize: 12,
  });
  assert.equal(options?.settings?.get("sieve_duplicate_max_period"), "13");
  assert.equal(options?.settings?.get("sieve_duplicate_default_period"), "13");
});

Deno.test("addresses that scripts send from have to be some", () => {
  for (
    const [key, wrong] of [["from-addr", ["'nobody'", "", "'a@b c'"]], ["return-path", ["'nobody'", "'<>'"]]] as const
  ) {
    for (const value of wrong) {
      assert.match(
        problemsOf(`sieve.trusted.${key} = "${value}"`).join("\n"),
        new RegExp(`^sieve\\.trusted\\.${key}: line 1: expected an address such as postmaster@example\\.net, found `),
        value,
      );
    }
  }
  const { sieve } = configOf(
    'report.domain = "example.net"\nsieve.trusted.from-addr = "sender"\nsieve.trusted.return-path = "\'\'"',
  );
  assert.equal(valueOf(sieve.fromAddress, { sender: "a@example.org" }), "a@example.org");
  // What a computed value does not give, the default does.
  assert.equal(valueOf(sieve.fromAddress, { sender: "" }), "MAILER-DAEMON@example.net");
  assert.equal(valueOf(sieve.returnPath), "");
  assert.match(problemsOf('sieve.trusted.exec.timeout = "0s"').join("\n"), /^sieve\.trusted\.exec\.timeout: line 1: /);
});

Deno.test("an error in a script is a load error that names the key, and line and column in the script", () => {
  const text = `sieve.trusted.scripts.a.contents = '''
require "variables";
set "x" 5;
reejct "no";
'''
`;
  assert.deepEqual(scriptProblems(text).map((line) => line.replace(/^(.*?of the script).*/s, "$1")), [
    "error sieve.trusted.scripts.a.contents:4: line 2, column 9 of the script",
    "error sieve.trusted.scripts.a.contents:4: line 3, column 1 of the script",
  ]);
  assert.match(scriptProblems(text).join("\n"), /did you mean 'reject'/);
  // A script from a macro may hold what is nobody's business.
  assert.deepEqual(
    scriptProblems('sieve.trusted.scripts.a.contents = "%{file:a.sieve}%"', { "/etc/godwit/a.sieve": "keep;\nstopp;" }),
    [
      "error sieve.trusted.scripts.a.contents:4: line 2, column 1 of the script: unknown command …; " +
      "'godwit sieve check' on a file of the script shows all of it",
    ],
  );
});

Deno.test("a script needs contents, and a variable of the session its right name", () => {
  assert.deepEqual(problemsOf("[sieve.trusted.scripts.a]"), [
    "sieve.trusted.scripts.a.contents: line 1: required: expected text in quotes, not empty, found nothing",
  ]);
  assert.match(
    scriptProblems('sieve.trusted.scripts.a.contents = \'if string "${env.remote_pi}" "x" { stop; }\'').join("\n"),
    /there is no variable 'env\.remote_pi'; did you mean 'remote_ip'\?/,
  );
  assert.match(
    scriptProblems('sieve.trusted.scripts.a.contents = \'set "envelope.too" "x";\'').join("\n"),
    /there is no variable 'envelope\.too'/,
  );
});

Deno.test("a stage can only name a script that there is", () => {
  assert.match(
    problemsOf("session.data.script = \"'b'\"\nsieve.trusted.scripts.a.contents = 'keep;'").join("\n"),
    /^session\.data\.script: line 1: .*'b'/,
  );
});

Deno.test("extensions work without require unless that is switched off", () => {
  const script = "sieve.trusted.scripts.a.contents = 'fileinto \"x\";'";
  assert.deepEqual(scriptProblems(script), []);
  assert.match(
    scriptProblems(`sieve.trusted.no-capability-check = false\n${script}`).join("\n"),
    /line 1, column 1 of the script: .*require "fileinto"/,
  );
});

Deno.test("scripts include each other by name, and an error of an included one stands at its own key", () => {
  const { sieve } = configOf(`sieve.trusted.scripts.a.contents = 'include :global "b";'
sieve.trusted.scripts.b.contents = 'if string "\${env.spf.result}" "fail" { discard; }'`);
  assert.deepEqual([sieve.scripts.get("a")?.readsResults, sieve.scripts.get("b")?.readsResults], [true, true]);
  const problems = scriptProblems(`sieve.trusted.scripts.a.contents = 'include "b";'
sieve.trusted.scripts.b.contents = 'nonsense;'`);
  assert.deepEqual(problems.map((line) => line.replace(/:\d+: .*/s, "")), [
    "error sieve.trusted.scripts.a.contents",
    "error sieve.trusted.scripts.b.contents",
  ]);
});

Deno.test("programs that may be run are named by absolute paths", () => {
  assert.match(
    problemsOf('sieve.trusted.exec.allow = ["/bin/true", "bin/false"]').join("\n"),
    /^sieve\.trusted\.exec\.allow: line 1: expected absolute paths of programs, found /,
  );
});

Deno.test("a local route may name the scripts of users, which have limits of their own", () => {
  const { queue, sieve } = configOf(`
queue.route.home = { type = "local", sieve = "scripts/{domain}/{local}.sieve" }
sieve.user.limits = { cpu = 8, redirects = 9, out-messages = 10, variable-size = 11, script-size = 12 }
`);
  const home = queue.route.get("home");
  assert.equal(home?.type === "local" && home.sieve, "/etc/godwit/scripts/{domain}/{local}.sieve");
  assert.deepEqual(sieve.user, {
    limits: { instructions: 8, redirects: 9, outMessages: 10, variableSize: 11 },
    scriptSize: 12,
  });
  const usual = configOf("");
  const local = usual.queue.route.get("local");
  assert.ok(local?.type === "local" && !("sieve" in local));
  assert.deepEqual(usual.sieve.user, {
    limits: { instructions: 5000, redirects: 1, outMessages: 3, variableSize: 16_384 },
    scriptSize: 102_400,
  });
  assert.match(
    problemsOf('queue.route.m = { type = "mx", sieve = "x" }').join("\n"),
    /^queue\.route\.m\.sieve: warning: line 1: has no effect here/,
  );
});
