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
    "Subject: ana, dear ana@example.com\r\n";
  assert.equal(
    redact(head, ["ana@example.org"]),
    `Received: from a by b for <${ANA}@Example.ORG>; Mon, 5 Jan 2026 12:00:00 +0000\r\n` +
      `List-Unsubscribe: <mailto:leave-${ANA}=example.org@lists.example>,\r\n <https://lists.example/?${ANA}@example.org>\r\n` +
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
