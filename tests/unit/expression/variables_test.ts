import assert from "node:assert/strict";
import { compileExpression, type Context, VARIABLES } from "../../../src/expression/mod.ts";

const CONTEXTS = Object.keys(VARIABLES) as Context[];

/** By variable: type and the contexts that offer it. */
const TABLE: readonly (readonly [names: string, type: string, contexts: string])[] = [
  ["listener protocol country", "str", "conn ehlo mail rcpt data http"],
  ["remote_ip local_ip", "ip", "conn ehlo mail rcpt data http host"],
  ["remote_port local_port asn", "int", "conn ehlo mail rcpt data http"],
  ["is_tls", "bool", "conn ehlo mail rcpt data http"],
  ["helo_domain authenticated_as", "str", "ehlo mail rcpt data"],
  ["sender sender_domain", "str", "mail rcpt data queue host"],
  ["priority", "int", "mail rcpt data queue host"],
  ["rcpt", "str", "rcpt data queue host"],
  ["rcpt_domain", "str", "rcpt data queue host report"],
  ["recipients", "list", "rcpt data queue host"],
  ["source queue_name last_error", "str", "queue host"],
  ["queue_age size retry_num notify_num last_status received_via_port", "int", "queue host"],
  ["received_from_ip", "ip", "queue host"],
  ["mx", "str", "host"],
  ["url url_path method", "str", "http"],
  ["headers", "list", "http"],
];

Deno.test("every context offers exactly its variables, with their types", () => {
  for (const context of CONTEXTS) {
    const expected: Record<string, string> = {};
    for (const [names, type, contexts] of TABLE) {
      if (!contexts.split(" ").includes(context)) continue;
      for (const name of names.split(" ")) expected[name] = type;
    }
    assert.deepEqual({ ...VARIABLES[context] }, expected, context);
  }
});

Deno.test("a variable can be named exactly in the contexts that offer it", () => {
  for (const [names, , contexts] of TABLE) {
    for (const name of names.split(" ")) {
      for (const context of CONTEXTS) {
        const compile = () => compileExpression(name, { context });
        if (contexts.split(" ").includes(context)) assert.doesNotThrow(compile, `${name} in ${context}`);
        else assert.throws(compile, /not known at this stage/, `${name} in ${context}`);
      }
    }
  }
});
