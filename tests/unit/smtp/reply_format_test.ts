import assert from "node:assert/strict";
import { formatReply, type Reply, reply, type ReplyFormat, ReplyParser } from "../../../src/smtp/mod.ts";

function format(value: Reply, options: ReplyFormat = { enhanced: true }): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(formatReply(value, options));
}

Deno.test("a reply has one line per text, hyphens before all but the last, and the enhanced code in each", () => {
  assert.equal(format(reply(250, "2.1.0", "Sender ok")), "250 2.1.0 Sender ok\r\n");
  assert.equal(format(reply(550, "5.7.1", "No", "Really")), "550-5.7.1 No\r\n550 5.7.1 Really\r\n");
  assert.equal(format(reply(250, "2.1.0", "Sender ok"), { enhanced: false }), "250 Sender ok\r\n");
  assert.equal(format(reply(250, "", "mx", "SIZE 1")), "250-mx\r\n250 SIZE 1\r\n");
  assert.equal(format(reply(250, "", "a", "", "b")), "250-a\r\n250-\r\n250 b\r\n");
});

Deno.test("a 3yz reply carries no enhanced code", () => {
  assert.equal(format(reply(354, "2.0.0", "Go on")), "354 Go on\r\n");
});

Deno.test("a reply without text has no blank at its end", () => {
  assert.equal(format({ code: 250, text: [] }), "250\r\n");
  assert.equal(format(reply(250, "2.0.0", "")), "250 2.0.0\r\n");
});

Deno.test("no text can add a line or a control character", () => {
  assert.equal(format(reply(550, "5.7.1", "a\r\n250 ok\nx\ry\tz")), "550 5.7.1 a 250 ok x y z\r\n");
  assert.equal(format(reply(550, "5.7.1", "a\0b\x1b[2Jc\x7fd\u0085e")), "550 5.7.1 a?b?[2Jc?d?e\r\n");
  assert.equal(format({ code: 250, enhanced: "2.0.0\r\n250 x", text: ["y"] }), "250 2.0.0 250 x y\r\n");
});

Deno.test("other characters than ASCII reach only clients that take UTF-8", () => {
  const value = reply(252, "2.1.5", "jürgen 😀");
  assert.equal(format(value), "252 2.1.5 j?rgen ?\r\n");
  assert.equal(format(value, { enhanced: true, utf8: true }), "252 2.1.5 jürgen 😀\r\n");
  assert.equal(format(reply(250, "2.0.0", "é", ""), { enhanced: true, utf8: true }), "250-2.0.0 é\r\n250 2.0.0\r\n");
});

Deno.test("long text is wrapped at blanks into lines of at most 512 octets", () => {
  const words = Array.from({ length: 300 }, (_, i) => `word${i}`).join(" ");
  const lines = format(reply(550, "5.7.1", words)).split("\r\n").slice(0, -1);
  assert.ok(lines.length > 3);
  assert.ok(lines.every((line) => line.length + 2 <= 512));
  assert.equal(lines.map((line) => line.slice(10)).join(" "), words);
  assert.ok(lines.slice(0, -1).every((line) => line.startsWith("550-5.7.1 ")));
  assert.ok(lines.at(-1)?.startsWith("550 5.7.1 "));
});

Deno.test("a long word is cut between characters", () => {
  const word = "ü😀".repeat(400);
  const bytes = formatReply(reply(550, "5.7.1", word), { enhanced: true, utf8: true });
  const lines = new TextDecoder("utf-8", { fatal: true }).decode(bytes).split("\r\n").slice(0, -1);
  assert.ok(lines.every((line) => new TextEncoder().encode(line).length + 2 <= 512));
  assert.equal(lines.map((line) => line.slice(10)).join(""), word);
});

Deno.test("an AUTH challenge is never wrapped", () => {
  const challenge = "A".repeat(2000);
  assert.equal(format({ code: 334, text: [challenge] }), `334 ${challenge}\r\n`);
});

Deno.test("what is written is read back the same", () => {
  for (const value of [reply(250, "2.1.0", "ok"), reply(421, "4.4.2", "a", "b c"), reply(220, "", "mx ESMTP")]) {
    const parser = new ReplyParser();
    parser.push(formatReply(value, { enhanced: true }));
    assert.deepEqual(parser.next(), value);
  }
});
