import assert from "node:assert/strict";
import { BareNewlineScanner, NewlineNormalizer } from "../../../src/smtp/mod.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function cuts(text: string): Uint8Array[][] {
  const bytes = encoder.encode(text);
  const all: Uint8Array[][] = [];
  for (let a = 0; a <= bytes.length; a++) {
    for (let b = a; b <= bytes.length; b++) all.push([bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)]);
  }
  return all;
}

Deno.test("bare CR and LF are found wherever the chunks are cut", () => {
  const table: [string, boolean][] = [
    ["", false],
    ["a\r\nb\r\n", false],
    ["\r\n\r\n", false],
    ["a\tb\r\n", false],
    ["\n", true],
    ["\r", true],
    ["a\nb", true],
    ["a\rb", true],
    ["a\r\r\n", true],
    ["a\r\n\n", true],
    ["a\n\r\n", true],
    ["a\r\nb\r", true],
  ];
  for (const [text, bare] of table) {
    for (const chunks of cuts(text)) {
      const scanner = new BareNewlineScanner();
      for (const chunk of chunks) scanner.push(chunk);
      assert.equal(scanner.finish(), bare, JSON.stringify(text));
      assert.equal(scanner.bareNewline, bare);
    }
  }
});

Deno.test("each bare CR and LF becomes CRLF wherever the chunks are cut", () => {
  const table: [string, string][] = [
    ["a\r\nb\r\n", "a\r\nb\r\n"],
    ["a\nb\n", "a\r\nb\r\n"],
    ["a\rb\r", "a\r\nb\r\n"],
    ["a\r\r\nb", "a\r\n\r\nb"],
    ["\n\r", "\r\n\r\n"],
    ["\r\n\n.\n", "\r\n\r\n.\r\n"],
    ["", ""],
  ];
  for (const [text, expected] of table) {
    for (const chunks of cuts(text)) {
      const normalizer = new NewlineNormalizer();
      let out = "";
      const write = (slice: Uint8Array) => out += decoder.decode(slice);
      for (const chunk of chunks) normalizer.push(chunk, write);
      normalizer.finish(write);
      assert.equal(out, expected, JSON.stringify(text));
    }
  }
});
