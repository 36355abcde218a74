import assert from "node:assert/strict";
import {
  compileSetting,
  constantSetting,
  EMPTY_ENVIRONMENT,
  LookupUnavailable,
  type Rate,
  type SettingType,
  type Value,
} from "../../../src/expression/mod.ts";
import { ENVIRONMENT, errorsOf, scopeOf, settingOf } from "./scope.ts";

const MECHANISMS: SettingType = { kind: "list", of: { kind: "enum", values: ["plain", "login", "oauthbearer"] } };
const ROUTE: SettingType = { kind: "id", ids: ["local", "mx", "smarthost-2", "invalid-tls"], what: "route" };

/** The constant that a source comes to. */
function constantOf(type: SettingType, source: unknown, otherwise: number | string | boolean = "'default'"): unknown {
  const setting = settingOf<unknown>({ type, source, default: otherwise });
  assert.equal(setting.isConstant, true, `${type.kind} ${source}`);
  return setting.evaluate(scopeOf());
}

Deno.test("a key that is not set has its default", () => {
  const setting = settingOf<number>({ type: { kind: "dur" }, source: undefined, default: "5m" });
  assert.equal(setting.isConstant, true);
  assert.equal(setting.key, "test.key");
  assert.equal(setting.evaluate(scopeOf()), 300_000);
});

Deno.test("a default may itself be an expression or a list", () => {
  const type: SettingType = { kind: "dur", orFalse: true };
  const setting = settingOf<number | false>({
    type,
    source: undefined,
    default: [{ if: "!is_empty(authenticated_as)", then: "7d" }, { else: false }],
  });
  assert.equal(setting.evaluate(scopeOf({ authenticated_as: "ana" })), 604_800_000);
  assert.equal(setting.evaluate(scopeOf()), false);
});

Deno.test("a default that does not compile is a bug of the program", () => {
  assert.throws(() => settingOf({ type: { kind: "bool" }, source: true, default: "sendr" }), /default of test.key/);
});

Deno.test("plain TOML values are constants", () => {
  assert.equal(constantOf({ kind: "bool" }, true), true);
  assert.equal(constantOf({ kind: "bool" }, "true"), true);
  assert.equal(constantOf({ kind: "bool" }, "false", true), false);
  assert.equal(constantOf({ kind: "int" }, 50, 1), 50);
  assert.equal(constantOf({ kind: "int" }, 50n, 1), 50);
  assert.equal(constantOf({ kind: "size" }, 26_214_400, 1), 26_214_400);
  assert.equal(constantOf({ kind: "dur" }, 1500, 1), 1500);
  assert.equal(constantOf({ kind: "str" }, "'ESMTP x'"), "ESMTP x");
  assert.equal(constantOf({ kind: "str" }, ""), "");
  assert.equal(constantOf({ kind: "str", orFalse: true }, ""), "");
  assert.equal(constantOf({ kind: "str", orFalse: true }, false), false);
  assert.equal(constantOf({ kind: "str" }, 25), "25");
});

Deno.test("a computed result outside the limits of its key is an error at run time, and its default takes the place", () => {
  const cases = [
    [{ kind: "int", least: 1, most: 9 }, 5, "expected an integer of at least 1, found 0"],
    [
      { kind: "dur", least: 1000 },
      "5s",
      "expected a duration such as 30s (one integer and one of ms, s, m, h, d) of at least 1s, found 0",
    ],
    [
      { kind: "size", least: 1 },
      7,
      "expected a size in bytes such as 26_214_400 (an integer without suffix) of at least 1, found 0",
    ],
  ] as const;
  for (const [type, otherwise, message] of cases) {
    const setting = settingOf<number>({ type, source: "len(sender)", default: otherwise });
    const seen: string[] = [];
    const scope = {
      ...scopeOf({ sender: "" }),
      onError: (error: { message: string }) => void seen.push(error.message),
    };
    assert.equal(setting.evaluate(scope), otherwise === "5s" ? 5000 : otherwise);
    assert.deepEqual(seen, [message]);
  }
  const line = settingOf<string>({ type: { kind: "str", line: true }, source: "'x' + sender", default: "'safe'" });
  assert.equal(line.evaluate(scopeOf({ sender: "a\r\nb" })), "safe");
  assert.equal(line.evaluate(scopeOf({ sender: "a" })), "xa");
});

