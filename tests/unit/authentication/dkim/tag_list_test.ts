import assert from "node:assert/strict";
import fc from "fast-check";
import { colonList, decodeBase64, parseTagList, withoutBlanks } from "../../../../src/authentication/dkim/tag_list.ts";

function tags(text: string): Record<string, string> {
  const list = parseTagList(text);
  assert.equal(list.kind, "tags", text);
  return list.kind === "tags" ? Object.fromEntries(list.tags) : {};
}

function reason(text: string): string {
  const list = parseTagList(text);
  assert.equal(list.kind, "malformed", text);
  return list.kind === "malformed" ? list.reason : "";
}

Deno.test("tags and values, with blanks and folds around them", () => {
  assert.deepEqual(tags("v=1; a=rsa-sha256;d = example.org ;\r\n\ts=\r\n mail"), {
    v: "1",
    a: "rsa-sha256",
    d: "example.org",
    s: "mail",
  });
});

Deno.test("values keep what is inside: blanks, =, and characters beyond ASCII", () => {
  assert.deepEqual(tags("b=ab cd==;n=a note;i=@r\u00e4ksm\u00f6rg\u00e5s.example"), {
    b: "ab cd==",
    n: "a note",
    i: "@r\u00e4ksm\u00f6rg\u00e5s.example",
  });
});

Deno.test("an empty value, and a semicolon at the end", () => {
  assert.deepEqual(tags("p=; v=DKIM1;"), { p: "", v: "DKIM1" });
  assert.deepEqual(tags("p=; v=DKIM1; \r\n "), { p: "", v: "DKIM1" });
});

Deno.test("names are told apart by case", () => {
  assert.deepEqual(tags("p=1;P=2"), { p: "1", P: "2" });
});

Deno.test("malformed lists say what is wrong", () => {
  assert.match(reason(""), /empty/);
  assert.match(reason(" ; "), /missing between/);
  assert.match(reason("a=1;;b=2"), /missing between/);
  assert.match(reason("a=1;b"), /no value/);
  assert.match(reason("a=1;a=1"), /stands twice/);
  assert.match(reason("a b=1"), /name/);
  assert.match(reason("=1"), /name/);
  assert.match(reason("1a=1"), /name/);
  assert.match(reason("a=x\x00y"), /control/);
  assert.match(reason("a=" + "x".repeat(65_534)), /too long/);
  assert.match(reason(Array.from({ length: 101 }, (_, i) => `t${i}=1`).join(";")), /more than 100/);
});

Deno.test("no text makes the reader fail", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "b", "=", ";", " ", "\r\n", "\t", "\0", "\u00e4") }), (text) => {
      const list = parseTagList(text);
      assert.ok(list.kind === "tags" || list.reason !== "");
    }),
  );
});

Deno.test("lists between colons and values with folds", () => {
  assert.deepEqual(colonList("From : To:\r\n Subject"), ["From", "To", "Subject"]);
  assert.equal(withoutBlanks("ab\r\n\tcd =="), "abcd==");
});

Deno.test("Base64 may be folded, and padded or not (RFC 6376 §2.8); anything else is none", () => {
  const text = (value: string) => {
    const octets = decodeBase64(value);
    return octets === undefined ? undefined : new TextDecoder().decode(octets);
  };
  for (const value of ["YQ==", "YQ=", "YQ", "Y \r\n\tQ==", "YQ = ="]) assert.equal(text(value), "a", value);
  assert.equal(text("YWJj"), "abc");
  // A padding that is not needed is one that the grammar allows.
  assert.equal(text("YWJj="), "abc");
  for (const value of ["", "=", "==", "YQ===", "Y=Q=", "Y-_Q", "Y\u00e4==", "YQ==YQ=="]) {
    assert.equal(text(value), undefined, value);
  }
});
