import assert from "node:assert/strict";
import { SCHEMA } from "../../../src/config/schema/mod.ts";
import type { Key } from "../../../src/config/schema/spec.ts";

const DOCUMENT = new URL("../../../docs/configuration.md", import.meta.url);

const schema: Readonly<Record<string, Key>> = SCHEMA;

Deno.test("the documentation names every supported key, and as its own only keys that there are", async () => {
  const text = await Deno.readTextFile(DOCUMENT);
  const [tables = "", unsupported = ""] = text.split("## What is supported");
  const rows = tables.slice(tables.indexOf("## Server")).split("\n").filter((line) => line.startsWith("| `"));
  const named = new Set(
    rows.flatMap((row) => [...(row.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, key]) => key)),
  );
  const supported = Object.entries(schema)
    // Keys of one listener are documented once, as those of all.
    .filter(([pattern, { supported }]) =>
      supported && (!/^server\.listener\.<id>\.(?:tls|socket|proxy)\./.test(pattern) || pattern.endsWith(".override"))
    )
    .map(([pattern]) => pattern);
  assert.deepEqual(supported.filter((pattern) => !named.has(pattern)), []);
  assert.deepEqual([...named].filter((pattern) => !supported.includes(pattern ?? "")), []);
  // Every area that is not supported is named in the last table.
  for (const [pattern, spec] of Object.entries(schema)) {
    if (spec.supported || /^tracer\./.test(pattern)) continue;
    const areas = [...unsupported.matchAll(/`([a-z][a-z.<>*-]+)`/g)].map(([, area]) => area ?? "");
    const matches = (area: string) =>
      new RegExp(`^${area.replaceAll(".", "\\.").replaceAll("*", ".*")}(?:$|[.[])`).test(pattern);
    assert.ok(areas.some(matches), pattern);
  }
});
