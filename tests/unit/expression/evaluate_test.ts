import assert from "node:assert/strict";
import { evaluateText, ExpressionError, formatValue, parseVariable } from "../../../src/expression/mod.ts";
import { ENVIRONMENT, scopeOf } from "./scope.ts";

Deno.test("a single expression may name the variables of every context and those it is given", () => {
  const scope = scopeOf({ sender: "a@b", mine: 5, flag: true });
  assert.equal(evaluateText("sender + mine", scope), "a@b5");
  assert.equal(evaluateText("flag && url_path == ''", scope), true);
  assert.throws(() => evaluateText("yours", scope), ExpressionError);
  assert.throws(() => evaluateText("url_path", scope, { context: "rcpt" }), /not known at this stage/);
  assert.equal(evaluateText("config_get('server.hostname')", scope, { environment: ENVIRONMENT }), "mx1.example.net");
});

Deno.test("a mismatch makes a single expression false and is reported", async () => {
  const scope = scopeOf({}, { keyGet: () => Promise.resolve("x") });
  assert.equal(evaluateText("'a' - 1", scope), false);
  assert.equal(await evaluateText("key_get('', 'a') - 1", scope), false);
  assert.deepEqual(scope.errors.map((error) => error.event), ["eval.error", "eval.error"]);
});

Deno.test("captures work in a single expression", () => {
  assert.equal(evaluateText("if_then(matches('@(.+)$', sender), $1, '')", scopeOf({ sender: "a@b" })), "b");
});

Deno.test("variables given as text are read by the variable's type", () => {
  assert.equal(parseVariable("retry_num", "3"), 3);
  assert.equal(parseVariable("is_tls", "true"), true);
  assert.equal(parseVariable("is_tls", "0"), false);
  assert.equal(parseVariable("is_tls", "maybe"), undefined);
  assert.equal(parseVariable("retry_num", "many"), undefined);
  assert.equal(parseVariable("remote_ip", "::ffff:192.0.2.4"), "192.0.2.4");
  assert.equal(parseVariable("remote_ip", "2001:DB8:0::1"), "2001:db8::1");
  assert.equal(parseVariable("remote_ip", "somewhere"), undefined);
  assert.equal(parseVariable("sender", "123"), "123");
  assert.deepEqual(parseVariable("recipients", "a@b, c@d"), ["a@b", "c@d"]);
  assert.deepEqual(parseVariable("recipients", ""), []);
  assert.equal(parseVariable("mine", "42"), 42);
  assert.equal(parseVariable("mine", "007"), "007");
  assert.equal(parseVariable("mine", "true"), true);
  assert.equal(parseVariable("mine", "text"), "text");
});

Deno.test("values are written for people", () => {
  assert.equal(formatValue("plain text"), "plain text");
  assert.equal(formatValue(42), "42");
  assert.equal(formatValue(1.5), "1.5");
  assert.equal(formatValue(1e21), "1000000000000000000000");
  assert.equal(formatValue(1e-7), "0.0000001");
  assert.equal(formatValue(true), "true");
  assert.equal(formatValue(["a", 1, ["b"], false]), '["a", 1, ["b"], false]');
  assert.equal(formatValue([]), "[]");
});
