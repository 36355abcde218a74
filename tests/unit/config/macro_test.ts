import assert from "node:assert/strict";
import { SCHEMA } from "../../../src/config/schema/mod.ts";
import { configOf, load, MINIMAL, printed, problemsOf, valueOf } from "./loading.ts";

Deno.test("a macro is replaced by the environment variable, the file or the other setting", () => {
  const config = configOf(
    `[http]
auth.token = "%{env:TOKEN}%"
headers = ["X-A: %{file:a.txt}%", "X-B: %{file:/abs/b.txt}%-%{env:TOKEN}%"]
[cluster]
node-id = "node-of-%{cfg:server.hostname}%"
`,
    { env: { TOKEN: "s3cret" }, files: { "/etc/godwit/a.txt": "one\n", "/abs/b.txt": "two" } },
  );
  assert.equal(config.http.authToken, "s3cret");
  assert.deepEqual(config.http.headers, ["X-A: one", "X-B: two-s3cret"]);
  assert.equal(config.cluster.nodeId, "node-of-mx.example.net");
});

Deno.test("one final line break of a file is dropped, LF or CRLF, and only one", () => {
  for (const [content, wanted] of [["x\n", "x"], ["x\r\n", "x"], ["x\n\n", "x\n"], ["x", "x"], ["", ""]] as const) {
    const { session } = configOf(`session.mail.rewrite = "'%{file:g}%|'"`, { files: { "/etc/godwit/g": content } });
    assert.equal(valueOf(session.mail.rewrite), `${wanted}|`);
  }
});

Deno.test("macros stand in list items, inline tables and conditions too, but not in keys", () => {
  const { session, lookups } = configOf(
    `session.rcpt.relay = [{ if = "remote_ip == '%{env:IP}%'", then = true }, { else = false }]
[lookup.names]
"%{env:IP}%" = "%{env:IP}%"
`,
    { env: { IP: "192.0.2.7" } },
  );
  assert.equal(valueOf(session.rcpt.relay, { remote_ip: "192.0.2.7" }), true);
  assert.equal(valueOf(session.rcpt.relay, { remote_ip: "192.0.2.8" }), false);
  assert.deepEqual([...lookups.get("names") ?? []], [["%{env:IP}%", "192.0.2.7"]]);
});

Deno.test("a number or boolean may come from a macro", () => {
  const { server } = configOf(
    `[server.listener.a]
bind = "127.0.0.1:%{env:PORT}%"
protocol = "smtp"
max-connections = "%{env:MOST}%"
tls.enable = "%{env:TLS}%"
`,
    { env: { PORT: "2525", MOST: "77", TLS: "false" } },
  );
  assert.deepEqual(server.listeners[0]?.bind, [{ ip: "127.0.0.1", port: 2525 }]);
  assert.equal(server.listeners[0]?.maxConnections, 77);
  assert.equal(server.listeners[0]?.tls.enable, false);
});

Deno.test("what a macro gives is not expanded again", () => {
  const { http } = configOf(`http.auth.token = "%{env:A}%"`, { env: { A: "%{env:B}%", B: "no" } });
  assert.equal(http.authToken, "%{env:B}%");
});

Deno.test("only a complete macro is special", () => {
  assert.equal(configOf(`http.auth.token = "100% %{env:A} } %"`).http.authToken, "100% %{env:A} } %");
});

Deno.test("%{cfg:}% gives the default of a key that is not set, worked out from other keys if need be", () => {
  const { http } = configOf(
    `http.headers = ["A: %{cfg:server.max-connections}%", "B: %{cfg:report.domain}%", "C: %{cfg:storage.lookup}%"]`,
  );
  assert.deepEqual(http.headers, ["A: 8192", "B: example.net", "C: data"]);
});

Deno.test("%{cfg:}% follows the macros of other keys, defaults made from them included", () => {
  const result = load(
    MINIMAL.replace('"mx.example.net"', '"%{env:HOST}%"') +
      `[cluster]
node-id = "%{cfg:server.hostname}%"
[http]
headers = ["A: %{cfg:cluster.node-id}%", "B: %{cfg:report.domain}%"]
`,
    { env: { HOST: "a.b.example" } },
  );
  assert.deepEqual(result.config?.http.headers, ["A: a.b.example", "B: b.example"]);
});

Deno.test("a macro that cannot be replaced is an error that names the key and what is missing", () => {
  for (
    const [value, wanted] of [
      ["%{env:NO_SUCH}%", /^http\.auth\.token: line 1: the environment variable "NO_SUCH" is not set$/],
      ["%{file:none.txt}%", /^http\.auth\.token: line 1: cannot read the file "none.txt": there is no such file$/],
      ["%{cfg:server.hostnam}%", /^http\.auth\.token: line 1: unknown key "server.hostnam" .*'server\.hostname'/],
      ["%{cfg:storage.data.x}%", /^http\.auth\.token: line 1: unknown key "storage.data.x"/],
      ["%{cfg:}%", /^http\.auth\.token: line 1: unknown key ""/],
      ["%{cfg:http.headers}%", /^http\.auth\.token: line 1: http\.headers, wanted by .* no default that is a single/],
      ["%{cfg:server.listener.a.bind}%", /^http\.auth\.token: line 1: server\.listener\.a\.bind, wanted by/],
      ["%{cfg:http.auth.token}%", /^http\.auth\.token: line 1: .*circle: http\.auth\.token, http\.auth\.token$/],
      ["%{what:ever}%", /^http\.auth\.token: line 1: expected %\{env:NAME\}%.* found "%\{what:ever\}%"$/],
      ["%{}%", /^http\.auth\.token: line 1: expected %\{env:NAME\}%/],
    ] as const
  ) {
    const problems = problemsOf(`http.auth.token = "${value}"`);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", wanted);
  }
});

