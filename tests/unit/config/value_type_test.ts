import assert from "node:assert/strict";
import { toNode } from "../../../src/config/defaults.ts";
import type { Source } from "../../../src/config/schema/spec.ts";
import {
  address,
  bind,
  bool,
  choice,
  cron,
  domain,
  dur,
  durationIn,
  entriesOf,
  filled,
  glob,
  headerLine,
  hostname,
  int,
  ip,
  listOf,
  listOrKeys,
  lookupValue,
  network,
  numberOrText,
  orFalse,
  port,
  rate,
  serverAddress,
  size,
  text,
  url,
  type ValueType,
} from "../../../src/config/value_type.ts";

/** The value, or the messages that refuse it. */
function read<T>(type: ValueType<T>, source: Source): unknown {
  const messages: string[] = [];
  const value = type.read(toNode(source, 1), (line, message) => messages.push(`${line}: ${message}`));
  assert.equal(value === undefined, messages.length > 0, "a value, or a report");
  return value instanceof Map ? [...value] : value ?? messages;
}

const REFUSED = Symbol("refused");

/** A type with what may be written and what it becomes. */
const VALUES: readonly (readonly [name: string, ValueType<unknown>, readonly (readonly [Source, unknown])[]])[] = [
  ["text", text, [["", ""], ["x", "x"], [5, REFUSED], [true, REFUSED], [["x"], REFUSED]]],
  ["filled text", filled, [["x", "x"], ["", REFUSED]]],
  ["glob", glob, [["a*?", "a*?"], ["", REFUSED]]],
  ["bool", bool, [[true, true], [false, false], ["true", true], ["false", false], ["True", REFUSED], [1, REFUSED]]],
  ["int", int(1), [[1, 1], [0x42, 66], [0, REFUSED], [1.5, REFUSED], ["1", REFUSED], [-1, REFUSED]]],
  ["int with bounds", int(0, 9), [[9, 9], [10, REFUSED]]],
  ["port", port, [[1, 1], [65535, 65535], [0, REFUSED], [65536, REFUSED]]],
  ["dur", dur, [
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["12h", 43_200_000],
    ["7d", 604_800_000],
    [1500, 1500],
    [0, 0],
    ["5 m", REFUSED],
    ["5w", REFUSED],
    ["1h30m", REFUSED],
    ["-5m", REFUSED],
    [-5, REFUSED],
    [1.5, REFUSED],
    ["", REFUSED],
    [true, REFUSED],
  ]],
  ["dur whose bare integer is seconds", durationIn(1000), [[7, 7000], ["7", 7000], ["7m", 420_000]]],
  ["size", size, [[26_214_400, 26_214_400], [0, 0], ["25MB", REFUSED], [-1, REFUSED], ["25", REFUSED]]],
  ["rate", rate, [
    ["100/1h", { count: 100, period: 3_600_000 }],
    ["20 / 5m", { count: 20, period: 300_000 }],
    ["100", REFUSED],
    ["0/1h", REFUSED],
    ["1/0s", REFUSED],
    [100, REFUSED],
  ]],
  ["rate or false", orFalse(rate), [[false, false], ["false", false], ["1/1s", { count: 1, period: 1000 }], [
    true,
    REFUSED,
  ]]],
  ["ip", ip, [
    ["192.0.2.1", "192.0.2.1"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["192.0.2", REFUSED],
    ["192.0.2.01", REFUSED],
    ["0x7f.1", REFUSED],
    ["fe80::1%eth0", REFUSED],
    ["host.example", REFUSED],
    ["", REFUSED],
  ]],
  ["net", network, [
    ["192.0.2.1", { address: "192.0.2.1", prefix: 32 }],
    ["192.0.2.77/24", { address: "192.0.2.0", prefix: 24 }],
    ["2001:db8:ffff::/32", { address: "2001:db8::", prefix: 32 }],
    ["::1", { address: "::1", prefix: 128 }],
    ["0.0.0.0/0", { address: "0.0.0.0", prefix: 0 }],
    ["192.0.2.0/33", REFUSED],
    ["2001:db8::/129", REFUSED],
    ["192.0.2.0/", REFUSED],
    ["192.0.2.0/24/1", REFUSED],
    ["192.0.2.0/255.255.255.0", REFUSED],
  ]],
  ["bind", bind, [
    ["192.0.2.1:25", { ip: "192.0.2.1", port: 25 }],
    ["[2001:db8::2]:465", { ip: "2001:db8::2", port: 465 }],
    ["[::]:0", { ip: "::", port: 0 }],
    ["2001:db8::2", { ip: "2001:db8::2", port: undefined }],
    ["[2001:db8::2]", { ip: "2001:db8::2", port: undefined }],
    ["192.0.2.1", { ip: "192.0.2.1", port: undefined }],
    ["192.0.2.1:65536", REFUSED],
    ["192.0.2.1:", REFUSED],
    ["[192.0.2.1]:25", REFUSED],
    ["*:25", REFUSED],
    ["localhost:25", REFUSED],
    [":25", REFUSED],
    [25, REFUSED],
  ]],
  ["server address", serverAddress, [
    ["192.0.2.53", { protocol: "udp", ip: "192.0.2.53", port: 53 }],
    ["udp://192.0.2.53:54", { protocol: "udp", ip: "192.0.2.53", port: 54 }],
    ["tls://2001:db8::53", { protocol: "tls", ip: "2001:db8::53", port: 853 }],
    ["https://192.0.2.53", REFUSED],
    ["192.0.2.53:0", REFUSED],
    ["dns.example", REFUSED],
  ]],
  ["host name", hostname, [
    ["MX1.example.NET.", "mx1.example.net"],
    ["localhost", "localhost"],
    ["a_b.example", "a_b.example"],
    ["-a.example", REFUSED],
    ["a..b", REFUSED],
    ["", REFUSED],
    [`${"a".repeat(64)}.example`, REFUSED],
    [`${"a.".repeat(127)}`, "a.".repeat(127).slice(0, -1)],
    [`${"a.".repeat(128)}`, REFUSED],
    ["a b.example", REFUSED],
  ]],
  ["domain", domain, [["Example.NET", "example.net"], ["bücher.example", "bücher.example"], ["a@b", REFUSED], [
    "",
    REFUSED,
  ]]],
  ["address", address, [
    ["Ana@Example.NET", "Ana@example.net"],
    ["@Example.NET", "@example.net"],
    ['"a@b"@example.net', '"a@b"@example.net'],
    ["ana", REFUSED],
    ["ana@", REFUSED],
    ["a\nb@example.net", REFUSED],
  ]],
  ["cron", cron, [
    ["30 2 *", { minute: 30, hour: 2, weekday: undefined }],
    ["0 * 7", { minute: 0, hour: undefined, weekday: 7 }],
    [" 5  4  1 ", { minute: 5, hour: 4, weekday: 1 }],
    ["* 2 *", REFUSED],
    ["60 2 *", REFUSED],
    ["0 24 *", REFUSED],
    ["0 2 0", REFUSED],
    ["0 2 * * *", REFUSED],
  ]],
  ["header line", headerLine, [
    ["X-A: b c", "X-A: b c"],
    ["X-A:", "X-A:"],
    ["X A: b", REFUSED],
    [": b", REFUSED],
    ["X-A", REFUSED],
    ["X-A: b\r\nX-B: c", REFUSED],
    ["X-A: b\nc", REFUSED],
  ]],
  ["number or text", numberOrText, [[5, "5"], ["node-a", "node-a"], ["", REFUSED], [-1, REFUSED], [1.5, REFUSED], [
    true,
    REFUSED,
  ]]],
  ["url", url("http", "https"), [
    ["https://x.example/p", "https://x.example/p"],
    ["HTTP://x", "HTTP://x"],
    ["ftp://x", REFUSED],
    ["https:", REFUSED],
    ["x", REFUSED],
  ]],
  ["enum", choice("Alpha", "beta"), [["ALPHA", "Alpha"], ["Beta", "beta"], ["gamma", REFUSED], [1, REFUSED]]],
  ["list", listOf(int(0)), [
    [[1, 2], [1, 2]],
    [3, [3]],
    [[], []],
    [{ "0": 5, "2": 7, "1": 6 }, [5, 6, 7]],
    [["x"], REFUSED],
    [{ a: 1 }, REFUSED],
    [[[1]], REFUSED],
  ]],
  ["list or keys", listOrKeys(network), [
    [{ "192.0.2.7": true, "2001:db8::": { "/32": 1 } }, REFUSED],
    [{ "192": { "0": { "2": { "7": true } } } }, [{ address: "192.0.2.7", prefix: 32 }]],
    [{ "0": "192.0.2.7" }, [{ address: "192.0.2.7", prefix: 32 }]],
    ["192.0.2.7", [{ address: "192.0.2.7", prefix: 32 }]],
    [["192.0.2.7"], [{ address: "192.0.2.7", prefix: 32 }]],
    [{}, []],
    [{ x: true }, REFUSED],
  ]],
  ["entries", entriesOf(lookupValue, true), [
    [{ a: 1, b: { c: "x" }, "d.e": false }, [["a", 1], ["b.c", "x"], ["d.e", false]]],
    [["a", "b"], [["a", true], ["b", true]]],
    ["a", REFUSED],
    [{ a: [1] }, REFUSED],
    [{}, []],
  ]],
];

for (const [name, type, values] of VALUES) {
  Deno.test(`${name}: what may be written and what it becomes`, () => {
    for (const [source, wanted] of values) {
      const found = read(type, source);
      if (wanted === REFUSED) {
        assert.ok(Array.isArray(found) && /^1: .*expected .*, found /.test(String(found[0])), JSON.stringify(source));
      } else {
        assert.deepEqual(found, wanted, JSON.stringify(source));
      }
    }
  });
}

Deno.test("a refusal says what was expected and what was found", () => {
  assert.deepEqual(read(dur, "5 minutes"), [
    '1: expected a duration such as 30s (one integer and one of ms, s, m, h, d), found "5 minutes"',
  ]);
  assert.deepEqual(read(choice("a", "b", "c"), "d"), ['1: expected one of a, b or c, found "d"']);
  assert.deepEqual(read(orFalse(rate), true), [
    "1: expected a rate such as 100/1h (count, slash, duration), or false, found true",
  ]);
  assert.deepEqual(read(int(1), { a: 1 }), ["1: expected an integer of 1 or more, found a table"]);
  assert.deepEqual(read(bool, []), ["1: expected true or false, found an empty list"]);
});

Deno.test("each wrong item of a list and each wrong entry of a table is refused", () => {
  assert.deepEqual(read(listOf(port), [1, "x", 70000]), [
    '1: expected an integer from 1 to 65535, found "x"',
    "1: expected an integer from 1 to 65535, found 70000",
  ]);
  assert.deepEqual(read(entriesOf(choice("info", "warn")), { auth: { success: "loud" } }), [
    '1: entry "auth.success": expected one of info or warn, found "loud"',
  ]);
});

Deno.test("what was found is one line, cut when it is long", () => {
  const [message] = read(port, `a\n\u0007\u2028${"x".repeat(500)}`) as string[];
  assert.match(message ?? "", /found "a\\n\\u0007\\u2028x+…"$/);
  assert.ok((message?.length ?? 0) < 150);
});
