import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeAddress, encodeField, encodeText } from "../../../src/telemetry/encode.ts";

Deno.test("plain words stand bare in a log line", () => {
  assert.equal(encodeText("mx1.example.net"), "mx1.example.net");
  assert.equal(encodeText("192.0.2.1:25"), "192.0.2.1:25");
});

Deno.test("text with blanks is quoted, and so is empty text", () => {
  assert.equal(encodeText("no such user"), '"no such user"');
  assert.equal(encodeText(""), '""');
});

Deno.test("a line break in a field does not start a new log line", () => {
  const forged = "x\r\n2026-01-05T12:00:00.000Z INFO  Login accepted (auth.success)";
  assert.equal(encodeText(forged), '"x\\r\\n2026-01-05T12:00:00.000Z INFO  Login accepted (auth.success)"');
});

Deno.test("quotes and backslashes are escaped, so a quoted value ends where it seems to", () => {
  assert.equal(encodeText('a" b=c'), '"a\\" b=c"');
  assert.equal(encodeText("a\\"), '"a\\\\"');
});

Deno.test("terminal escape sequences, C1 controls and bidirectional overrides become escapes", () => {
  assert.equal(encodeText("\x1b[2J"), '"\\u001b[2J"');
  assert.equal(encodeText("\x9b31m"), '"\\u009b31m"');
  assert.equal(encodeText("\x7f\0"), '"\\u007f\\u0000"');
  assert.equal(encodeText("a\u202eb\u2028c\u200bd\ufeff"), '"a\\u202eb\\u2028c\\u200bd\\ufeff"');
  assert.equal(encodeText("\u{e0001}"), '"\\u{e0001}"');
  assert.equal(encodeText("\ud800"), '"\\ud800"');
});

Deno.test("letters of other scripts stay readable", () => {
  assert.equal(encodeText("Grüße 世界"), '"Grüße 世界"');
});

Deno.test("addresses stand in angle brackets, the null sender too", () => {
  assert.equal(encodeAddress("a@b.example"), "<a@b.example>");
  assert.equal(encodeAddress(""), "<>");
  assert.equal(encodeAddress('"a b"@c.example'), '"<\\"a b\\"@c.example>"');
  assert.equal(encodeField("from", ""), "<>");
  assert.equal(encodeField("host", ""), '""');
});

Deno.test("items of a list are joined with commas, and a comma inside an item is quoted", () => {
  assert.equal(encodeField("to", ["a@b.example", "c@d.example"]), "<a@b.example>,<c@d.example>");
  assert.equal(encodeField("hosts", ["a,b", "c"]), '"a,b",c');
});

Deno.test("a long value and a long list are cut", () => {
  assert.equal(encodeText("x".repeat(5000)).length, 1024 + 3);
  const many = encodeField("ports", Array.from({ length: 5000 }, (_, i) => i));
  assert.ok(many.endsWith(",49,…(+4950)"));
});

Deno.test("whatever the text, its encoding is one printable run that ends outside quotes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const encoded = encodeText(text);
      assert.doesNotMatch(encoded, /[\p{C}\p{Zl}\p{Zp}]/u);
      assert.match(encoded, /^(?:[^\s"\\]+|"(?:[^"\\]|\\.)*")$/u);
    }),
  );
});