Deno.test("durations and rates stand alone as the whole result, or in quotes anywhere", () => {
  assert.equal(constantOf({ kind: "dur" }, "90s", 1), 90_000);
  assert.equal(constantOf({ kind: "dur" }, "'7d'", 1), 604_800_000);
  assert.equal(constantOf({ kind: "dur" }, "250 * 4", 1), 1000);
  const rate: SettingType = { kind: "rate", orFalse: true };
  assert.deepEqual(constantOf(rate, "5/1h", false), { count: 5, period: 3_600_000 });
  assert.deepEqual(constantOf(rate, "20 / 5m", false), { count: 20, period: 300_000 });
  assert.deepEqual(constantOf(rate, "'1/1d'", false), { count: 1, period: 86_400_000 });
  const setting = settingOf<number>({
    type: { kind: "dur" },
    source: [{ if: "is_tls", then: "30s" }, { else: "if_then(remote_port > 1024, '1m', '2m')" }],
    default: "5m",
  });
  assert.equal(setting.evaluate(scopeOf({ is_tls: true })), 30_000);
  assert.equal(setting.evaluate(scopeOf({ remote_port: 2000 })), 60_000);
  assert.equal(setting.evaluate(scopeOf({ remote_port: 25 })), 120_000);
});

Deno.test("the first true condition decides; without match and else the default does", () => {
  const setting = settingOf<number>({
    type: { kind: "int" },
    source: [
      { if: "local_port == 25", then: 10 },
      { if: "local_port == 587 && is_tls", then: "remote_port * 2" },
      { if: false, then: 99 },
    ],
    default: 7,
  });
  assert.equal(setting.isConstant, false);
  assert.equal(setting.evaluate(scopeOf({ local_port: 25 })), 10);
  assert.equal(setting.evaluate(scopeOf({ local_port: 587, is_tls: true, remote_port: 21 })), 42);
  assert.equal(setting.evaluate(scopeOf({ local_port: 587 })), 7);
});

Deno.test("constant conditions are settled at load", () => {
  assert.equal(constantOf({ kind: "int" }, [{ if: false, then: 1 }, { if: true, then: 2 }, { else: 3 }], 0), 2);
  assert.equal(constantOf({ kind: "int" }, [{ if: "1 > 2", then: 1 }], 0), 0);
  assert.equal(constantOf({ kind: "int" }, [{ else: 3 }], 0), 3);
});

Deno.test("the flattened form of a list equals an array", () => {
  const source = { "1": { else: false }, "0": { if: "is_tls", then: true } };
  const setting = settingOf<boolean>({ type: { kind: "bool" }, source, default: true });
  assert.equal(setting.evaluate(scopeOf({ is_tls: true })), true);
  assert.equal(setting.evaluate(scopeOf()), false);
});

Deno.test("lists: an array is constant, one value is a list of one, false and empty text are empty", () => {
  for (
    const [source, expected] of [
      ["['plain', 'login']", ["plain", "login"]],
      ["[plain, LOGIN]", ["plain", "login"]],
      [["plain", "login"], ["plain", "login"]],
      ["plain", ["plain"]],
      ["'plain'", ["plain"]],
      [["plain"], ["plain"]],
      ["", []],
      ["''", []],
      ["false", []],
      [false, []],
      [[], []],
      ["[]", []],
      [[{ if: "1 == 1", then: ["plain"] }], ["plain"]],
    ] as const
  ) {
    assert.deepEqual(constantOf(MECHANISMS, source, false), expected, JSON.stringify(source));
  }
});

Deno.test("bare words: the variable first, then the enum's words and the ids, in quotes or not", () => {
  assert.equal(constantOf({ kind: "enum", values: ["relaxed", "strict"] }, "relaxed", "strict"), "relaxed");
  assert.equal(constantOf({ kind: "enum", values: ["relaxed", "strict"] }, "'Relaxed'", "strict"), "relaxed");
  assert.equal(constantOf(ROUTE, "mx", "local"), "mx");
  assert.equal(constantOf(ROUTE, "'smarthost-2'", "local"), "smarthost-2");
  assert.equal(constantOf(ROUTE, "invalid-tls", "local"), "invalid-tls");
  const setting = settingOf<string>({
    context: "host",
    type: { kind: "id", ids: ["mx", "other"], what: "route" },
    source: "mx",
    default: "other",
  });
  assert.equal(setting.isConstant, false, "mx is a variable here");
  assert.equal(setting.evaluate(scopeOf({ mx: "other" })), "other");
});

