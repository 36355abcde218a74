import assert from "node:assert/strict";
import { problemsOf } from "./loading.ts";

const MILTER = 'session.milter.m.hostname = "filter.example"\nsession.milter.m.port = 8890\n';
const HOOK = 'session.hook.h.url = "https://hook.example/"\n';

const MILTER_ERRORS = [
  ["timeout.connect", '"0s"', /longer than 0/],
  ["timeout.command", '"0s"', /longer than 0/],
  ["timeout.data", "0", /longer than 0/],
  ["options.version", "4", /expected 2 or 6, found 4/],
  ["options.version", "7", /7/],
  ["options.flags.actions", "0x100000000", /4294967295/],
  ["options.flags.protocol", "-1", /-1/],
  ["options.max-response-size", "-1", /size/],
  ["stages", '["eoh"]', /connect, ehlo, mail, rcpt or data/],
  ["stages", "[]", /one at least, found/],
  ["tls", '"perhaps"', /true or false/],
] as const;

for (const [key, value, problem] of MILTER_ERRORS) {
  Deno.test(`session.milter.m.${key} = ${value} is an error that says what would be right`, () => {
    const problems = problemsOf(`${MILTER}session.milter.m.${key} = ${value}\n`);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", new RegExp(`session\\.milter\\.m\\.${key.replaceAll(".", "\\.")}: line 3: `));
    assert.match(problems[0] ?? "", problem);
  });
}

for (
  const [text, problem] of [
    ['session.milter.m = { hostname = "a b", port = 1 }', /hostname: .*found "a b"/],
    ['session.milter.m = { hostname = "filter.example" }', /port: .*required/],
    ["session.milter.m = { port = 1 }", /hostname: .*required/],
    ['session.milter.m = { hostname = "/run/m", tls = true }', /tls: .*Unix socket/],
    ["session.hook.h = {}", /url: .*required/],
    ['session.hook.h = { url = "ftp://x/" }', /url: .*http/],
    ['session.hook.h = { url = "https://u:p@hook.example/" }', /url: .*auth\.username/],
    [`${HOOK}session.hook.h.timeout = "0s"`, /timeout: .*longer than 0/],
    [`${HOOK}session.hook.h.stages = []`, /stages: .*one at least, found/],
    [`${HOOK}session.hook.h.headers = ["none"]`, /headers: .*Name: value/],
    [`${HOOK}session.hook.h.auth.secret = "s"`, /auth\.username: .*required/],
    [`${HOOK}session.hook.h.auth = { username = "a:b", secret = "s" }`, /auth\.username: .*without ":"/],
  ] as const
) {
  Deno.test(`an error: ${text.replace(HOOK, "")}`, () => {
    const problems = problemsOf(`${text}\n`);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", problem);
  });
}

for (const hostname of ["127.0.0.1", "::1", "[::1]", "filter", "filter.example.net"]) {
  Deno.test(`a milter may be at ${hostname}`, () => {
    assert.deepEqual(problemsOf(`session.milter.m = { hostname = "${hostname}", port = 8890 }\n`), []);
  });
}
