/** What is said about directories that cannot work. */

import assert from "node:assert/strict";
import { parseConfig } from "../../../src/config/mod.ts";
import { secretProblem } from "../../../src/directory/mod.ts";
import { configOf, problemsOf } from "./loading.ts";

function check(text: string, expected: readonly (string | RegExp)[]): void {
  const problems = problemsOf(text);
  assert.equal(problems.length, expected.length, problems.join("\n"));
  for (const [index, one] of expected.entries()) {
    if (typeof one === "string") assert.equal(problems[index], one);
    else assert.match(problems[index] ?? "", one);
  }
}

const STORE =
  `store.people = { type = "sqlite", path = "p.db", query.name = "SELECT 1", query.recipients = "SELECT 2" }\n`;
const SQL = `directory.d = { type = "sql", store = "people", lookup.domains = "example.net" }`;

Deno.test("several directories of which none is the default are worth a warning, unless sessions choose one", () => {
  const two = `directory.a.type = "memory"\ndirectory.b.type = "memory"\n`;
  assert.deepEqual(problemsOf(two), [
    "storage.directory: warning: none of the directories a and b is the default, so no domain is local; name one",
  ]);
  assert.deepEqual(problemsOf(`${two}storage.directory = "b"`), []);
  assert.deepEqual(problemsOf(`${two}session.rcpt.directory = "'b'"`), []);
});

Deno.test("an sql directory needs a store with its two statements", () => {
  check(STORE + SQL, []);
  check(SQL, [/^directory\.d\.store: line 1: there is no store with the id "people"; define it as store\.<id>/]);
  check(STORE + SQL.replace('"people"', '"peopel"'), [/there is no store with the id "peopel".*did you mean 'people'/]);
  check(`store.people = { type = "sqlite", path = "p.db", query.name = "SELECT 1" }\n${SQL}`, [
    `directory.d.store: line 2: required: store "people" has no statement 'query.recipients', which a directory needs`,
  ]);
  check(`store.people = { type = "memory", values = "x" }\n${SQL}`, [
    /line 2: expected a libsql or sqlite store, found "people"/,
  ]);
  check(`${STORE.replace("path", "disable = true, path")}${SQL}`, [
    /line 2: store "people" is switched off by its 'disable' key/,
  ]);
  check(`${STORE}directory.d.type = "sql"`, [/^directory\.d\.store: line 2: required: expected text/]);
});

Deno.test("a directory without local domains is worth a warning, unless it may be there for logins", () => {
  check(`${STORE}directory.d = { type = "sql", store = "people" }`, [
    /^directory\.d\.store: warning: line 2: no domain is local: .*'query\.domains' in store 'people'/,
  ]);
  check(`${STORE.replace(" }", ', query.domains = "SELECT 3" }')}directory.d = { type = "sql", store = "people" }`, []);
  for (const type of ["smtp", "lmtp"]) {
    check(`directory.d = { type = "${type}", address = "mail.example" }`, [
      /^directory\.d\.lookup\.domains: warning: line 1: no domain is local/,
    ]);
  }
  check('directory.d = { type = "imap", address = "mail.example" }', []);
  check('directory.d = { type = "oidc", endpoint = { url = "https://x.example", method = "userinfo" } }', []);
});

const LDAP =
  `directory.d = { type = "ldap", url = "ldap://x", base-dn = "o=x", lookup.domains = "x.example", filter = { name = "(uid=?)", email = "(mail=?)" }`;

Deno.test("an LDAP directory is told what its filters, template and accounts lack", () => {
  check(`${LDAP} }`, []);
  check(`${LDAP}, bind = { dn = "cn=a", secret = "s" } }`, []);
  check(`${LDAP}, bind = { dn = "cn=a" } }`, [
    /^directory\.d\.bind\.secret: line 1: required: 'bind\.dn' names an account/,
  ]);
  check(`${LDAP}, bind = { dn = "cn=a", secret = "" } }`, [/^directory\.d\.bind\.secret: line 1: required/]);
  check(`${LDAP}, bind = { dn = "cn=a", secret = "%{env:NOT_SET}%" } }`, [/"NOT_SET" is not set/]);
  check(`${LDAP}, bind = { secret = "s" } }`, [/^directory\.d\.bind\.dn: line 1: required/]);
  check(`${LDAP}, bind.auth.method = "template" }`, [/^directory\.d\.bind\.auth\.template: line 1: required/]);
  check(`${LDAP}, bind.auth = { method = "template", template = "uid=ana,o=x" } }`, [
    /^directory\.d\.bind\.auth\.template: line 1: expected a DN with \{username\} or \{local\}.*found "uid=ana,o=x"/,
  ]);
  for (const filter of ["uid=?", "(uid=ana)", "(&(uid=?)", ""]) {
    const problems = problemsOf(`${LDAP.replace("(uid=?)", filter)} }`);
    assert.match(problems.join("\n"), /^directory\.d\.filter\.name: line 1: /, filter);
  }
  check(`${LDAP.replace("ldap://", "ldaps://")}, tls.enable = true }`, [
    /^directory\.d\.tls\.enable: line 1: STARTTLS is for ldap: URLs/,
  ]);
  check(`${LDAP.replace("ldap://x", "http://x")} }`, [
    /^directory\.d\.url: line 1: expected a URL that begins with ldap: or ldaps:/,
  ]);
});

