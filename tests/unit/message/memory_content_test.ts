import assert from "node:assert/strict";
import { eightBitClean, memoryContent } from "../../../src/message/mod.ts";

Deno.test("content in memory is complete and gives its bytes again and again", async () => {
  const bytes = new TextEncoder().encode("A: b\r\n\r\nbody\r\n");
  const content = memoryContent(bytes);
  assert.ok(content.complete);
  assert.equal(content.size, bytes.length);
  assert.equal(content.head, bytes);
  for (let i = 0; i < 2; i++) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content.chunks()) chunks.push(chunk);
    assert.deepEqual(chunks, [bytes]);
  }
});

Deno.test("an octet above 127 is found at every place and alignment", () => {
  for (let length = 0; length < 20; length++) {
    for (let offset = 0; offset < 5; offset++) {
      const memory = new Uint8Array(offset + length + 3).fill(0xff);
      const bytes = memory.subarray(offset, offset + length).fill(0x7f);
      assert.ok(eightBitClean(bytes), `${length} at ${offset}`);
      for (let i = 0; i < length; i++) {
        bytes[i] = 0x80;
        assert.ok(!eightBitClean(bytes), `${i} of ${length} at ${offset}`);
        bytes[i] = 0x7f;
      }
    }
  }
});
