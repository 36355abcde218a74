import assert from "node:assert/strict";
import {
  formatDuration,
  formatRate,
  nearestName,
  parseDuration,
  parseInteger,
  parseRate,
  parseSize,
} from "../../../src/expression/mod.ts";

Deno.test("a duration is one integer and one unit; a bare integer is milliseconds", () => {
  assert.equal(parseDuration("250ms"), 250);
  assert.equal(parseDuration("30s"), 30_000);
  assert.equal(parseDuration("5m"), 300_000);
  assert.equal(parseDuration("12h"), 43_200_000);
  assert.equal(parseDuration("7d"), 604_800_000);
  assert.equal(parseDuration("1500"), 1500);
  assert.equal(parseDuration("60", 1000), 60_000);
  assert.equal(parseDuration("0s"), 0);
  for (const text of ["", "s", "5 m", "1.5h", "-5s", "5M", "1h30m", "5w", "9999999999999999d", "0x5s"]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

Deno.test("a duration is written with the largest unit that divides it", () => {
  for (const text of ["250ms", "90s", "5m", "12h", "7d", "0s"]) {
    assert.equal(formatDuration(parseDuration(text) ?? -1), text);
  }
  assert.equal(formatDuration(60_000), "1m");
});

Deno.test("a rate is count, slash, duration", () => {
  assert.deepEqual(parseRate("100/1h"), { count: 100, period: 3_600_000 });
  assert.deepEqual(parseRate(" 20 / 5m "), { count: 20, period: 300_000 });
  for (const text of ["", "100", "/1h", "100/", "0/1h", "1/0s", "1/1h/1h", "-1/1h", "1/1x"]) {
    assert.equal(parseRate(text), undefined, text);
  }
  assert.equal(formatRate({ count: 100, period: 3_600_000 }), "100/1h");
});

Deno.test("integers and sizes take hexadecimal and underscores, sizes no sign below zero", () => {
  assert.equal(parseInteger("0x42"), 66);
  assert.equal(parseInteger("-1_000"), -1000);
  assert.equal(parseInteger("+5"), 5);
  for (const text of ["", "1.5", "1__0", "_1", "9007199254740993", "five"]) {
    assert.equal(parseInteger(text), undefined, text);
  }
  assert.equal(parseSize("26_214_400"), 26_214_400);
  assert.equal(parseSize("-1"), undefined);
  assert.equal(parseSize("25M"), undefined);
});

Deno.test("the nearest name is near in letters, whatever its case and hyphens", () => {
  const names = ["sender", "sender_domain", "remote_ip", "rcpt"];
  assert.equal(nearestName("sendr", names), "sender");
  assert.equal(nearestName("SENDER", names), "sender");
  assert.equal(nearestName("sneder", names), "sender");
  assert.equal(nearestName("sender-domian", names), "sender_domain");
  assert.equal(nearestName("rctp", names), "rcpt");
  assert.equal(nearestName("helicopter", names), undefined);
  assert.equal(nearestName("x", names), undefined);
  assert.equal(nearestName("x".repeat(100_000), names), undefined);
});
