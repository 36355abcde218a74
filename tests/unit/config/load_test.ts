import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { developmentConfig, findConfigFile, formatProblem, loadConfig, parseConfig } from "../../../src/config/mod.ts";
import { SCHEMA } from "../../../src/config/schema/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { signingKey } from "../../support/signing_keys.ts";
import { configOf, load, MINIMAL, principalsOf, printed, problemsOf, valueOf } from "./loading.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a file is loaded with the files it names, by paths from its own folder", () =>
  inFolder(async (folder) => {
    const { cert, privateKey } = await makeCertificate({ names: ["mx.example.net"] });
    await Deno.writeTextFile(join(folder, "cert.pem"), cert);
    await Deno.writeTextFile(join(folder, "key.pem"), privateKey);
    const file = join(folder, "config.toml");
    await Deno.writeTextFile(
      file,
      `${MINIMAL}certificate.main = { cert = "cert.pem", private-key = "%{file:key.pem}%" }\n`,
    );
    const { config, problems } = await loadConfig(file);
    assert.ok(config, problems.map((problem) => formatProblem(problem)).join("\n"));
    assert.equal(config.file, file);
    assert.equal(config.certificates[0]?.privateKey, privateKey.trimEnd());
    const store = config.stores.get("data");
    assert.equal(store?.type === "libsql" && store.url, `file:${folder}/data.db`);
  }));

Deno.test("a file that cannot be read or is not UTF-8 is a problem, not an exception", () =>
  inFolder(async (folder) => {
    const missing = await loadConfig(join(folder, "none.toml"));
    assert.equal(missing.config, undefined);
    assert.deepEqual(missing.problems.map((problem) => formatProblem(problem, "none.toml")), [
      "none.toml: cannot read the configuration: there is no such file",
    ]);
    const directory = await loadConfig(folder);
    assert.equal(directory.problems.length, 1);
    const file = join(folder, "latin1.toml");
    await Deno.writeFile(file, Uint8Array.of(0x61, 0x0a, 0x23, 0xe9, 0x0a));
    const latin = await loadConfig(file);
    assert.deepEqual(latin.problems.map((problem) => formatProblem(problem, "latin1.toml")), [
      "latin1.toml: line 2: expected UTF-8, found octets that are none",
    ]);
  }));

Deno.test("the configuration file is the one that was asked for, if it is there", () =>
  inFolder(async (folder) => {
    const file = join(folder, "x.toml");
    assert.equal(await findConfigFile(file), undefined);
    await Deno.writeTextFile(file, "");
    assert.equal(await findConfigFile(file), file);
    assert.equal(await findConfigFile(folder), undefined);
  }));

Deno.test("a problem is printed on one line: key path, warning, line, message", () => {
  const problem = {
    severity: "error",
    key: "session.rcpt.relay",
    line: 12,
    message: "unknown variable 'foo'",
  } as const;
  assert.equal(formatProblem(problem, "config.toml"), "session.rcpt.relay: line 12: unknown variable 'foo'");
  assert.equal(
    formatProblem({ ...problem, severity: "warning" }, "config.toml"),
    "session.rcpt.relay: warning: line 12: unknown variable 'foo'",
  );
  assert.equal(formatProblem({ ...problem, line: 0 }), "session.rcpt.relay: unknown variable 'foo'");
  assert.equal(formatProblem({ ...problem, key: "" }, "config.toml"), "config.toml: line 12: unknown variable 'foo'");
});

Deno.test("whatever stands in a value, a problem stays on one line", () => {
  const lines = printed(
    load(`${MINIMAL}[queue.strategy]\nroute = "'a\\nb\\u0085c\\u2028d'"\n[resolver]\ntype = "x\\ny"`),
  );
  assert.equal(lines.length, 3);
  for (const line of lines) assert.doesNotMatch(line, /[\p{Cc}\u2028\u2029]/u);
});

Deno.test("the development configuration is complete and takes everything", () => {
  const { config, problems } = parseConfig(developmentConfig('/tmp/my "data" 100%'));
  assert.deepEqual(problems, []);
  assert.ok(config);
  assert.equal(config.file, "");
  assert.deepEqual(config.server.listeners.map(({ id, protocol, bind }) => [id, protocol, bind]), [
    ["smtp", "smtp", [{ ip: "127.0.0.1", port: 2525 }]],
    ["submission", "smtp", [{ ip: "127.0.0.1", port: 5587 }]],
    ["http", "http", [{ ip: "127.0.0.1", port: 8025 }]],
  ]);
  const store = config.stores.get("data");
  assert.equal(store?.type === "libsql" && store.url, 'file:/tmp/my "data" 100%25/godwit.db');
  const route = config.queue.route.get("local");
  assert.equal(route?.type === "local" && route.path, '/tmp/my "data" 100%/mail/{domain}/{local}/Maildir');
  assert.equal(valueOf(config.queue.strategy.route), "local");
  const { session } = config;
  const incoming = { listener: "smtp", protocol: "smtp", local_port: 2525, is_tls: false };
  const submission = { listener: "submission", protocol: "smtp", local_port: 5587, is_tls: false };
  assert.equal(valueOf(session.rcpt.relay, incoming), true);
  assert.equal(valueOf(session.rcpt.directory, incoming), false);
  assert.equal(valueOf(session.auth.require, incoming), false);
  assert.deepEqual(valueOf(session.auth.mechanisms, incoming), []);
  assert.equal(valueOf(session.auth.require, submission), true);
  assert.deepEqual(valueOf(session.auth.mechanisms, submission), ["plain", "login"]);
  assert.equal(valueOf(session.auth.allowPlainText, submission), true);
  assert.equal(valueOf(session.auth.directory, submission), "dev");
  assert.deepEqual(principalsOf(config, "dev").map(({ name, secret }) => [name, secret]), [
    ["dev", ["{PLAIN}dev"]],
  ]);
});

