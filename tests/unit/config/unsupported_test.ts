import assert from "node:assert/strict";
import { SCHEMA } from "../../../src/config/schema/mod.ts";
import type { Key } from "../../../src/config/schema/spec.ts";
import { problemsOf } from "./loading.ts";

const schema: Readonly<Record<string, Key>> = SCHEMA;

/** Areas of the format that are not supported yet, by what their patterns begin with. */
const AREAS = [
  "asn.",
  "webhook.",
  "metrics.open-telemetry.",
];

/** Keys of tracers of a kind that is not supported; there the kind is what is reported. */
const KINDS = /^tracer\.<id>\./;

Deno.test("the schema marks exactly these areas as not supported yet", () => {
  for (const [pattern, spec] of Object.entries(schema)) {
    if (KINDS.test(pattern)) continue;
    assert.equal(spec.supported, !AREAS.some((area) => pattern.startsWith(area)), pattern);
  }
});

Deno.test("setting any key that is not supported yet is an error that names key and line", () => {
  for (const [pattern, spec] of Object.entries(schema)) {
    if (spec.supported || KINDS.test(pattern)) continue;
    const key = pattern.replaceAll(/<[a-z]+>/g, "x").replaceAll("[]", ".0");
    const shown = key.replaceAll(/\.(\d)/g, "[$1]");
    const problems = problemsOf(`\n\n${key} = "1/1h"`).filter((line) => line.startsWith(`${shown}: `));
    assert.deepEqual(problems, [`${shown}: line 3: is not supported yet (found "1/1h")`]);
  }
});

Deno.test("a value that only switches such a key off is accepted", () => {
  for (
    const text of [
      "auth.dkim.sign = false",
      "server.auto-ban.auth.rate = false",
      "report.dsn.sign = false",
      'report.dmarc.aggregate.send = "never"',
      "report.spf.send = false",
      'asn.type = "disabled"',
      'metrics.open-telemetry.transport = "disable"',
    ]
  ) {
    assert.deepEqual(problemsOf(text), [], text);
  }
});

Deno.test("a directory of the type internal is an error that names the types there are", () => {
  assert.match(
    problemsOf('directory.d.type = "internal"').join("\n"),
    /^directory\.d\.type: line 1: .*"memory".*sql, ldap/,
  );
});

Deno.test("a store of another type is one error that names the types there are", () => {
  for (const type of ["rocksdb", "postgresql", "mysql", "redis", "s3", "fs"]) {
    assert.deepEqual(problemsOf(`[store.x]\ntype = "${type}"\nhost = "h"\npath = "/x"`), [
      `store.x.type: line 2: is not supported: godwit has no stores of the type "${type}"; use libsql, sqlite or memory`,
    ]);
  }
  assert.match(problemsOf('store.x = { type = "lipsql" }').join("\n"), /expected one of .*found "lipsql".*'libsql'/);
});

Deno.test("tracers to the journal or a collector are refused", () => {
  for (const type of ["journal", "open-telemetry"]) {
    assert.deepEqual(problemsOf(`[tracer.t]\ntype = "${type}"\ntransport = "grpc"`), [
      `tracer.t.type: line 2: is not supported yet (found "${type}")`,
    ]);
  }
});

Deno.test("the classifier that godwit does not have brings a warning, switched off none", () => {
  assert.deepEqual(problemsOf("session.data.spam-filter = false"), []);
  assert.match(
    problemsOf("session.data.spam-filter = true").join("\n"),
    /^session\.data\.spam-filter: warning: line 1: .*no classifier/,
  );
  assert.equal(problemsOf("session.data.spam-filter = \"listener == 'smtp'\"").length, 1);
});
