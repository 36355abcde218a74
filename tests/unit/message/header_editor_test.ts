import assert from "node:assert/strict";
import { editHeader, foldField, type HeaderEditor } from "../../../src/message/mod.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const MESSAGE = "From: a\r\nX:  odd \r\n spacing\r\nTo: b\r\nx: again\r\n\r\nbody\r\nX: not a field\r\n";

function edited(change: (editor: HeaderEditor) => void, text = MESSAGE): string {
  const editor = editHeader(encoder.encode(text));
  change(editor);
  return decoder.decode(editor.result());
}

const NEW = foldField("New", "field");

Deno.test("without changes the very same bytes come back", () => {
  const bytes = encoder.encode(MESSAGE);
  const editor = editHeader(bytes);
  assert.equal(editor.result(), bytes);
  assert.ok(!editor.changed);
});

Deno.test("fields are added at the top, at the end and in between", () => {
  assert.equal(edited((editor) => editor.prepend(NEW)), `New: field\r\n${MESSAGE}`);
  assert.equal(edited((editor) => editor.append(NEW)), MESSAGE.replace("again\r\n", "again\r\nNew: field\r\n"));
  assert.equal(edited((editor) => editor.insert(0, NEW)), `New: field\r\n${MESSAGE}`);
  assert.equal(edited((editor) => editor.insert(2, NEW)), MESSAGE.replace("To: b", "New: field\r\nTo: b"));
  assert.equal(edited((editor) => editor.insert(99, NEW)), MESSAGE.replace("again\r\n", "again\r\nNew: field\r\n"));
});

Deno.test("the nth field of a name is replaced or deleted, from either end", () => {
  assert.equal(
    edited((editor) => assert.ok(editor.replace("X", 0, NEW))),
    MESSAGE.replace("X:  odd \r\n spacing", "New: field"),
  );
  assert.equal(edited((editor) => assert.ok(editor.replace("x", -1, NEW))), MESSAGE.replace("x: again", "New: field"));
  assert.equal(edited((editor) => assert.ok(editor.delete("X", 1))), MESSAGE.replace("x: again\r\n", ""));
  assert.equal(edited((editor) => assert.ok(editor.delete("FROM", 0))), MESSAGE.replace("From: a\r\n", ""));
  assert.equal(edited((editor) => assert.ok(!editor.delete("X", 2))), MESSAGE);
  assert.equal(edited((editor) => assert.ok(!editor.replace("Nope", 0, NEW))), MESSAGE);
  assert.equal(
    edited((editor) => assert.equal(editor.deleteAll("x"), 2)),
    "From: a\r\nTo: b\r\n\r\nbody\r\nX: not a field\r\n",
  );
});

Deno.test("changes build on each other", () => {
  const text = edited((editor) => {
    editor.prepend(foldField("A", "1"));
    editor.prepend(foldField("B", "2"));
    editor.delete("a", 0);
    editor.insert(1, foldField("C", "3"));
    assert.equal(editor.count(), 6);
    assert.equal(editor.count("x"), 2);
    assert.ok(editor.changed);
  });
  assert.equal(text, `B: 2\r\nC: 3\r\n${MESSAGE}`);
});

Deno.test("lines that are no fields keep their place", () => {
  const text = "From x Mon\r\nA: 1\r\ngarbage\r\nB: 2\r\n\r\n";
  assert.equal(edited((editor) => editor.delete("A", 0), text), "From x Mon\r\ngarbage\r\nB: 2\r\n\r\n");
  assert.equal(
    edited((editor) => editor.insert(1, NEW), text),
    "From x Mon\r\nA: 1\r\ngarbage\r\nNew: field\r\nB: 2\r\n\r\n",
  );
});

Deno.test("a header that is cut off gets the line end it needs", () => {
  assert.equal(edited((editor) => editor.append(NEW), "A: 1"), "A: 1\r\nNew: field\r\n");
  assert.equal(edited((editor) => editor.prepend(NEW), "A: 1"), "New: field\r\nA: 1");
  assert.equal(edited((editor) => editor.append(NEW), ""), "New: field\r\n");
  assert.equal(edited((editor) => editor.append(NEW), "\r\nbody"), "New: field\r\n\r\nbody");
});

Deno.test("something that is no field cannot be added", () => {
  const editor = editHeader(encoder.encode(MESSAGE));
  assert.throws(() => editor.prepend(encoder.encode("no field\r\n")), TypeError);
});
