import assert from "node:assert/strict";
import fc from "fast-check";
import { compileGlob, createList } from "../../../src/directory/mod.ts";

Deno.test("a glob matches the whole text, * any run of characters and ? one", () => {
  for (
    const [glob, text, expected] of [
      ["*", "", true],
      ["*", "anything", true],
      ["a*", "a", true],
      ["a*", "abc", true],
      ["a*", "ba", false],
      ["*.example.net", "mx.example.net", true],
      ["*.example.net", "example.net", false],
      ["*@example.net", "ana@example.net", true],
      ["192.0.2.*", "192.0.2.77", true],
      ["192.0.2.*", "192.0.20.1", false],
      ["a?c", "abc", true],
      ["a?c", "ac", false],
      ["a?c", "a😀c", true],
      ["??", "a", false],
      ["*a*b*", "xxaxxbxx", true],
      ["*a*b*", "xxbxxaxx", false],
      ["a**b", "ab", true],
      ["a.c", "abc", false],
      ["[ab]", "a", false],
      ["exact", "exact", true],
      ["exact", "Exact", false],
    ] as const
  ) {
    assert.equal(compileGlob(glob)(text), expected, `${glob} on ${text}`);
  }
});

Deno.test("a glob agrees with the regular expression that means the same", () => {
  const letters = fc.array(fc.constantFrom("a", "b", "*", "?"), { maxLength: 8 }).map((parts) => parts.join(""));
  const text = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 10 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(letters, text, (glob, text) => {
      const pattern = new RegExp(`^${glob.replaceAll("*", ".*").replaceAll("?", ".")}$`, "s");
      assert.equal(compileGlob(glob)(text), pattern.test(text));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("hostile text does not make a glob explode", () => {
  const started = performance.now();
  assert.equal(compileGlob("*a*a*a*a*a*a*a*a*b")("a".repeat(20_000)), false);
  assert.ok(performance.now() - started < 2_000);
});

Deno.test("an exact entry comes before a glob, globs are tried in file order", () => {
  const list = createList(
    new Map<string, string | number | boolean>([
      ["*.example.net", "first"],
      ["mx.example.net", "exact"],
      ["mx?.example.net", "second"],
      ["limit", 0],
      ["off", false],
    ]),
  );
  assert.equal(list.get("mx.example.net"), "exact");
  assert.equal(list.get("mx1.example.net"), "first");
  assert.equal(list.get("limit"), 0);
  assert.equal(list.get("off"), false);
  assert.equal(list.has("off"), true);
  assert.equal(list.get("example.org"), undefined);
  assert.equal(list.has("example.org"), false);
  assert.equal(list.has("toString"), false);
});
