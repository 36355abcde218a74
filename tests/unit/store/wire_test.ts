import assert from "node:assert/strict";
import fc from "fast-check";
import { createPacker, createUnpacker } from "../../../src/store/wire.ts";

const PLAIN = { noNullPrototype: true };

Deno.test("groups arrive in the worker as they were sent, however many batches share their texts", () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.string(),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.uint8Array({ maxLength: 40 }),
  );
  const statement = fc.record(
    { sql: fc.constantFrom("a", "b", "c", "d"), args: fc.array(value, { maxLength: 6 }) },
    PLAIN,
  );
  const group = fc.oneof(
    fc.record({ query: fc.constant(true), statements: fc.tuple(statement) }, PLAIN),
    fc.record({ query: fc.constant(false), statements: fc.array(statement, { maxLength: 5 }) }, PLAIN),
  );
  fc.assert(fc.property(fc.array(fc.array(group, { maxLength: 6 }), { maxLength: 4 }), (batches) => {
    const packer = createPacker();
    const unpack = createUnpacker();
    for (const batch of batches) {
      const work = structuredClone(packer.pack(batch));
      assert.deepEqual(unpack(work), batch);
      packer.recycle(work.bytes);
    }
  }));
});

Deno.test("each text crosses once", () => {
  const { pack } = createPacker();
  const group = { query: false, statements: [{ sql: "x", args: [] }, { sql: "y", args: [] }, { sql: "x", args: [] }] };
  assert.deepEqual(pack([group]).texts.map(({ sql }) => sql), ["x", "y"]);
  assert.deepEqual(pack([group]).texts, []);
});

Deno.test("a buffer that comes back is used again if it is large enough", () => {
  const { pack, recycle } = createPacker();
  const blob = (length: number) => [{ query: false, statements: [{ sql: "x", args: [new Uint8Array(length)] }] }];
  const first = pack(blob(1000)).bytes;
  recycle(first);
  assert.equal(pack(blob(2000)).bytes, first);
  const second = pack(blob(first.byteLength)).bytes;
  assert.notEqual(second, first);
  recycle(second);
  assert.ok(pack(blob(first.byteLength + 1)).bytes.byteLength > first.byteLength);
});
