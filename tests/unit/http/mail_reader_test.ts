import assert from "node:assert/strict";
import fc from "fast-check";
import { type MailView, readMail } from "../../../src/http/mod.ts";

/** Reads a message that is written here with LF; each line gets CRLF. */
function read(text: string): MailView {
  return readMail(new TextEncoder().encode(text.replaceAll("\n", "\r\n")));
}

Deno.test("header fields are decoded, the text is as it was sent", () => {
  const mail = read(`From: =?utf-8?q?J=C3=BCrgen?= <j@example.net>
To: ana@example.net,
 bo@example.org
Subject: =?utf-8?b?R3LDvMOfZQ==?=

Hello
`);
  assert.equal(mail.from, "Jürgen <j@example.net>");
  assert.equal(mail.to, "ana@example.net, bo@example.org");
  assert.equal(mail.subject, "Grüße");
  assert.equal(mail.date, "");
  assert.equal(mail.text, "Hello\r\n");
  assert.equal(mail.html, null);
  assert.deepEqual(mail.fields.map((field) => field.name), ["From", "To", "Subject"]);
});

Deno.test("quoted-printable and base64 are decoded in the charset of the part", () => {
  const printable = read(`Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

caf=E9 is =
open =3D yes, =zz stays
`);
  assert.equal(printable.text, "café is open = yes, =zz stays\r\n");
  const base64 = read(`Content-Type: TEXT/Plain; charset="UTF-8"
Content-Transfer-Encoding: BASE64

Y2Fm
w6kK=
`);
  assert.equal(base64.text, "café\n");
});

Deno.test("an unknown charset is read as UTF-8", () => {
  assert.equal(read("Content-Type: text/plain; charset=x-nothing\n\nhé").text, "hé");
});

const NESTED = `Content-Type: multipart/mixed; boundary="outer 1"

preamble
--outer 1
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html

<b>rich</b>
--inner--
--outer 1
Content-Type: text/plain
Content-Disposition: attachment; filename*=utf-8''na%C3%AFve%20plan.txt

not the text
--outer 1
Content-Type: application/pdf; name="=?utf-8?q?=C3=BCber.pdf?="
Content-Transfer-Encoding: base64

AAEC
--outer 1--
epilogue
`;

Deno.test("of nested parts the first text and the first HTML are shown, the others are attachments", () => {
  const mail = read(NESTED);
  assert.equal(mail.text, "plain");
  assert.equal(mail.html, "<b>rich</b>");
  assert.deepEqual(mail.attachments, [
    { name: "naïve plan.txt", type: "text/plain", size: 12 },
    { name: "über.pdf", type: "application/pdf", size: 3 },
  ]);
});

Deno.test("a multipart message that was cut off shows what is there", () => {
  assert.equal(
    read(`Content-Type: multipart/mixed; boundary=b

--b

begun and`).text,
    "begun and",
  );
});

Deno.test("nesting without end and parts without number stay bounded", () => {
  let deep = "\n\nbottom";
  for (let i = 0; i < 50; i++) deep = `Content-Type: multipart/mixed; boundary=b${i}\n\n--b${i}\n${deep}`;
  assert.equal(read(deep).text, null);
  const wide = read(`Content-Type: multipart/mixed; boundary=b\n\n${"--b\nContent-Type: a/b\n\n\n".repeat(5000)}`);
  assert.ok(wide.attachments.length < 200);
});

Deno.test("whatever the bytes, reading gives an answer", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
    assert.equal(readMail(bytes).size, bytes.length);
  }));
  fc.assert(fc.property(fc.integer({ min: 0, max: NESTED.length }), fc.string(), (at, junk) => {
    read(NESTED.slice(0, at) + junk + NESTED.slice(at));
  }));
});