Deno.test("the development server can be given other ports, any free one included", () => {
  const { config } = parseConfig(developmentConfig("/tmp/x/", { smtpPort: 0, submissionPort: 0, httpPort: 81 }));
  assert.deepEqual(config?.server.listeners.map(({ bind }) => bind[0]?.port), [0, 0, 81]);
});

const EXAMPLE = new URL("../../../config.example.toml", import.meta.url);

Deno.test("the example configuration loads without a problem", async () => {
  const { config, problems } = load(await Deno.readTextFile(EXAMPLE));
  assert.deepEqual(problems, []);
  assert.equal(config?.server.listeners.length, 3);
});

Deno.test("the example configuration loads with everything in it switched on", async () => {
  const { cert, privateKey } = await makeCertificate({ names: ["mx1.example.net"] });
  const example = await Deno.readTextFile(EXAMPLE);
  // Alternatives to a key that stands above them stay comments.
  const text = example.replaceAll(/^# (?!url = "http|type = "custom"|custom = )(\[|[a-z][a-z.-]* = )/gm, "$1");
  const switchedOn = text.split("\n").filter((line, index) => line !== example.split("\n")[index]);
  assert.ok(switchedOn.length >= 25, switchedOn.join("\n"));
  const { config, problems } = load(text, {
    env: {
      GODWIT_DB_TOKEN: "t",
      LDAP_SECRET: "s",
      POSTMASTER_HASH: "$argon2id$x",
      RELAY_SECRET: "s",
      GODWIT_TOKEN: "t",
    },
    files: {
      "/etc/godwit/tls/fullchain.pem": cert,
      "/etc/godwit/tls/key.pem": privateKey,
      "/etc/godwit/mail2026._domainkey.example.net.pem": signingKey("rsa-sha256", "mail2026").pem,
    },
  });
  assert.deepEqual(problems, []);
  assert.equal(config?.server.listeners.length, 5);
  assert.equal(config?.queue.route.get("smarthost")?.type, "relay");
  assert.equal(config?.http.authToken, "t");
});

const key = fc.constantFrom(...Object.keys(SCHEMA)).map((pattern) =>
  pattern.replaceAll(/<[a-z]+>/g, "x").replaceAll("[]", ".0")
);
const word = fc.oneof(
  fc.constantFrom(
    "true",
    "false",
    "0",
    "1",
    "-1",
    "1.5",
    '""',
    "'x'",
    '"5m"',
    '"1/1h"',
    "[]",
    "{}",
    "[[]]",
    "2024-01-01",
  ),
  fc.constantFrom('"%{cfg:server.hostname}%"', '"%{env:A}%"', '"%{file:f}%"', '"%{cfg:report.domain}%"', '"\\."'),
  fc.constantFrom("[{ if = true, then = 1 }, { else = 2 }]", '[{ if = "x", then = "y" }]', "{ if = 1 }", "{ 0 = 1 }"),
  fc.string().map((text) => JSON.stringify(text)),
  fc.constantFrom("type", "memory", "libsql", "relay", "mx", "local", "log", "ldap").map((text) =>
    JSON.stringify(text)
  ),
);
const statement = fc.oneof(
  fc.tuple(key, word).map(([name, value]) => `${name} = ${value}`),
  fc.tuple(key, fc.string({ maxLength: 5 }), word).map(([name, tail, value]) => `${name}.${tail} = ${value}`),
  key.map((name) => `[${name}]`),
  key.map((name) => `[[${name}]]`),
  fc.string(),
);

Deno.test("no text crashes the loader, and what has a configuration has no error", () => {
  fc.assert(
    fc.property(fc.array(statement, { maxLength: 12 }), fc.boolean(), (statements, complete) => {
      const text = (complete ? MINIMAL : "") + statements.join("\n");
      const { config, problems } = load(text, { env: { A: "a" }, files: { "/etc/godwit/f": "f" } });
      assert.equal(config === undefined, problems.some((problem) => problem.severity === "error"));
      for (const problem of problems) {
        assert.ok(problem.line >= 0 && problem.line <= text.split("\n").length);
        assert.doesNotMatch(formatProblem(problem), /[\p{Cc}]/u);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("no octets crash the loader", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
    load(text);
  }));
});

Deno.test("config_get knows the entries of the lists in the file, and no others", () => {
  const lists = `lookup.words = { hello = "welcome", "b.example" = 25, "@c" = true }\nlookup.names = ["ana"]\n`;
  const greeting = (expression: string) =>
    valueOf(configOf(`${lists}session.connect.greeting = "${expression}"`).session.connect.greeting);
  assert.equal(greeting("config_get('lookup.words.hello') + '!'"), "welcome!");
  assert.equal(greeting("config_get('lookup.words.b.example') + 1"), "26");
  assert.equal(greeting("if_then(config_get('lookup.names.ana'), 'known', 'unknown')"), "known");
  for (const key of ["lookup.words.helo", "lookup.word.hello", "lookups.words.hello"]) {
    const [problem = "", ...others] = problemsOf(`${lists}session.connect.greeting = "config_get('${key}')"`);
    assert.match(problem, new RegExp(`^session\\.connect\\.greeting: line 3: .*there is no setting '${key}'`));
    assert.deepEqual(others, []);
  }
});