Deno.test("results become the key's type", () => {
  const cases: [SettingType, string, Readonly<Record<string, Value>>, unknown][] = [
    [{ kind: "bool" }, "sender", { sender: "" }, false],
    [{ kind: "bool" }, "sender", { sender: "a" }, true],
    [{ kind: "str" }, "remote_port", { remote_port: 25 }, "25"],
    [{ kind: "str" }, "is_tls", { is_tls: true }, "true"],
    [{ kind: "int" }, "sender", { sender: "0x10" }, 16],
    [{ kind: "int" }, "sender", { sender: "-1_000" }, -1000],
    [{ kind: "int" }, "remote_port / 2", { remote_port: 6 }, 3],
    [{ kind: "size" }, "sender", { sender: "26_214_400" }, 26_214_400],
    [{ kind: "dur" }, "sender", { sender: "2m" }, 120_000],
    [{ kind: "dur" }, "sender", { sender: "1500" }, 1500],
    [{ kind: "rate" }, "sender", { sender: "1/1s" }, { count: 1, period: 1000 }],
    [{ kind: "enum", values: ["Hourly", "never"] }, "sender", { sender: "hOURLY" }, "Hourly"],
    [ROUTE, "sender", { sender: "mx" }, "mx"],
    [MECHANISMS, "sender", { sender: "plain" }, ["plain"]],
    [MECHANISMS, "recipients", { recipients: ["login", "PLAIN"] }, ["login", "plain"]],
    [{ kind: "boolOrStr" }, "is_tls", { is_tls: true }, true],
    [{ kind: "boolOrStr" }, "is_tls", { is_tls: false }, false],
    [{ kind: "boolOrStr" }, "sender + '@x'", { sender: "a" }, "a@x"],
  ];
  for (const [type, source, variables, expected] of cases) {
    const scope = scopeOf(variables);
    assert.deepEqual(
      settingOf({ type, source, default: zero(type) }).evaluate(scope),
      expected,
      `${type.kind} ${source}`,
    );
    assert.deepEqual(scope.errors, []);
  }
});

Deno.test("a result of false is off where the key allows it, otherwise the default", () => {
  const off = settingOf({
    type: { kind: "dur", orFalse: true },
    source: "if_then(is_tls, '5s', false)",
    default: "1s",
  });
  assert.equal(off.evaluate(scopeOf({ is_tls: false })), false);
  const otherwise = settingOf({ type: { kind: "dur" }, source: [{ else: false }], default: "1s" });
  assert.equal(otherwise.isConstant, true);
  assert.equal(otherwise.evaluate(scopeOf()), 1000);
});

Deno.test("a mismatch in a condition makes it false, in a result makes the result false; both are reported", () => {
  const setting = settingOf<string | false>({
    type: { kind: "str", orFalse: true },
    source: [{ if: "1 / remote_port == 1 || true", then: "'first'" }, { else: "'x' + ('a' - 1)" }],
    default: "'default'",
  });
  const scope = scopeOf({ remote_port: 0 });
  assert.equal(setting.evaluate(scope), false);
  assert.deepEqual(scope.errors.map(({ event, key }) => [event, key]), [["eval.error", "test.key"], [
    "eval.error",
    "test.key",
  ]]);
  assert.match(scope.errors[0]?.message ?? "", /division by zero/);
  assert.equal(setting.evaluate(scopeOf({ remote_port: 1 })), "first");
});

Deno.test("a mismatch in a result gives the default where false is not allowed", () => {
  const scope = scopeOf();
  assert.equal(settingOf({ type: { kind: "int" }, source: "1 / remote_port", default: 5 }).evaluate(scope), 5);
  assert.equal(settingOf({ type: { kind: "bool" }, source: "1 / remote_port", default: true }).evaluate(scope), false);
  assert.deepEqual(settingOf({ type: MECHANISMS, source: "1 / remote_port", default: "plain" }).evaluate(scope), []);
  assert.equal(scope.errors.length, 3);
});