Deno.test("a circle over several keys and defaults is found", () => {
  const text = MINIMAL.replace('"mx.example.net"', '"%{cfg:cluster.node-id}%"') +
    `[cluster]\nnode-id = "%{cfg:report.domain}%"\n`;
  const lines = printed(load(text)).filter((line) => line.includes("circle"));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /cluster\.node-id: line 5: the macro %\{cfg:report\.domain\}% goes in a circle/);
});

Deno.test("%{NAME}% is read as %{env:NAME}%, with a warning; unset it is an error", () => {
  const world = { env: { TOKEN: "abc" } };
  assert.equal(configOf(`http.auth.token = "%{TOKEN}%"`, world).http.authToken, "abc");
  assert.deepEqual(problemsOf(`http.auth.token = "%{TOKEN}%"`, world), [
    "http.auth.token: warning: line 1: %{TOKEN}% is an older spelling of %{env:TOKEN}%",
  ]);
  assert.ok(problemsOf(`http.auth.token = "%{TOKEN}%"`).some((line) => line.includes('"TOKEN" is not set')));
});

Deno.test("areas that are ignored have their macros ignored too", () => {
  assert.deepEqual(problemsOf(`[enterprise]\nlicense-key = "%{env:NO_SUCH}%"\n`).map((line) => line.split(": ")[1]), [
    "warning",
  ]);
});

/** Keys with ids filled in, each in a section that is otherwise complete enough to be looked at. */
function keysOfTheFormat(): readonly string[] {
  return Object.keys(SCHEMA)
    .map((pattern) => pattern.replaceAll(/<[a-z]+>/g, "x").replaceAll("[]", ".0"))
    .filter((key) => !["lookup.x", "tracing.level"].includes(key));
}

const SECRET = "hunter2";

Deno.test("a value from the environment or a file is never shown, whatever key it stands for", () => {
  const secrets = [SECRET, `${SECRET}(1)`, `'${SECRET}'`, `"${SECRET}`, `${SECRET} == 1`];
  const macros = ["%{env:S}%", "%{file:s}%", "%{S}%"];
  for (const [number, key] of keysOfTheFormat().entries()) {
    const macro = macros[number % macros.length]!;
    const secret = secrets[number % secrets.length]!;
    for (const value of [`"${macro}"`, `[{ if = "${macro}", then = "${macro}" }]`]) {
      const { problems } = load(`${key} = ${value}`, { env: { S: secret }, files: { "/etc/godwit/s": secret } });
      const shown = problems.filter((problem) => problem.message.includes(SECRET));
      assert.deepEqual(shown, [], `${key} = ${value}`);
    }
  }
});

Deno.test("a secret that reaches another key by %{cfg:}% is not shown there either", () => {
  const lines = problemsOf(
    `[http]\nauth.token = "%{env:S}%"\nrate-limit.anonymous = "%{cfg:http.auth.token}%"\nurl = "%{cfg:http.auth.token}%"`,
    { env: { S: SECRET } },
  );
  assert.deepEqual(lines, [
    'http.rate-limit.anonymous: line 3: expected a rate such as 100/1h (count, slash, duration), found "%{cfg:http.auth.token}%"',
    "http.url: line 4: the expression is not valid at character 1; its text came from a macro and is not shown",
  ]);
});

Deno.test("what else is checked of a secret value does not show it: addresses, ids, names, key pairs", () => {
  const world = {
    env: {
      BIND: "192.0.2.77:25",
      ID: "hunter2-id",
      EVENT: "hunter2.event",
      PEM: `${SECRET}\n${SECRET}`,
      MECH: "'xoauth2'",
    },
  };
  const { problems } = load(
    `${MINIMAL.replace('data = "data"', 'data = "%{env:ID}%"')}directory = "%{env:ID}%"
[server.listener.a]
bind = "%{env:BIND}%"
protocol = "smtp"
tls.certificate = "%{env:ID}%"
[server.listener.b]
bind = ["%{env:BIND}%", "%{env:BIND}%"]
protocol = "smtp"
[certificate.c]
cert = "%{env:PEM}%"
private-key = "%{env:ID}%"
[queue.strategy]
route = "'%{env:ID}%'"
[queue.schedule.s]
queue-name = "%{env:ID}%"
[store.x]
type = "%{env:ID}%"
[directory.d]
type = "memory"
principals = [{ name = "%{env:ID}%" }, { name = "%{env:ID}%" }]
[metrics]
disabled-events = ["%{env:EVENT}%"]
[session.auth]
mechanisms = "%{env:MECH}%"
`,
    world,
  );
  assert.ok(problems.length >= 11, problems.map((problem) => problem.key).join(" "));
  for (const { key, message } of problems) assert.doesNotMatch(message, /hunter2|192\.0\.2\.77/, key);
});