Deno.test("the credentials that a method of introspection needs are asked for", () => {
  const oidc = 'directory.d = { type = "oidc", endpoint = { url = "https://x.example", method = "introspect" }';
  check(`${oidc}, auth.method = "basic" }`, [
    'directory.d.auth.username: line 1: required: the method is "basic", found nothing',
    'directory.d.auth.secret: line 1: required: the method is "basic", found nothing',
  ]);
  check(`${oidc}, auth.method = "token" }`, [/^directory\.d\.auth\.token: line 1: required: the method is "token"/]);
  check(`${oidc}, auth.method = "user-token" }`, []);
});

Deno.test("the port of a mail server follows from its type and TLS", () => {
  for (
    const [type, implicit, port] of [
      ["smtp", false, 25],
      ["smtp", true, 465],
      ["lmtp", false, 24],
      ["imap", false, 143],
      ["imap", true, 993],
    ] as const
  ) {
    const { directories } = configOf(
      `directory.d = { type = "${type}", address = "m.example", lookup.domains = "x.example", tls.implicit = ${implicit} }`,
    );
    const directory = directories.get("d");
    assert.equal(directory !== undefined && "port" in directory && directory.port, port);
  }
});

Deno.test("an operation may take 30 s with LDAP and 15 s with a provider", () => {
  const { directories } = configOf(
    `${LDAP} }\ndirectory.e = { type = "oidc", endpoint = { url = "https://x.example", method = "userinfo" } }`,
  );
  const timeouts = [...directories.values()].map((directory) => "timeout" in directory && directory.timeout);
  assert.deepEqual(timeouts, [30_000, 15_000]);
});

const people = (...entries: string[]) =>
  `directory.d = { type = "memory", principals = [${entries.map((entry) => `{ ${entry} }`).join(", ")}] }`;

Deno.test("a group that nobody has defined, or that is none, is an error", () => {
  check(people('name = "ana", member-of = ["staff"]', 'name = "staff", class = "group"'), []);
  check(people('name = "ana", member-of = ["staf"]', 'name = "staff", class = "group"'), [
    /^directory\.d\.principals\[0\]\.member-of: line 1: there is no group "staf"; did you mean 'staff'\?/,
  ]);
  check(people('name = "ana", member-of = ["bob"]', 'name = "bob"'), [
    /the principal "bob" is no group; give it class = "group"$/,
  ]);
});

Deno.test("an address of two people is worth a warning, one of a group and its member is not", () => {
  check(people('name = "ana", email = ["Ana@x.example"]', 'name = "bob", email = ["bob@x.example", "ana@X.example"]'), [
    /^directory\.d\.principals\[1\]\.email: warning: line 1: "ana@x\.example" is an address of another principal already/,
  ]);
  check(people('name = "ana", email = ["s@x.example"]', 'name = "s", class = "group", email = ["s@x.example"]'), []);
  check(people('name = "ana", email-list = ["l@x.example"]', 'name = "bob", email-list = ["l@x.example"]'), []);
});

Deno.test("a secret that looks like a hash and is none is an error, where its form can be told", () => {
  const { problems } = parseConfig(people('name = "ana", secret = "$6$short"', 'name = "bob", secret = "{SHA}x"'), {
    file: "/etc/godwit/config.toml",
    secretProblem,
  });
  const errors = problems.filter(({ severity }) => severity === "error").map(({ key, message }) => [key, message]);
  const about = errors.filter(([key]) => key?.endsWith(".secret"));
  assert.deepEqual(about.map(([key]) => key), [
    "directory.d.principals[0].secret",
    "directory.d.principals[1].secret",
  ]);
  assert.match(about[0]?.[1] ?? "", /^a secret that starts with \$6\$ is taken for a hash, but is none/);
});

Deno.test("a scheme in braces that nobody here knows is said to be part of the password", () => {
  check(people('name = "ana", secret = "{RIPEMD}abc"'), [/names no kind of hash that is understood/]);
  check(people('name = "ana", secret = "abc"'), [/a password stands here in plain text/]);
  for (
    const known of ["{SHA512-CRYPT}$6$a$b", "{BLF-CRYPT}$2y$1", "{SMD5}abc", "{CLEARTEXT}abc", "{ssha}abc", "$2b$x"]
  ) {
    check(people(`name = "ana", secret = "${known}"`), []);
  }
});