Deno.test("a computed value that does not fit is reported and the default used", () => {
  const cases: [SettingType, string | boolean | number, unknown][] = [
    [{ kind: "int" }, 5, 5],
    [{ kind: "dur" }, "1s", 1000],
    [{ kind: "size" }, 5, 5],
    [{ kind: "rate", orFalse: true }, false, false],
    [{ kind: "enum", values: ["a", "b"] }, "a", "a"],
  ];
  for (const [type, otherwise, expected] of cases) {
    const scope = scopeOf({ sender: "nonsense" });
    assert.equal(settingOf({ type, source: "sender", default: otherwise }).evaluate(scope), expected, type.kind);
    assert.equal(scope.errors[0]?.event, "eval.wrong-value");
    assert.match(scope.errors[0]?.message ?? "", /found 'nonsense'/);
  }
});

Deno.test("a computed fraction is reported and the default used where a whole number is wanted", () => {
  for (const kind of ["int", "size", "dur"] as const) {
    const setting = settingOf({ type: { kind }, source: "remote_port / 2", default: 7 });
    const scope = scopeOf({ remote_port: 5 });
    assert.equal(setting.evaluate(scope), 7, kind);
    assert.deepEqual(scope.errors.map(({ event }) => event), ["eval.wrong-value"]);
    assert.match(scope.errors[0]?.message ?? "", /found 2\.5/);
  }
});

Deno.test("a computed id that is not defined is reported by its own event", () => {
  const undefinedId = (what: string, orFalse: boolean) => {
    const scope = scopeOf({ sender: "gone" });
    const type: SettingType = { kind: "id", ids: ["there"], what, orFalse };
    const value = settingOf({ type, source: "sender", default: orFalse ? false : "there" }).evaluate(scope);
    return [value, scope.errors[0]?.event];
  };
  assert.deepEqual(undefinedId("directory", true), [false, "eval.directory-not-found"]);
  assert.deepEqual(undefinedId("script", true), [false, "sieve.script-not-found"]);
  assert.deepEqual(undefinedId("route", false), ["there", "smtp.id-not-found"]);
  assert.deepEqual(undefinedId("schedule", false), ["there", "smtp.id-not-found"]);
});

Deno.test("signatures that are not defined are skipped, the others stay", () => {
  const scope = scopeOf({ recipients: ["gone", "rsa"] });
  const type: SettingType = { kind: "list", of: { kind: "id", ids: ["rsa", "ed"], what: "signature" } };
  assert.deepEqual(settingOf({ type, source: "recipients", default: false }).evaluate(scope), ["rsa"]);
  assert.deepEqual(scope.errors.map((error) => error.event), ["dkim.signer-not-found"]);
});

Deno.test("a function that cannot reach outside surfaces, in condition and result, at once or later", async () => {
  const failing = { keyExists: () => Promise.reject(new Error("gone")) };
  const inCondition = settingOf({ type: { kind: "bool" }, source: [{ if: "key_exists('', sender)", then: true }] });
  await assert.rejects(async () => await inCondition.evaluate(scopeOf({}, failing)), LookupUnavailable);
  const inResult = settingOf({ type: { kind: "bool" }, source: "key_exists('', sender)" });
  await assert.rejects(async () => await inResult.evaluate(scopeOf({}, failing)), LookupUnavailable);
  const throwing = {
    keyExists: () => {
      throw new Error("gone");
    },
  };
  assert.throws(() => inCondition.evaluate(scopeOf({}, throwing)), LookupUnavailable);
});

Deno.test("conditions that answer later are tried in order, each only if those before are false", async () => {
  const asked: string[] = [];
  const keyExists = (_: string, key: string) => {
    asked.push(key);
    return Promise.resolve(key === "b");
  };
  const setting = settingOf<string>({
    type: { kind: "str" },
    source: [
      { if: "key_exists('', 'a')", then: "'a'" },
      { if: "key_exists('', 'b')", then: "key_get('', 'b')" },
      { if: "key_exists('', 'c')", then: "'c'" },
    ],
    default: "'default'",
  });
  const value = setting.evaluate(scopeOf({}, { keyExists, keyGet: () => Promise.resolve("B") }));
  assert.ok(value instanceof Promise);
  assert.equal(await value, "B");
  assert.deepEqual(asked, ["a", "b"]);
});

