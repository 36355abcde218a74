import assert from "node:assert/strict";
import { createRedaction } from "../../../../src/report/failure/redact.ts";
import { bytesOf } from "../../../../src/report/mod.ts";

function redact(head: string, recipients: readonly string[]): string {
  const bytes = bytesOf(head);
  return new TextDecoder().decode(createRedaction(bytesOf("k"), recipients, bytes).header(bytes));
}

// printf %s ana@example.org | openssl dgst -sha256 -mac HMAC -macopt key:k -binary | basenc --base64url | cut -c1-16
const ANA = "EC_9-6Z1LvoKWLWM";

Deno.test("the local part of a recipient is replaced wherever its address stands, also in other spellings", () => {
  const head = "Received: from a by b for <Ana@Example.ORG>; Mon, 5 Jan 2026 12:00:00 +0000\r\n" +
    "List-Unsubscribe: <mailto:leave-ana=example.org@lists.example>,\r\n <https://lists.example/?ana@example.org>\r\n" +
    "X-Link: https://lists.example/?to=ANA%40example.org&from=mariana%40example.com, back-ana=example.org-7@l.example\r\n" +
    "Subject: ana, dear ana@example.com\r\n";
  assert.equal(
    redact(head, ["ana@example.org"]),
    `Received: from a by b for <${ANA}@Example.ORG>; Mon, 5 Jan 2026 12:00:00 +0000\r\n` +
      `List-Unsubscribe: <mailto:leave-${ANA}=example.org@lists.example>,\r\n <https://lists.example/?${ANA}@example.org>\r\n` +
      `X-Link: https://lists.example/?to=${ANA}%40example.org&from=mariana%40example.com, back-${ANA}=example.org-7@l.example\r\n` +
      "Subject: ana, dear ana@example.com\r\n",
  );
});

Deno.test("fields that name recipients lose the names as well", () => {
  const head = 'To: "Ana, the first" <ana@example.org>\r\nX-Original-To: ana@example.org\r\nCc: friends:;\r\n';
  assert.equal(
    redact(head, []),
    `To: ${ANA}@example.org\r\nX-Original-To: ${ANA}@example.org\r\nCc: undisclosed\r\n`,
  );
});

Deno.test("all other octets stay, whatever they are; characters of patterns are characters", () => {
  const recipients = ["a.*(b+c)$@example.org", "jürgen@example.org"];
  const head = "X-A: a.*(b+c)$@example.org axx(b+c)$@example.org\r\nX-B: jürgen@example.org\r\n\tfolded \r\n";
  const out = redact(head, recipients);
  assert.match(
    out,
    /^X-A: [\w-]{16}@example\.org axx\(b\+c\)\$@example\.org\r\nX-B: [\w-]{16}@example\.org\r\n\tfolded \r\n$/,
  );
  const odd = Uint8Array.of(...bytesOf("X-C: "), 0xff, 0x80, 13, 10);
  assert.deepEqual(createRedaction(bytesOf("k"), recipients, odd).header(odd), odd);
});

Deno.test("the longest of several local parts is replaced, and domains are compared whole", () => {
  const token = /[\w-]{16}/.source;
  const out = redact("X: ana@example.org, mariana@example.org, ana@example.organic, ana@sub.example.org\r\n", [
    "ana@example.org",
    "mariana@example.org",
  ]);
  const [, mariana = ""] =
    new RegExp(`^X: ${ANA}@example\\.org, (${token})@example\\.org, ana@example\\.organic, ana@sub`).exec(out) ?? [];
  assert.notEqual(mariana, "");
  assert.notEqual(mariana, ANA);
});

Deno.test("characters that links encode are found encoded, and addresses at literals are found", () => {
  const out = redact("X: https://a.example/?ana%2Blist%40example.org ana+list@example.org, ana@[192.0.2.1]\r\n", [
    "ana+list@example.org",
    "ana@[192.0.2.1]",
  ]);
  assert.doesNotMatch(out, /ana/);
});

Deno.test("what strangers write costs no more than its length", () => {
  // Each of these took minutes where text was tried from every place of it on.
  const long = "a".repeat(1_000_000);
  assert.equal(redact(`To: ${long}\r\n`, []), "To: undisclosed\r\n");
  const recipients = Array.from({ length: 1000 }, (_, index) => `${"a".repeat(60)}${index}@example.org`);
  assert.equal(redact(`X: ${long}\r\n`, recipients), `X: ${long}\r\n`);
  const near = "@".repeat(100_000) + "=example.or".repeat(20_000) + ".".repeat(100_000);
  assert.equal(redact(`X: ${near}\r\n`, recipients), `X: ${near}\r\n`);
  const local = `x${"a=e".repeat(20_000)}`;
  assert.match(redact(`To: ${local}@e\r\nX: ${local.slice(1)}\r\n`, []), /^To: [\w-]{16}@e\r\nX: a=e/);
});
