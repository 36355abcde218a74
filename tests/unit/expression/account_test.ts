import assert from "node:assert/strict";
import {
  compileSetting,
  EMPTY_ENVIRONMENT,
  type FunctionHost,
  type Scope,
  type SettingAccount,
  type SettingOptions,
} from "../../../src/expression/mod.ts";

const functions = {
  isLocalDomain: (_: string, domain: string) => Promise.resolve(domain === "example.org"),
} as unknown as FunctionHost;

async function explain(
  options: Partial<SettingOptions>,
  variables: Scope["variables"] = {},
): Promise<SettingAccount<unknown>> {
  const { setting, errors } = compileSetting<unknown>({
    key: "session.rcpt.relay",
    context: "rcpt",
    type: { kind: "bool" },
    source: undefined,
    default: false,
    environment: EMPTY_ENVIRONMENT,
    ...options,
  });
  assert.ok(setting?.explain, JSON.stringify(errors));
  const scope = { variables, functions };
  const account = await setting.explain(scope);
  assert.deepEqual(account.value, await setting.evaluate(scope), "an account gives the value that evaluation gives");
  return account;
}

Deno.test("a setting without conditions is decided by its one text", async () => {
  const { value, steps } = await explain({ source: "!is_empty(authenticated_as)" }, { authenticated_as: "ana" });
  assert.equal(value, true);
  assert.deepEqual(steps, [{
    from: "file",
    item: undefined,
    condition: undefined,
    met: true,
    result: "!is_empty(authenticated_as)",
    gave: true,
  }]);
});

Deno.test("a list shows the items that were looked at, and which of them held", async () => {
  const source = [
    { if: "rcpt_domain == 'example.net'", then: true },
    { if: "is_local_domain('', rcpt_domain)", then: "sender_domain == 'example.com'" },
    { else: false },
  ];
  const { steps } = await explain({ source }, { rcpt_domain: "example.org", sender_domain: "example.com" });
  assert.deepEqual(
    steps.map(({ item, condition, met, result, gave }) => [item, condition, met, met ? result : "", gave]),
    [
      [0, "rcpt_domain == 'example.net'", false, "", undefined],
      [1, "is_local_domain('', rcpt_domain)", true, "sender_domain == 'example.com'", true],
    ],
  );
  const none = await explain({ source }, { rcpt_domain: "elsewhere.example" });
  assert.deepEqual(none.steps.map(({ item, met }) => [item, met]), [[0, false], [1, false], [2, true]]);
  assert.equal(none.steps.at(-1)?.condition, undefined);
  assert.equal(none.steps.at(-1)?.result, "false");
});

Deno.test("a key that is not set is decided by its default", async () => {
  const { value, steps } = await explain({ default: [{ if: "is_tls", then: true }, { else: false }] }, {
    is_tls: true,
  });
  assert.equal(value, true);
  assert.deepEqual(steps.map(({ from, item, condition }) => [from, item, condition]), [["default", 0, "is_tls"]]);
});

Deno.test("where the items of the file give nothing, those of the default follow", async () => {
  const type = { kind: "dur" } as const;
  const { value, steps } = await explain({ type, default: "5m", source: [{ if: "is_tls", then: "1m" }] }, {
    is_tls: false,
  });
  assert.equal(value, 300_000);
  assert.deepEqual(steps.map(({ from, met, result }) => [from, met, met ? result : ""]), [
    ["file", false, ""],
    ["default", true, "5m"],
  ]);
  const off = await explain({ type, default: "5m", source: [{ if: "is_tls", then: false }] }, { is_tls: true });
  assert.equal(off.value, 300_000);
  assert.deepEqual(off.steps.map(({ from, gave }) => [from, gave]), [["file", false], ["default", "5m"]]);
});

Deno.test("errors that evaluation absorbs are in the account", async () => {
  const { value, steps, errors } = await explain({ source: [{ if: "rcpt + 1 > 2", then: true }, { else: false }] }, {
    rcpt: "a@b",
  });
  assert.equal(value, false);
  assert.deepEqual(steps.map(({ item, met }) => [item, met]), [[0, false], [1, true]]);
  assert.equal(errors.length, 1);
});