Deno.test("a mismatch in a value that came later is absorbed too", async () => {
  const scope = scopeOf({}, { keyGet: () => Promise.resolve("x") });
  const setting = settingOf<number>({
    type: { kind: "int" },
    source: [{ if: "key_get('', 'a') - 1 == 1", then: 1 }, { else: "key_get('', 'a') * 2" }],
    default: 7,
  });
  assert.equal(await setting.evaluate(scope), 7);
  assert.deepEqual(scope.errors.map((error) => error.event), ["eval.error", "eval.error"]);
});

Deno.test("load errors name item, part and position", () => {
  const [problem] = errorsOf({
    type: { kind: "bool" },
    source: [{ if: "is_tls", then: true }, { if: "is_tls && sendr == 'a'", then: false }],
  });
  assert.deepEqual(
    [problem?.item, problem?.part, problem?.position, problem?.source],
    [1, "if", 10, "is_tls && sendr == 'a'"],
  );
  const all = errorsOf({
    type: { kind: "int" },
    source: [{ if: "sendr", then: "'x'" }, { if: "(", then: "$1" }, { else: "len()" }],
  });
  assert.deepEqual(all.map(({ item, part }) => `${item} ${part}`), ["0 if", "0 then", "1 if", "2 else"]);
});

Deno.test("the shape of an if/then/else list is checked", () => {
  const messages = (source: unknown) => errorsOf({ type: { kind: "bool" }, source }).map((problem) => problem.message);
  assert.match(messages([{ else: true }, { if: "is_tls", then: false }])[0] ?? "", /'else' must be the last item/);
  assert.match(messages([{ if: "is_tls" }])[0] ?? "", /found the keys if/);
  assert.match(messages([{ if: "is_tls", then: true, else: false }])[0] ?? "", /found the keys else, if, then/);
  assert.match(messages([{ when: "is_tls", then: true }])[0] ?? "", /expected \{ if/);
  assert.match(messages([{}, { else: true }])[0] ?? "", /an empty table/);
  assert.match(messages([{ if: "is_tls", then: true }, false])[0] ?? "", /tables and plain values do not mix/);
  assert.match(messages({ if: "is_tls", then: true })[0] ?? "", /found a table/);
  assert.match(messages([{ if: 1, then: true }])[0] ?? "", /expected an expression or a boolean, found the number 1/);
  assert.match(messages([{ if: "is_tls", then: { a: 1 } }])[0] ?? "", /found a table/);
  assert.match(messages(new Date(0))[0] ?? "", /found a date/);
  assert.match(messages([["a"], ["b"]])[0] ?? "", /only texts, numbers and booleans/);
});

Deno.test("constants that do not fit are load errors", () => {
  const message = (type: SettingType, source: unknown) =>
    errorsOf({ type, source, default: zero(type) })[0]?.message ?? "";
  assert.match(message({ kind: "int" }, "'many'"), /expected an integer, found 'many'/);
  assert.match(message({ kind: "int" }, true), /expected an integer, found true/);
  assert.match(message({ kind: "int" }, 1.5), /expected an integer, found 1\.5/);
  assert.match(message({ kind: "int" }, "3 / 2"), /expected an integer, found 1\.5/);
  assert.match(message({ kind: "dur" }, 1.5), /expected a duration such as 30s .*, found 1\.5/);
  assert.match(message({ kind: "size" }, 0.5), /expected a size in bytes .*, found 0\.5/);
  assert.match(message({ kind: "size" }, -1), /expected a size in bytes/);
  assert.match(message({ kind: "dur" }, "5 minutes"), /expected a duration such as 30s/);
  assert.match(message({ kind: "dur" }, "5y"), /expected a duration such as 30s/);
  assert.match(message({ kind: "dur" }, "'soon'"), /expected a duration such as 30s/);
  assert.match(message({ kind: "rate" }, "100/fortnight"), /unknown name 'fortnight'/);
  assert.match(message({ kind: "rate" }, 5), /expected a rate such as 100\/1h/);
  assert.match(
    message({ kind: "enum", values: ["mixer", "nsep"] }, "'mixr'"),
    /one of mixer, nsep, found 'mixr'; did you mean 'mixer'/,
  );
  assert.match(
    message({ kind: "enum", values: ["mixer", "nsep"] }, "mixr"),
    /unknown name 'mixr'; did you mean 'mixer'/,
  );
  assert.match(message(ROUTE, "'locl'"), /there is no route 'locl'; did you mean 'local'\?/);
  assert.match(message(ROUTE, true), /expected the id of a route, found true/);
  assert.match(message(ROUTE, "smarthost-2"), /did you mean 'smarthost-2'\? Text is written in quotes/);
  assert.match(message(MECHANISMS, ["plain", "crammd5"]), /one of plain, login, oauthbearer, found 'crammd5'/);
  assert.match(message({ kind: "str" }, ["a"]), /expected a text, found an array/);
});

function zero(type: SettingType): string | number | boolean {
  switch (type.kind) {
    case "enum":
      return type.values[0] ?? "";
    case "id":
      return "local";
    case "rate":
      return "1/1s";
    case "str":
      return "''";
    default:
      return type.kind === "int" || type.kind === "size" || type.kind === "dur" ? 0 : false;
  }
}

Deno.test("rcpt in session.mail.rewrite reads as sender, with a warning", () => {
  const compiled = compileSetting<string | false>({
    key: "session.mail.rewrite",
    context: "mail",
    type: { kind: "str", orFalse: true },
    source: [{ if: "matches('^(.+)@old$', rcpt)", then: "$1 + '@new'" }, { else: false }],
    default: false,
    environment: EMPTY_ENVIRONMENT,
  });
  assert.ok(compiled.setting);
  assert.deepEqual(compiled.warnings.map(({ message, item, part }) => [message, item, part]), [
    ["'rcpt' is read as 'sender'", 0, "if"],
  ]);
  assert.equal(compiled.setting.evaluate(scopeOf({ sender: "ana@old" })), "ana@new");
});

Deno.test("config_get reads the environment at load", () => {
  const setting = settingOf<string>({
    context: "conn",
    type: { kind: "str" },
    source: undefined,
    default: "config_get('server.hostname')",
    environment: ENVIRONMENT,
  });
  assert.equal(setting.isConstant, true);
  assert.equal(setting.evaluate(scopeOf()), "mx1.example.net");
});

Deno.test("constantSetting gives its value and ignores the scope", () => {
  const setting = constantSetting<Rate>("a.b", { count: 1, period: 2 });
  assert.deepEqual([setting.key, setting.isConstant], ["a.b", true]);
  assert.deepEqual(setting.evaluate(scopeOf()), { count: 1, period: 2 });
});

Deno.test("examples compile and decide as they read", () => {
  const relay = settingOf<boolean>({
    type: { kind: "bool" },
    source: "!is_empty(authenticated_as) || key_exists('relay-nets', remote_ip)",
    environment: ENVIRONMENT,
  });
  assert.equal(relay.evaluate(scopeOf({ authenticated_as: "ana" })), true);
  assert.equal(relay.evaluate(scopeOf({ remote_ip: "192.0.2.1" }, { keyExists: () => false })), false);
  const mechanisms = settingOf<readonly string[]>({
    context: "ehlo",
    type: MECHANISMS,
    source: [{ if: "local_port == 465 || is_tls", then: "['plain', 'login']" }, { else: false }],
  });
  assert.deepEqual(mechanisms.evaluate(scopeOf({ local_port: 465 })), ["plain", "login"]);
  assert.deepEqual(mechanisms.evaluate(scopeOf({ local_port: 25 })), []);
});

Deno.test("a setting tells which variables it may depend on, under their proper names", () => {
  const readsOf = (source: unknown, otherwise = "'mx'") =>
    [
      ...settingOf({ type: ROUTE, source, default: otherwise, context: "host", environment: ENVIRONMENT }).reads ??
        ["?"],
    ].sort();
  assert.deepEqual(readsOf([{ if: "rcpt == 'a@b.example' && size > 5", then: "'local'" }, { else: "'mx'" }]), [
    "rcpt",
    "size",
  ]);
  assert.deepEqual(readsOf("if_then(matches('^(a|b)@', rcpt-domain), key_get('blocked', mx), 'mx')"), [
    "mx",
    "rcpt_domain",
  ]);
  assert.deepEqual(readsOf([{ if: "retry_num > 2", then: "'local'" }], "if_then(last_error == 'tls', 'local', 'mx')"), [
    "last_error",
    "retry_num",
  ], "it may come to the default");
  assert.deepEqual(readsOf(undefined, "if_then(last_status > 0, 'local', 'mx')"), ["last_status"]);
  assert.deepEqual(readsOf([{ if: false, then: "rcpt" }, { else: "'mx'" }]), [], "what is constant reads nothing");
});
