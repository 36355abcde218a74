import assert from "node:assert/strict";
import { DotDecoder, DotEncoder } from "../../../src/smtp/mod.ts";

// One octet per character.
const encoder = { encode: (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0)) };
const decoder = { decode: (bytes: Uint8Array) => String.fromCharCode(...bytes) };

interface Decoded {
  content: string;
  rest: string;
  done: boolean;
  bare: boolean;
}

function decode(text: string, ...splits: number[]): Decoded {
  const bytes = encoder.encode(text);
  const data = new DotDecoder();
  let content = "";
  let used = 0;
  const edges = [0, ...splits, bytes.length];
  for (let i = 1; i < edges.length; i++) {
    const chunk = bytes.subarray(edges[i - 1], edges[i]);
    const count = data.push(chunk, (slice) => content += decoder.decode(slice));
    used += count;
    if (data.done) break;
    assert.equal(count, chunk.length);
  }
  return { content, rest: decoder.decode(bytes.subarray(used)), done: data.done, bare: data.bareNewline };
}

/** Decodes whole, and cut in two and three at every place; all must agree. */
function decodeEverywhere(text: string): Decoded {
  const whole = decode(text);
  for (let a = 0; a <= text.length; a++) {
    for (let b = a; b <= text.length; b++) {
      assert.deepEqual(decode(text, a, b), whole, `${JSON.stringify(text)} ${a} ${b}`);
    }
  }
  return whole;
}

Deno.test("CRLF . CRLF ends the data and what follows is left", () => {
  assert.deepEqual(decodeEverywhere("Hi\r\n.\r\nQUIT\r\n"), {
    content: "Hi\r\n",
    rest: "QUIT\r\n",
    done: true,
    bare: false,
  });
});

Deno.test("the start of the data counts as after a CRLF", () => {
  assert.deepEqual(decodeEverywhere(".\r\nX"), { content: "", rest: "X", done: true, bare: false });
  assert.equal(decodeEverywhere("..a\r\n.\r\n").content, ".a\r\n");
});

Deno.test("a dot at the begin of a line is taken off", () => {
  assert.equal(decodeEverywhere("..\r\n.a\r\n...\r\nb.\r\n.\r\n").content, ".\r\na\r\n..\r\nb.\r\n");
});

Deno.test("no spelling used for smuggling ends the data", () => {
  const spellings = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\r\n. \r\n",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r\n",
    "\n\n.\r\n",
    "\r\n.\n\r\n",
    "\r\n.\r\t\n",
    "\x85.\x85",
  ];
  for (const spelling of spellings) {
    const text = `a${spelling}MAIL FROM:<evil@example.org>\r\nRCPT TO:<x@example.org>\r\n.\r\nNOOP`;
    const result = decodeEverywhere(text);
    const name = JSON.stringify(spelling);
    assert.equal(result.rest, "NOOP", name);
    assert.ok(result.content.endsWith("MAIL FROM:<evil@example.org>\r\nRCPT TO:<x@example.org>\r\n"), name);
    const bare = /\r(?!\n)|(?<!\r)\n/.test(spelling);
    assert.equal(result.bare, bare, name);
  }
});

Deno.test("what a spelling leaves in the content", () => {
  assert.equal(decodeEverywhere("a\n.\nb\r\n.\r\n").content, "a\n.\nb\r\n");
  // The dot begins a line, so it is transparency (RFC 5321 §4.5.2); what follows is content.
  assert.equal(decodeEverywhere("a\r\n.\nb\r\n.\r\n").content, "a\r\n\nb\r\n");
  assert.equal(decodeEverywhere("a\r\n.\rb\r\n.\r\n").content, "a\r\n\rb\r\n");
  assert.equal(decodeEverywhere("a\r\n.\r\rb\r\n.\r\n").content, "a\r\n\r\rb\r\n");
  assert.equal(decodeEverywhere("a\r\n.\r\r\n.\r\n").content, "a\r\n\r\r\n");
});

Deno.test("after the end nothing is taken", () => {
  const data = new DotDecoder();
  assert.equal(data.push(encoder.encode(".\r\n"), () => {}), 3);
  assert.equal(data.push(encoder.encode("x"), () => assert.fail("nothing to write")), 0);
});

Deno.test("data without an end is content so far", () => {
  const data = new DotDecoder();
  const text = "a\r\n.b\r\n.";
  assert.equal(data.push(encoder.encode(text), () => {}), text.length);
  assert.ok(!data.done);
});

Deno.test("a chunk without dots at line begins is handed on as it is", () => {
  const chunk = encoder.encode("one\r\ntwo\r\nthree. four\r\n");
  const slices: Uint8Array[] = [];
  new DotDecoder().push(chunk, (slice) => slices.push(slice));
  assert.equal(slices.length, 1);
  assert.equal(slices[0], chunk);
});

function encode(text: string, ...splits: number[]): string {
  const bytes = encoder.encode(text);
  const data = new DotEncoder();
  const edges = [0, ...splits, bytes.length];
  let out = "";
  for (let i = 1; i < edges.length; i++) out += decoder.decode(data.encode(bytes.subarray(edges[i - 1], edges[i])));
  return out + decoder.decode(data.finish());
}

Deno.test("encoding doubles the dot at the begin of a line, wherever the chunks are cut", () => {
  const table: [string, string][] = [
    ["", ".\r\n"],
    ["a\r\n", "a\r\n.\r\n"],
    ["a", "a\r\n.\r\n"],
    ["a\r", "a\r\r\n.\r\n"],
    ["a\n", "a\n\r\n.\r\n"],
    [".", "..\r\n.\r\n"],
    [".\r\n", "..\r\n.\r\n"],
    ["a\r\n.b\r\n..\r\nc.d\r\n", "a\r\n..b\r\n...\r\nc.d\r\n.\r\n"],
    ["a\n.b\r\n", "a\n.b\r\n.\r\n"],
  ];
  for (const [text, expected] of table) {
    for (let a = 0; a <= text.length; a++) {
      for (let b = a; b <= text.length; b++) assert.equal(encode(text, a, b), expected, JSON.stringify([text, a, b]));
    }
  }
});

Deno.test("a chunk with nothing to double is returned itself", () => {
  const chunk = encoder.encode("no dots. at begins\r\n");
  assert.equal(new DotEncoder().encode(chunk), chunk);
});
