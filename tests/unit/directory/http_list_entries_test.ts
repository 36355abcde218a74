import assert from "node:assert/strict";
import { createEntryReader, type EntryFormat } from "../../../src/directory/http_list_entries.ts";

const LIST: EntryFormat["format"] = { type: "list" };
const csv = (rest: Partial<Extract<EntryFormat["format"], { type: "csv" }>> = {}): EntryFormat["format"] => ({
  type: "csv",
  separator: ",",
  skipFirst: false,
  keyColumn: 0,
  valueColumn: undefined,
  ...rest,
});

/** Reads `text` in pieces of every size up to its length; all must give the same. */
function read(text: string, format: EntryFormat["format"], limits: Partial<EntryFormat["limits"]> = {}) {
  const config = { format, limits: { size: 1e6, entries: 100, entrySize: 20, ...limits } };
  const results = [1, 2, 3, 7, text.length].map((step) => {
    const reader = createEntryReader(config);
    for (let at = 0; at < text.length; at += step) reader.push(text.slice(at, at + step));
    const { entries, skipped, truncated } = reader.end();
    return { entries: [...entries], skipped, truncated };
  });
  for (const result of results) assert.deepEqual(result, results[0]);
  return results[0]!;
}

Deno.test("a list has an entry per line, whatever ends the line", () => {
  const { entries, skipped } = read("a.example\r\n  b.example  \n\n# a remark\nc.example", LIST);
  assert.deepEqual(entries, [["a.example", true], ["b.example", true], ["c.example", true]]);
  assert.equal(skipped, 0);
});

Deno.test("entries longer than allowed are skipped, in octets", () => {
  const { entries, skipped } = read(
    `${"x".repeat(20)}\n${"x".repeat(21)}\n${"é".repeat(11)}\n${"é".repeat(10)}\n`,
    LIST,
  );
  assert.deepEqual(entries.map(([key]) => key), ["x".repeat(20), "é".repeat(10)]);
  assert.equal(skipped, 2);
});

Deno.test("of more entries than allowed the first ones count, and that is told", () => {
  const { entries, truncated } = read("a\nb\na\nc\n", LIST, { entries: 2 });
  assert.deepEqual(entries.map(([key]) => key), ["a", "b"]);
  assert.equal(truncated, true);
  assert.equal(read("a\nb\na\n", LIST, { entries: 2 }).truncated, false);
});

Deno.test("CSV gives key and value from their columns", () => {
  const text = "domain,kind\nspam.example,bad\nham.example,good\r\nalone.example\n";
  assert.deepEqual(read(text, csv({ skipFirst: true, valueColumn: 1 })), {
    entries: [["spam.example", "bad"], ["ham.example", "good"]],
    skipped: 1,
    truncated: false,
  });
  assert.deepEqual(read("1;a;x\n2;b\n", csv({ separator: ";", keyColumn: 1 })).entries, [["a", true], ["b", true]]);
});

Deno.test("quoted fields hold separators, line ends and quotation marks (RFC 4180 §2)", () => {
  const text = '"a,b",1\n"c\nd",2\n"say ""hi""",3\n"",4\n';
  assert.deepEqual(read(text, csv({ valueColumn: 1 })), {
    entries: [["a,b", "1"], ["c\nd", "2"], ['say "hi"', "3"]],
    skipped: 1,
    truncated: false,
  });
});

Deno.test("a record that never ends takes no memory", () => {
  const reader = createEntryReader({ format: csv(), limits: { size: 1e9, entries: 10, entrySize: 10 } });
  reader.push('"');
  for (let i = 0; i < 100; i++) reader.push("x".repeat(10_000));
  assert.deepEqual([...reader.end().entries], []);
});
