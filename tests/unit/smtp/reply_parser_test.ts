import assert from "node:assert/strict";
import { ProtocolError, type Reply, ReplyParser } from "../../../src/smtp/mod.ts";

const encoder = new TextEncoder();

function read(text: string): (Reply | undefined)[] {
  const parser = new ReplyParser();
  parser.push(encoder.encode(text));
  const replies: (Reply | undefined)[] = [];
  for (let next = parser.next(); next !== undefined; next = parser.next()) replies.push(next);
  return replies;
}

Deno.test("replies of one and several lines", () => {
  assert.deepEqual(read("220 mx.example.org ESMTP\r\n"), [{ code: 220, text: ["mx.example.org ESMTP"] }]);
  assert.deepEqual(read("250-mx\r\n250-SIZE 1\r\n250 DSN\r\n"), [{ code: 250, text: ["mx", "SIZE 1", "DSN"] }]);
  assert.deepEqual(read("250 a\r\n550 b\r\n"), [{ code: 250, text: ["a"] }, { code: 550, text: ["b"] }]);
});

Deno.test("an enhanced status code is split off where its class fits", () => {
  assert.deepEqual(read("550 5.1.1 No such user\r\n"), [{ code: 550, enhanced: "5.1.1", text: ["No such user"] }]);
  assert.deepEqual(read("550-5.1.1 No\r\n550 5.1.1 user\r\n"), [{
    code: 550,
    enhanced: "5.1.1",
    text: ["No", "user"],
  }]);
  assert.deepEqual(read("550-5.1.1 No\r\n550 user\r\n"), [{ code: 550, enhanced: "5.1.1", text: ["No", "user"] }]);
  assert.deepEqual(read("250 2.0.0\r\n"), [{ code: 250, enhanced: "2.0.0", text: [""] }]);
  assert.deepEqual(read("550 4.1.1 Odd\r\n"), [{ code: 550, text: ["4.1.1 Odd"] }]);
  assert.deepEqual(read("220 2.5.1.example ESMTP\r\n"), [{ code: 220, text: ["2.5.1.example ESMTP"] }]);
  assert.deepEqual(read("354 3.0.0 Go\r\n"), [{ code: 354, text: ["3.0.0 Go"] }]);
});

Deno.test("bare LF and missing text are let pass", () => {
  assert.deepEqual(read("250\r\n"), [{ code: 250, text: [""] }]);
  assert.deepEqual(read("250 \n"), [{ code: 250, text: [""] }]);
  assert.deepEqual(read("250-a\n250\n"), [{ code: 250, text: ["a", ""] }]);
});

Deno.test("a reply may come octet by octet", () => {
  const parser = new ReplyParser();
  const seen: Reply[] = [];
  for (const octet of encoder.encode("250-a\r\n250 b\r\n221 bye\r\n")) {
    parser.push(Uint8Array.of(octet));
    const next = parser.next();
    if (next !== undefined) seen.push(next);
  }
  assert.deepEqual(seen, [{ code: 250, text: ["a", "b"] }, { code: 221, text: ["bye"] }]);
  assert.equal(parser.unread, 0);
});

Deno.test("what the peer sends ahead can be seen and dropped", () => {
  const parser = new ReplyParser();
  parser.push(encoder.encode("220 Go ahead\r\n250 injected\r\n"));
  assert.equal(parser.next()?.code, 220);
  assert.ok(parser.unread > 0);
  parser.clear();
  assert.equal(parser.unread, 0);
  assert.equal(parser.next(), undefined);
});

Deno.test("octets that are no UTF-8 do not matter", () => {
  const parser = new ReplyParser();
  parser.push(Uint8Array.of(0x32, 0x35, 0x30, 0x20, 0xff, 0x41, 0x0d, 0x0a));
  assert.deepEqual(parser.next(), { code: 250, text: ["\ufffdA"] });
});

Deno.test("what is no reply is a protocol error", () => {
  const bad = [
    "hello\r\n",
    "\r\n",
    "25 x\r\n",
    "2500 x\r\n",
    "25x y\r\n",
    "600 x\r\n",
    "050 x\r\n",
    "250_x\r\n",
    "250-a\r\n251 b\r\n",
    "HTTP/1.1 400 Bad Request\r\n",
    `250 ${"x".repeat(4100)}\r\n`,
    "x".repeat(4097),
    "250-x\r\n".repeat(129),
    `250-${"y".repeat(4000)}\r\n`.repeat(20),
  ];
  for (const text of bad) assert.throws(() => read(text), ProtocolError, text.slice(0, 40));
});

Deno.test("a peer that sends without end is stopped though nobody reads", () => {
  const parser = new ReplyParser();
  assert.throws(() => {
    for (let i = 0; i < 100; i++) parser.push(new Uint8Array(16384));
  }, ProtocolError);
});
