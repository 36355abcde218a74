import assert from "node:assert/strict";
import { firstField, parseHeader, parseMime } from "../../../src/message/mod.ts";
import { base64Body } from "../../../src/report/body_part.ts";
import { type ReportMail, reportMessage } from "../../../src/report/mod.ts";

const options = { id: 5, now: Date.UTC(2026, 0, 5, 12), random: () => 0.5, domain: "example.net" };
const encoder = new TextEncoder();

function mail(more: Partial<ReportMail> = {}): ReportMail {
  return {
    from: { name: "DMARC Report", address: "noreply-dmarc@example.net" },
    to: ["reports@example.org", "dmarc@collector.example"],
    subject: "Report Domain: example.org",
    type: "multipart/mixed",
    parts: [
      { type: "text/plain; charset=us-ascii", body: encoder.encode("For people.\r\n") },
      { type: "application/gzip", filename: "a!b.xml.gz", encoding: "base64", body: encoder.encode("AAEC\r\n") },
    ],
    ...more,
  };
}

const read = (more: Partial<ReportMail> = {}) => {
  const message = reportMessage(mail(more), options);
  const header = parseHeader(message.content.head);
  return { message, header, field: (name: string) => firstField(header, name)?.value() };
};

Deno.test("a report comes from the null sender, asks for no notification and says that a program made it", () => {
  const { message, field } = read();
  assert.equal(message.envelope.sender, "");
  assert.equal(message.source, "report");
  assert.deepEqual(message.recipients.map(({ address, parameters }) => [address, parameters.notify?.never]), [
    ["reports@example.org", true],
    ["dmarc@collector.example", true],
  ]);
  assert.equal(field("auto-submitted"), "auto-generated");
});

Deno.test("a report has the fields of RFC 5322 and those it is given", () => {
  const { field } = read({ fields: [["TLS-Required", "No"]] });
  assert.equal(field("date"), "Mon, 05 Jan 2026 12:00:00 +0000");
  assert.equal(field("from"), "DMARC Report <noreply-dmarc@example.net>");
  assert.equal(field("to"), "<reports@example.org>, <dmarc@collector.example>");
  assert.equal(field("subject"), "Report Domain: example.org");
  assert.match(field("message-id") ?? "", /^<5\.[0-9a-z]{24}@example\.net>$/);
  assert.equal(field("mime-version"), "1.0");
  assert.equal(field("tls-required"), "No");
});

Deno.test("the parts of a report are those it is given, attachments with their file names", () => {
  const { message } = read();
  const { root } = parseMime(message.content.head, { parts: 10, depth: 5 });
  assert.deepEqual(root.children.map(({ contentType }) => contentType.value), ["text/plain", "application/gzip"]);
  assert.deepEqual(root.children[1]?.content(), Uint8Array.of(0, 1, 2));
  const text = new TextDecoder().decode(message.content.head);
  assert.ok(text.includes('Content-Disposition: attachment;\r\n filename="a!b.xml.gz"\r\n'));
  assert.ok(text.includes("Content-Transfer-Encoding: base64\r\n"));
});

Deno.test("a name outside ASCII is encoded, one with specials quoted, none left out", () => {
  assert.match(
    read({ from: { name: "Größe", address: "a@example.net" } }).field("from") ?? "",
    /^=\?utf-8\?b\?R3LDtsOfZQ==\?= <a@/i,
  );
  assert.equal(
    read({ from: { name: 'A "B", C', address: "a@example.net" } }).field("from"),
    '"A \\"B\\", C" <a@example.net>',
  );
  assert.equal(read({ from: { name: "", address: "a@example.net" } }).field("from"), "<a@example.net>");
});

Deno.test("a line break in a subject or a name begins no field", () => {
  const { header } = read({
    subject: "x\r\nBcc: y@example.org",
    from: { name: "n\r\nCc: z", address: "a@example.net" },
  });
  assert.deepEqual(header.fields.filter(({ lower }) => lower === "bcc" || lower === "cc"), []);
});

Deno.test("the envelope says what the content needs", () => {
  assert.deepEqual(read().message.envelope.parameters, {});
  const body = encoder.encode("é\r\n");
  assert.deepEqual(read({ parts: [{ type: "text/plain; charset=utf-8", body }] }).message.envelope.parameters, {
    body: "8bitmime",
  });
  assert.equal(read({ to: ["jürgen@example.org"] }).message.envelope.parameters.smtputf8, true);
});

Deno.test("attachments are Base64 in lines of 76", () => {
  const bytes = Uint8Array.from({ length: 58 }, (_, index) => index);
  const text = new TextDecoder().decode(base64Body(bytes));
  assert.deepEqual(text.split("\r\n").map((line) => line.length), [76, 4, 0]);
  assert.deepEqual(Uint8Array.fromBase64(text.replace(/\s/g, "")), bytes);
  assert.equal(base64Body(new Uint8Array(0)).length, 0);
});
