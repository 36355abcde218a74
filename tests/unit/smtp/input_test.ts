import assert from "node:assert/strict";
import { InputBuffer } from "../../../src/smtp/mod.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function filled(...parts: string[]): InputBuffer {
  const input = new InputBuffer();
  for (const part of parts) input.append(encoder.encode(part));
  return input;
}

function line(input: InputBuffer, limit = 100): string | undefined {
  const next = input.readLine(limit);
  return next === undefined || next === "too-long" ? next : decoder.decode(next);
}

Deno.test("lines end in CRLF and come one by one", () => {
  const input = filled("EHLO a\r\nMAIL", " FROM:<>\r", "\n\r\nQUIT");
  assert.equal(line(input), "EHLO a");
  assert.equal(line(input), "MAIL FROM:<>");
  assert.equal(line(input), "");
  assert.equal(line(input), undefined);
  assert.equal(input.length, 4);
  input.append(encoder.encode("\r\n"));
  assert.equal(line(input), "QUIT");
  assert.equal(input.length, 0);
});

Deno.test("a bare CR or LF stays in the line", () => {
  assert.equal(line(filled("a\nb\rc\r\r\n")), "a\nb\rc\r");
  assert.equal(line(filled("a\n")), undefined);
  assert.equal(line(filled("\n\r\n")), "\n");
});

Deno.test("a line of exactly the limit passes, one octet more is too long", () => {
  assert.equal(line(filled("12345\r\n"), 5), "12345");
  assert.equal(line(filled("12345\r"), 5), undefined);
  const input = filled("123456\r\nNOOP\r\n");
  assert.equal(line(input, 5), "too-long");
  assert.equal(line(input, 5), "NOOP");
});

Deno.test("an endless line is reported once and dropped without being kept", () => {
  const input = new InputBuffer();
  const chunk = new Uint8Array(4096).fill(0x41);
  input.append(chunk);
  assert.equal(line(input, 1000), "too-long");
  for (let i = 0; i < 1000; i++) {
    input.append(chunk);
    assert.equal(line(input, 1000), undefined);
    assert.equal(input.length, 0);
  }
  input.append(encoder.encode("tail\r"));
  assert.equal(line(input, 1000), undefined);
  input.append(encoder.encode("\nNOOP\r\n"));
  assert.equal(line(input, 1000), "NOOP");
});

Deno.test("a lone LF does not end the dropping of an over-long line", () => {
  const input = filled("1234567");
  assert.equal(line(input, 5), "too-long");
  input.append(encoder.encode("\nDATA\r\nRSET\r\n"));
  assert.equal(line(input, 5), "RSET");
});

Deno.test("view and consume give what follows the lines", () => {
  const input = filled("DATA\r\nbody");
  assert.equal(line(input), "DATA");
  assert.equal(decoder.decode(input.view()), "body");
  input.consume(2);
  assert.equal(decoder.decode(input.view()), "dy");
  input.append(encoder.encode("!\r\n"));
  assert.equal(line(input), "dy!");
});

Deno.test("clear forgets everything, an over-long line included", () => {
  const input = filled("123456789");
  assert.equal(line(input, 5), "too-long");
  input.clear();
  input.append(encoder.encode("EHLO\r\n"));
  assert.equal(line(input, 5), "EHLO");
});

Deno.test("large input moves through intact", () => {
  const input = new InputBuffer();
  let expected = "";
  let got = "";
  for (let i = 0; i < 3000; i++) {
    const text = `${i} ${"x".repeat(i % 97)}\r\n`;
    expected += text;
    input.append(encoder.encode(text));
    if (i % 7 !== 0) continue;
    for (let next = line(input, 200); next !== undefined; next = line(input, 200)) got += `${next}\r\n`;
  }
  for (let next = line(input, 200); next !== undefined; next = line(input, 200)) got += `${next}\r\n`;
  assert.equal(got, expected);
});
